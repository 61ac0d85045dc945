"""
Clients without a library: what is wrong, cut, and cut off.
"""

from __future__ import annotations

import http.client
import socket
import ssl

import pytest

from tests.live.conftest import Everywhere, Live
from tests.processes import HANDSHAKE, HOST, serve

GARBAGE = bytes(range(256)) * 4096
"""
1 MiB.
"""

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def handshake(change: str = "", by: str = "", *more: str) -> bytes:
    """
    Make a handshake with something about it changed.
    """
    lines = [
        "GET / HTTP/1.1",
        "Host: example.org",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        KEY,
        *more,
    ]
    text = "\r\n".join([*lines, "", ""])
    assert change in text
    return text.replace(change, by, 1).encode("latin-1")


def fromPage(*origins: str) -> bytes:
    """
    Make a handshake that pages send which know the server by its own name.
    """
    headers = [f"Origin: {origin}" for origin in origins]
    return handshake("example.org", "localhost", *headers)


BAD = {
    "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "control byte": (400, handshake("example", "exa\0mple")),
    "bare line feed": (400, handshake("\r\nUpgrade", "\nUpgrade")),
    "two Hosts": (400, handshake("", "", "Host: example.org")),
    "no Host": (400, handshake("Host:", "Ghost:")),
    "folded": (400, handshake("", "", "X: a", " b")),
    "body": (400, handshake("", "", "Content-Length: 5")),
    "chunks": (400, handshake("", "", "Transfer-Encoding: chunked")),
    "large head": (431, handshake("", "", "X: " + "a" * 16384)),
    "many headers": (431, handshake("", "", *["X: a"] * 100)),
    "method": (405, handshake("GET", "POST")),
    "HTTP/1.0": (400, handshake("HTTP/1.1", "HTTP/1.0")),
    "HTTP/2": (505, handshake("HTTP/1.1", "HTTP/2.0")),
    "Connection": (400, handshake("Connection: Upgrade", "Connection: close")),
    "version 8": (426, handshake("Version: 13", "Version: 8")),
    "version 14": (426, handshake("Version: 13", "Version: 14")),
    "no version": (426, handshake("Sec-WebSocket-Version", "X")),
    "draft 76": (
        426,
        handshake(
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key1: 4 @1  46546"
        ).replace(KEY.encode(), b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00"),
    ),
    "no key": (400, handshake("Sec-WebSocket-Key", "X")),
    "short key": (400, handshake("dGhl", "")),
    "two keys": (400, handshake("", "", KEY)),
    "subprotocol": (400, handshake("", "", "Sec-WebSocket-Protocol: a b")),
    "origin": (403, fromPage("https://elsewhere.example")),
    "opaque origin": (403, fromPage("null")),
    "two origins": (403, fromPage("http://localhost", "http://localhost")),
}
"""
Requests, and the status that each gets.
"""


def connect(live: Live) -> socket.socket:
    """
    Connect over the transport.
    """
    if live.transport == "unix":
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(60)
        plain.connect(str(live.socket))
        return plain
    plain = socket.create_connection((HOST, live.port), 60)
    if live.transport == "tcp":
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain
    context = ssl.create_default_context(cafile=str(live.certificate))
    return context.wrap_socket(plain, server_hostname=HOST)


def readAll(client: socket.socket) -> bytes:
    """
    Read up to the end, which is to be one in order.
    """
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def readExactly(client: socket.socket, size: int) -> bytes:
    """
    Read so many bytes.
    """
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        assert part, data
        data += part
    return data


def readHead(client: socket.socket) -> bytes:
    """
    Read a response's head, and nothing behind it.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += readExactly(client, 1)
    return head


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """
    Make a client's frame of at most 125 bytes.
    """
    mask = b"\x0f\xf0\x55\xaa"
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


def answer(payload: bytes, opcode: int = 1) -> bytes:
    """
    Make the server's frame.
    """
    return bytes([0x80 | opcode, len(payload)]) + payload


@pytest.mark.parametrize("garbage", [b"", GARBAGE], ids=["alone", "with-garbage"])
@pytest.mark.parametrize("name", BAD)
def test_bad(live: Live, name: str, garbage: bytes) -> None:
    """
    Each bad request gets its status, and the client can read the whole response up to
    an end in order, even with 1 MiB of garbage sent behind the request.
    """
    status, request = BAD[name]
    with connect(live) as client:
        client.sendall(request + garbage)
        response = readAll(client)
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} ")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert int(headers["Content-Length"]) == len(body) > 0
    assert "close" in headers["Connection"]
    if status == 426:
        assert headers["Sec-WebSocket-Version"] == "13"
        assert headers["Upgrade"] == "websocket"
    if status == 405:
        assert headers["Allow"] == "GET"


@pytest.mark.parametrize("garbage", [b"", GARBAGE], ids=["alone", "with-garbage"])
def test_badFrame(live: Live, garbage: bytes) -> None:
    """
    So it is with the close frame that answers a wrong frame.
    """
    with connect(live) as client:
        client.sendall(HANDSHAKE % b"/" + frame(b"hello") + b"\x81\x01a" + garbage)
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        assert readExactly(client, 7) == answer(b"hello")
        rest = readAll(client)
        assert rest[:1] == b"\x88"
        assert rest[1] == len(rest) - 2
        assert int.from_bytes(rest[2:4], "big") == 1002


@pytest.mark.slow
def test_slowRequest(defaultServer: Everywhere) -> None:
    """
    A request that isn't whole in time gets its 408.
    """
    server = defaultServer.by("tcp").server
    folder = server.folder
    with (
        serve(folder, "--open-timeout=0.5") as slow,
        socket.create_connection((HOST, slow.port), 60) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert readAll(client).startswith(b"HTTP/1.1 408 ")


def test_tooMany(defaultServer: Everywhere) -> None:
    """
    One connection too many gets its 503, and has a place when another has left.
    """
    folder = defaultServer.server.folder
    with serve(folder, "--max-connections=1") as small:
        with socket.create_connection((HOST, small.port), 60) as first:
            first.sendall(HANDSHAKE % b"/")
            assert readHead(first).startswith(b"HTTP/1.1 101 ")
            with socket.create_connection((HOST, small.port), 60) as second:
                second.sendall(HANDSHAKE % b"/")
                response = readAll(second)
            assert response.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: " in response
        small.waitForLog("closed by the peer, without a handshake, 1006")
        with socket.create_connection((HOST, small.port), 60) as third:
            third.sendall(HANDSHAKE % b"/")
            assert readHead(third).startswith(b"HTTP/1.1 101 ")


def test_byteByByte(live: Live) -> None:
    """
    A client whose every byte comes on its own is served as any other.
    """
    with connect(live) as client:
        data = HANDSHAKE % b"/" + frame(b"hello") + frame(b"p", 9) + frame(b"bye")
        for index in range(len(data)):
            client.sendall(data[index : index + 1])
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        expected = answer(b"hello") + answer(b"p", 10) + answer(b"bye")
        assert readExactly(client, len(expected)) == expected


def test_allAtOnce(live: Live) -> None:
    """
    So is one that doesn't wait for the 101, nor for anything else.
    """
    with connect(live) as client:
        closing = frame(b"\x03\xe8", 8)
        client.sendall(HANDSHAKE % b"/" + frame(b"hello") * 1000 + closing)
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        assert readAll(client) == answer(b"hello") * 1000 + answer(b"\x03\xe8", 8)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_halfClosed(live: Live) -> None:
    """
    A client that ends its half without a close frame is taken to be gone, as Twisted
    does with protocols that aren't C{IHalfCloseableProtocol}.
    """
    seen = len(live.server.log)
    with connect(live) as client:
        client.sendall(HANDSHAKE % b"/" + frame(b"hello"))
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        assert readExactly(client, 7) == answer(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert readAll(client) == b""
    live.server.waitForLog("closed by the peer, without a handshake, 1006", seen)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_halfClosedRequest(live: Live) -> None:
    """
    One that does so within its request is done with.
    """
    with connect(live) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        client.shutdown(socket.SHUT_WR)
        assert readAll(client) == b""


def test_pageFirst(live: Live) -> None:
    """
    Over one connection: pages, and a refusal to have none, as HTTP keeps it alive, and
    then a handshake.
    """
    with connect(live) as client:
        plain = http.client.HTTPConnection("example.org")
        plain.sock = client
        for path, status, body in (
            ("/live/index.html", 200, b"<!doctype html>"),
            ("/live/none", 404, b""),
            ("/shout", 426, b"this is a WebSocket server"),
            ("/live/", 200, b"<!doctype html>"),
        ):
            plain.request("GET", path)
            response = plain.getresponse()
            assert (response.status, response.read()[: len(body)]) == (status, body)
        client.sendall(HANDSHAKE % b"/live" + frame(b"hello"))
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        assert readExactly(client, 7) == answer(b"hello")


def test_pipelinedPages(live: Live) -> None:
    """
    The same, without waiting for anything.
    """
    page = b"GET /live/ HTTP/1.1\r\nHost: example.org\r\n\r\n"
    with connect(live) as client:
        client.sendall(page * 3 + HANDSHAKE % b"/live" + frame(b"hello"))
        for _ in range(3):
            head = readHead(client)
            assert head.startswith(b"HTTP/1.1 200 ")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert b"A page." in readExactly(client, length)
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        assert readExactly(client, 7) == answer(b"hello")


def test_postedPage(live: Live) -> None:
    """
    A request for a page may have a body, which isn't taken for anything else.
    """
    body = HANDSHAKE % b"/live"
    head = b"POST /live/ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connect(live) as client:
        client.sendall(head + body + HANDSHAKE % b"/live" + frame(b"hello"))
        response = readHead(client)
        assert response.startswith(b"HTTP/1.1 405 ")
        length = int(response.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        readExactly(client, length)
        assert readHead(client).startswith(b"HTTP/1.1 101 ")
        assert readExactly(client, 7) == answer(b"hello")
