"""The opening handshake (RFC 6455 sections 1.3, 4.2 and 4.4)."""

from __future__ import annotations

import pytest

from tests.codec.test_httphead import EXAMPLE
from tests.codec.threeways import head_all_ways
from wsplug.codec import (
    Extension,
    HeadParser,
    RequestHead,
    Upgrade,
    accept_key,
    check_upgrade,
    encode_refusal,
    encode_switch,
    wants_upgrade,
)
from wsplug.errors import HandshakeRefused

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

FIELDS: dict[bytes, bytes] = {
    b"Host": b"a",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}


def request(
    line: bytes = b"GET / HTTP/1.1",
    *more: bytes,
    changed: dict[bytes, bytes | None] | None = None,
) -> RequestHead:
    """Return the head of a valid handshake, with differences."""
    fields = {**FIELDS, **(changed or {})}
    lines = [line]
    lines += [b"%b: %b" % (k, v) for k, v in fields.items() if v is not None]
    result = head_all_ways(b"\r\n".join([*lines, *more]) + b"\r\n\r\n")
    assert isinstance(result, RequestHead)
    return result


def refusal(head: RequestHead) -> HandshakeRefused:
    result = check_upgrade(head)
    assert isinstance(result, HandshakeRefused)
    return result


def upgrade(head: RequestHead) -> Upgrade:
    result = check_upgrade(head)
    assert isinstance(result, Upgrade), result
    return result


def test_accept_key() -> None:
    """The key of section 1.3 and its answer."""
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_example() -> None:
    """The handshake of section 1.3 is valid."""
    head = HeadParser().feed(EXAMPLE)
    assert isinstance(head, RequestHead)
    assert wants_upgrade(head)
    assert check_upgrade(head) == Upgrade(KEY, ("chat", "superchat"), ())


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"websocket", True),
        (b"WebSocket", True),
        (b"h2c, websocket", True),
        (b"h2c", False),
        (b"websockets", False),
        (b"", False),
        (None, False),
    ],
)
def test_wants_upgrade(value: bytes | None, wanted: bool) -> None:
    """The word is in the list, in any case (section 4.2.1 number 3)."""
    assert wants_upgrade(request(changed={b"Upgrade": value})) is wanted


@pytest.mark.parametrize(
    "value", [b"Upgrade", b"upgrade", b"keep-alive, Upgrade", b"UPGRADE,x"]
)
def test_connection(value: bytes) -> None:
    """Firefox sends a list (section 4.2.1 number 4)."""
    assert upgrade(request(changed={b"Connection": value})).key == KEY


@pytest.mark.parametrize(
    ("head", "status", "headers"),
    [
        pytest.param(
            request(b"POST / HTTP/1.1"), 405, ((b"Allow", b"GET"),), id="POST"
        ),
        pytest.param(
            request(b"get / HTTP/1.1"), 405, ((b"Allow", b"GET"),), id="lower case"
        ),
        pytest.param(request(b"GET / HTTP/1.0"), 400, (), id="HTTP/1.0"),
        pytest.param(request(changed={b"Content-Length": b"1"}), 400, (), id="body"),
        pytest.param(
            request(changed={b"Transfer-Encoding": b"chunked"}), 400, (), id="chunks"
        ),
        pytest.param(request(changed={b"Connection": None}), 400, (), id="no token"),
        pytest.param(
            request(changed={b"Connection": b"close"}), 400, (), id="other token"
        ),
        pytest.param(
            request(changed={b"Connection": b"upgrades"}), 400, (), id="longer token"
        ),
        pytest.param(
            request(b"GET / HTTP/1.1", b"Sec-WebSocket-Version: 13"),
            400,
            (),
            id="two versions",
        ),
        pytest.param(
            request(changed={b"Sec-WebSocket-Key": None}), 400, (), id="no key"
        ),
        pytest.param(
            request(b"GET / HTTP/1.1", b"Sec-WebSocket-Key: " + KEY),
            400,
            (),
            id="two keys",
        ),
        pytest.param(
            request(changed={b"Sec-WebSocket-Protocol": b"a b"}), 400, (), id="protocol"
        ),
        pytest.param(
            request(changed={b"Sec-WebSocket-Protocol": b'a, "b"'}), 400, (), id="quote"
        ),
        pytest.param(
            request(changed={b"Sec-WebSocket-Protocol": b"caf\xe9"}), 400, (), id="text"
        ),
        pytest.param(
            request(changed={b"Sec-WebSocket-Extensions": b"a;;b"}), 400, (), id="list"
        ),
    ],
)
def test_refused(
    head: RequestHead, status: int, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Each unmet requirement has its status (section 4.2.1)."""
    result = refusal(head)
    assert (result.status, result.headers) == (status, headers)
    assert result.reason


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({b"Sec-WebSocket-Version": b"8"}, []),
        ({b"Sec-WebSocket-Version": b"14"}, []),
        ({b"Sec-WebSocket-Version": b"013"}, []),
        ({b"Sec-WebSocket-Version": b"13, 8"}, []),
        ({b"Sec-WebSocket-Version": None}, []),
        (
            {b"Sec-WebSocket-Version": None, b"Sec-WebSocket-Key": None},
            [
                b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5",
                b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00",
            ],
        ),
    ],
)
def test_other_versions(changed: dict[bytes, bytes | None], more: list[bytes]) -> None:
    """For other versions, the 2010 drafts included, the answer names the supported one
    (section 4.4)."""
    result = refusal(request(b"GET / HTTP/1.1", *more, changed=changed))
    assert result.status == 426
    assert (b"Sec-WebSocket-Version", b"13") in result.headers
    assert (b"Upgrade", b"websocket") in result.headers


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"dGhlIHNhbXBsZSBub25j",  # 15 bytes
        b"dGhlIHNhbXBsZSBub25jZWE=",  # 17 bytes
        b"dGhlIHNhbXBsZSBub25jZR==",  # one bit too many
        b"dGhlIHNhbXBsZSBub25jZQ=",
        b"dGhlIHNhbXBsZSBub25jZQ",
        b"dGhlIHNhbXBsZSBub25jZQ===",
        b"dGhlIHNhbXBsZSBub2-jZQ==",
        b"dGhlIHNhbXBs ZSBub25jZQ==",
        b"dGhlIHNhbXBsZSBub25jZQ==, x",
    ],
)
def test_bad_keys(key: bytes) -> None:
    """A key must be 16 bytes in base64, as an encoder writes them (section 4.2.1 number
    5)."""
    assert refusal(request(changed={b"Sec-WebSocket-Key": key})).status == 400


def test_offers() -> None:
    """Offers are collected from several headers, in order (sections 9.1 and 11.3.4)."""
    head = request(
        b"GET / HTTP/1.1",
        b"Sec-WebSocket-Protocol: b, a",
        b"Sec-WebSocket-Extensions: foo; x",
        b"Sec-WebSocket-Protocol: a,c",
        b"Sec-WebSocket-Extensions: bar",
    )
    assert upgrade(head) == Upgrade(
        KEY,
        ("b", "a", "c"),
        (Extension("foo", (("x", None),)), Extension("bar")),
    )


def test_no_offered_subprotocol_can_end_a_line() -> None:
    """Each part of an offer that is sent back is a token, so it can't inject a
    header."""
    for octet in range(256):
        name = b"a" + bytes([octet]) + b"b"
        head = RequestHead(
            b"",
            b"GET",
            b"/",
            (1, 1),
            (
                *((k.lower(), v) for k, v in FIELDS.items()),
                (b"sec-websocket-protocol", name),
            ),
            0,
        )
        result = check_upgrade(head)
        if isinstance(result, HandshakeRefused):
            assert result.status == 400
            continue
        for subprotocol in result.subprotocols:
            wire = encode_switch(KEY, subprotocol, None)
            assert wire.count(b"\r\n") == 6
            assert wire.split(b"\r\n")[4] == (
                b"Sec-WebSocket-Protocol: " + subprotocol.encode("ascii")
            )


def test_switch() -> None:
    """The answer of section 1.3, and one with all optional headers."""
    assert encode_switch(KEY, None, None) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )
    assert encode_switch(KEY, "chat", b"foo; x", [(b"Server", b"wsplug")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"Sec-WebSocket-Extensions: foo; x\r\n"
        b"Server: wsplug\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("refused", "wire"),
    [
        (
            HandshakeRefused(426, "no", headers=[(b"Sec-WebSocket-Version", b"13")]),
            b"HTTP/1.1 426 Upgrade Required\r\n"
            b"Sec-WebSocket-Version: 13\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"X-Content-Type-Options: nosniff\r\n"
            b"Content-Length: 3\r\n"
            b"Connection: close\r\n"
            b"\r\n"
            b"no\n",
        ),
        (
            HandshakeRefused(404),
            b"HTTP/1.1 404 Not Found\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"X-Content-Type-Options: nosniff\r\n"
            b"Content-Length: 0\r\n"
            b"Connection: close\r\n"
            b"\r\n",
        ),
        (
            HandshakeRefused(
                403, "no", headers=[(b"Content-Type", b"text/html")], body=b"<p>\xc3"
            ),
            b"HTTP/1.1 403 Forbidden\r\n"
            b"Content-Type: text/html\r\n"
            b"Content-Length: 4\r\n"
            b"Connection: close\r\n"
            b"\r\n"
            b"<p>\xc3",
        ),
        (
            HandshakeRefused(599, body=b""),
            b"HTTP/1.1 599 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
    ],
)
def test_encode_refusal(refused: HandshakeRefused, wire: bytes) -> None:
    """A refusal is a complete response, after which the connection ends."""
    assert encode_refusal(refused) == wire


@pytest.mark.parametrize("status", [101, 200, 299, 600])
def test_what_is_no_refusal(status: int) -> None:
    """A success status is the application's mistake."""
    with pytest.raises(ValueError, match="from 300 to 599"):
        HandshakeRefused(status)
