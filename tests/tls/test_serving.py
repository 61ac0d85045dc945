"""
The server with a certificate, as a process: the certificates that clients get, and what
it logs about clients that don't speak TLS.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.interfaces import IProtocolNegotiationFactory

from tests.live.certificates import Authority, Issued
from tests.processes import (
    HANDSHAKE,
    HOST,
    PATIENCE,
    TCP,
    Server,
    checkEcho,
    portOf,
    runTwistd,
    serve,
    upgrade,
    waitUntil,
)
from tests.tls.kit import Client, trusting
from wsplug.server.factory import WebSocketFactory

pytestmark = pytest.mark.costly

APPLICATION = """
from wsplug import application

@application("whoami", help="Tell a client who it is.")
async def whoami(socket):
    certificate = socket.request.clientCertificate
    name = certificate.subject.rfc4514_string() if certificate else "nobody"
    await socket.send(f"{name} {socket.request.isSecure()}")
    async for message in socket:
        certificate = socket.request.clientCertificate
        await socket.send("still " + certificate.subject.rfc4514_string())
"""


def start(folder: Path, *arguments: str, listen: tuple[str, ...] = ()) -> Server:
    """
    Start a server whose port uses TLS, with the certificate in C{server.pem}.
    """
    return Server(
        folder,
        (
            *("--port=0", f"--interface={HOST}"),
            *("--tls-cert=server.pem", "--tls-key=server.key"),
            *(arguments or ("--app=echo",)),
        ),
        listen=listen,
    )


def connectTo(server: Server, trust: ssl.SSLContext) -> Client:
    return Client(server.port, trust)


def checkQuiet(server: Server) -> None:
    """
    Check that the server stops cleanly and has logged no failure.
    """
    assert server.stop() == 0
    assert "Traceback" not in server.log + server.err
    assert "Unhandled" not in server.log + server.err
    assert server.err == ""


# Replaced certificates


def test_replaced(tmp_path: Path, authority: Authority) -> None:
    """
    With new files and a SIGHUP, new connections get the new certificate with the whole
    chain, and open ones go on. Files that can't be used change nothing and are logged.
    Right files are also found without a signal.
    """
    between = Authority("between", authority)
    first = between.issue("first", HOST)
    Issued(first.certificate + between.pem, first.key).write(tmp_path)
    trust = trusting(authority)
    with start(tmp_path) as server:
        with connectTo(server, trust) as old:
            assert old.name == "first"
            authority.issue("second", HOST).write(tmp_path)
            server.signal(signal.SIGHUP)
            server.waitForLog("SIGHUP: reading the certificates again")
            server.waitForLog("new connections get the certificate for 127.0.0.1")
            with connectTo(server, trust) as new:
                assert new.name == "second"
                new.check()
                old.check()
                third = authority.issue("third", HOST)
                (tmp_path / "server.pem").write_bytes(third.certificate)
                server.signal(signal.SIGHUP)
                server.waitForLog("the old certificate stays in use: tls-key: ")
                with connectTo(server, trust) as newer:
                    assert newer.name == "second"
                seen = len(server.log)
                (tmp_path / "server.key").write_bytes(third.key)
                server.waitForLog("new connections get the certificate", seen)
                with connectTo(server, trust) as newer:
                    assert newer.name == "third"
                old.check()
                new.check()
        checkQuiet(server)


def test_nothing_to_read_again(tmp_path: Path) -> None:
    """
    Without a certificate, SIGHUP does nothing. In particular, it doesn't end the
    server.
    """
    with serve(tmp_path) as server:
        for _ in range(3):
            seen = len(server.log)
            server.signal(signal.SIGHUP)
            server.waitForLog("SIGHUP: there is nothing to reload", seen)
            checkEcho(server.port)
        checkQuiet(server)


def test_daemon(tmp_path: Path, authority: Authority) -> None:
    """
    The same holds for a daemon, which has changed its working directory: first with a
    certificate, then without.
    """
    authority.issue("first", HOST).write(tmp_path)
    trust = trusting(authority)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    pidfile, logfile = tmp_path / "pid", tmp_path / "log"
    twistd = ("--pidfile=pid", f"--logfile={logfile}", f"--rundir={elsewhere}")
    port = ("--port=0", f"--interface={HOST}")
    tls = ("--tls-cert=server.pem", "--tls-key=server.key")

    def logged(text: str) -> None:
        waitUntil(lambda: text in logfile.read_text("utf-8"), text)

    for certificate in (True, False):
        logfile.unlink(missing_ok=True)
        arguments = (*twistd, "wsplug", "--app=echo", *port)
        started = runTwistd(tmp_path, *arguments, *(tls if certificate else ()))
        assert started == (0, "", "")
        pid = int(pidfile.read_text("ascii"))
        try:
            logged("listening on")
            logged("codec: ")
            if certificate:
                (line,) = (
                    line
                    for line in logfile.read_text("utf-8").splitlines()
                    if "listening on" in line
                )
                authority.issue("second", HOST).write(tmp_path)
                os.kill(pid, signal.SIGHUP)
                logged("new connections get the certificate")
                with Client(portOf(line), trust) as client:
                    assert client.name == "second"
                    client.check()
            else:
                os.kill(pid, signal.SIGHUP)
                logged("SIGHUP: there is nothing to reload")
        finally:
            os.kill(pid, signal.SIGTERM)
        waitUntil(lambda: not pidfile.exists(), "it has ended")
        assert "Traceback" not in logfile.read_text("utf-8")


# Clients without TLS on a port with it, and clients with TLS on a port without it


@pytest.fixture(scope="module")
def served(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """
    A server with a TLS port and a plain one. At the end, it has logged no failure.
    """
    folder = tmp_path_factory.mktemp("served")
    authority.issue("server", HOST).write(folder)
    arguments = ("--app=echo", "--open-timeout=0.5", "--close-timeout=30")
    with start(folder, *arguments, listen=(TCP,)) as server:
        yield server
        checkQuiet(server)


def readAll(client: socket.socket) -> bytes:
    data = b""
    while part := client.recv(65536):
        data += part
    return data


@pytest.mark.everyday
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HANDSHAKE % b"/", "this is HTTP without TLS"),
        (b"POST / HTTP/1.1\r\n", "this is HTTP without TLS"),
        (b"hello there\r\n", "this is not TLS"),
        (b"\0" * 1000, "this is not TLS"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "failed in TLS: "),
        (b"\x16\x03\x01\xff\xff" + b"\xff" * 100, "failed in TLS: "),
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "failed in TLS: "),
    ],
    ids=["HTTP", "POST", "words", "zeros", "hello", "length", "SSLv2"],
)
def test_not_tls(served: Server, data: bytes, words: str) -> None:
    """
    Input that isn't TLS ends the connection at once, with one line that says what it
    was.
    """
    seen = len(served.log)
    with socket.create_connection((HOST, served.port), PATIENCE) as client:
        client.sendall(data)
        readAll(client)
    served.waitForLog(words, seen)
    assert served.log[seen:].count("failed in TLS: ") == 1


def test_half_handshake(served: Server) -> None:
    """
    A handshake that isn't complete in time is cut off, without waiting for the peer to
    close. One line names the timeout.
    """
    seen = len(served.log)
    with socket.create_connection((HOST, served.port), PATIENCE) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01")
        with pytest.raises(ConnectionResetError):
            readAll(client)
    served.waitForLog("failed in TLS: no complete handshake in 0.5 seconds", seen)


def test_slow_request(served: Server, authority: Authority) -> None:
    """
    A client that sends nothing after the TLS handshake gets a 408, as without TLS.
    """
    trust = trusting(authority)
    with (
        socket.create_connection((HOST, served.port), PATIENCE) as plain,
        trust.wrap_socket(plain, server_hostname=HOST) as client,
    ):
        assert readAll(client).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_gone_in_the_handshake(
    served: Server, authority: Authority, data: bytes, reset: bool
) -> None:
    """
    A client may leave before or during the handshake, by closing or with a reset.
    Others are unaffected.
    """
    with socket.create_connection((HOST, served.port), PATIENCE) as client:
        client.sendall(data)
        if reset:
            client.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
    with connectTo(served, trusting(authority)) as other:
        other.check()


def test_gone_later(served: Server, authority: Authority) -> None:
    """
    A connection that ends without TLS's close alert, or with bytes that aren't TLS, has
    one line like any other.
    """
    for last in (b"", b"no TLS at all, is it?"):
        seen = len(served.log)
        client = upgrade(served.port, trust=trusting(authority))
        plain = socket.socket(fileno=client.detach())
        with plain:
            plain.sendall(last)
        served.waitForLog("closed by the peer, without a handshake, 1006", seen)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_client(served: Server, authority: Authority) -> None:
    """
    A client of TLS 1.1 gets an alert, and the log says so.
    """
    trust = trusting(authority)
    trust.set_ciphers("ALL:@SECLEVEL=0")
    trust.minimum_version = ssl.TLSVersion.TLSv1
    trust.maximum_version = ssl.TLSVersion.TLSv1_1
    seen = len(served.log)
    with (
        socket.create_connection((HOST, served.port), PATIENCE) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol|version"),
    ):
        trust.wrap_socket(plain, server_hostname=HOST)
    served.waitForLog("failed in TLS: unsupported protocol", seen)


def test_distrustful_client(served: Server) -> None:
    """
    A client that doesn't trust the certificate sends an alert, which is logged.
    """
    seen = len(served.log)
    with pytest.raises(ssl.SSLError):
        connectTo(served, ssl.create_default_context())
    served.waitForLog("unknown ca", seen)


def test_tls_where_there_is_none(served: Server, authority: Authority) -> None:
    """
    A client that uses TLS on a plain port gets an answer in plain HTTP, from which it
    sees that the port doesn't use TLS. The log says that the request looks like TLS.
    """
    port = portOf(served.addresses[1])
    seen = len(served.log)
    with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version|record"):
        Client(port, trusting(authority))
    served.waitForLog(
        "refused: 400 this looks like TLS; the port doesn't use TLS", seen
    )
    checkEcho(port)


def test_plain_client(served: Server) -> None:
    """
    A client that uses ws:// on a wss:// port sees the connection close.
    """
    with pytest.raises((AssertionError, ConnectionError)):
        upgrade(served.port)


def test_too_many(tmp_path: Path, authority: Authority) -> None:
    """
    A client over the limit gets its 503 within TLS.
    """
    authority.issue("server", HOST).write(tmp_path)
    with start(tmp_path, "--app=echo", "--max-connections=1") as server:
        with Client(server.port, trusting(authority)) as first:
            first.check()
            with pytest.raises(AssertionError, match=r"HTTP/1\.1 503 "):
                Client(server.port, trusting(authority))
        server.waitForLog("closed by the peer")
        checkQuiet(server)


def test_stop_with_idle_page(tmp_path: Path, authority: Authority) -> None:
    """
    A browser's idle connection, kept open after its page, doesn't delay the stop, even
    if the browser never answers.
    """
    authority.issue("server", HOST).write(tmp_path)
    arguments = ("--app=echo", "--stop-timeout=1h", "--close-timeout=1h")
    with (
        start(tmp_path, *arguments) as server,
        socket.create_connection((HOST, server.port), PATIENCE) as plain,
        trusting(authority).wrap_socket(plain, server_hostname=HOST) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        checkQuiet(server)


# Clients' certificates


@pytest.mark.everyday
def test_clients(tmp_path: Path, authority: Authority) -> None:
    """
    Clients with a valid certificate are accepted, and applications see its subject for
    as long as they have the request. Clients with none or an invalid one are refused,
    but with optional certificates those with none are accepted.
    """
    authority.issue("server", HOST).write(tmp_path)
    clients = Authority("clients")
    clients.write(tmp_path, "clients")
    (tmp_path / "whoami.py").write_text(APPLICATION, "utf-8")

    def showing(issued: Issued | None) -> ssl.SSLContext:
        trust = trusting(authority)
        if issued is not None:
            trust.load_cert_chain(*issued.write(tmp_path, "shown"))
        return trust

    arguments = ("--tls-client-ca=clients.pem", "--app=whoami.py")
    ann = clients.issue("ann")
    for optional in (False, True):
        more = ("--tls-client=optional",) if optional else ()
        with start(tmp_path, *arguments, *more) as server:
            with connectTo(server, showing(ann)) as client:
                assert client.receive() == "CN=ann True"
                client.send("")
                assert client.receive() == "still CN=ann"
            with pytest.raises((OSError, AssertionError)):
                connectTo(server, showing(authority.issue("ann")))
            server.waitForLog("failed in TLS: certificate verify failed")
            if optional:
                with connectTo(server, showing(None)) as client:
                    assert client.receive() == "nobody True"
            else:
                with pytest.raises((OSError, AssertionError)):
                    connectTo(server, showing(None))
                server.waitForLog("failed in TLS: peer did not return a certificate")
            checkQuiet(server)


# Endpoint strings


def test_endpoint_string_with_alpn(tmp_path: Path, authority: Authority) -> None:
    """
    RFC 7301 section 3.2: on an ssl: endpoint, browsers and curl, which offer HTTP/2 and
    HTTP/1.1, get HTTP/1.1. A client that offers only HTTP/1.1, or nothing, connects,
    too.
    """
    authority.issue("server", HOST).write(tmp_path)
    listen = f"ssl:0:interface={HOST}:privateKey=server.key:certKey=server.pem"
    with Server(tmp_path, ["--app=echo"], listen=[listen]) as server:
        for offer in (["h2", "http/1.1"], ["http/1.1"], []):
            trust = trusting(authority)
            if offer:
                trust.set_alpn_protocols(offer)
            with (
                socket.create_connection((HOST, server.port), PATIENCE) as plain,
                trust.wrap_socket(plain, server_hostname=HOST) as client,
            ):
                # Twisted before 26.4 ignores the client's offer.
                answers = IProtocolNegotiationFactory.implementedBy(WebSocketFactory)
                expected = "http/1.1" if offer and answers else None
                assert client.selected_alpn_protocol() == expected
                client.sendall(b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.recv(1024).startswith(b"HTTP/1.1 200 ")
        checkQuiet(server)


def test_endpoint_string(tmp_path: Path, authority: Authority) -> None:
    """
    An ssl: endpoint still works, and logs the same about clients that don't speak TLS.
    """
    between = Authority("between", authority)
    between.issue("server", HOST).write(tmp_path)
    between.write(tmp_path, "chain")
    listen = (
        f"ssl:0:interface={HOST}:privateKey=server.key:certKey=server.pem"
        ":extraCertChain=chain.pem"
    )
    with Server(tmp_path, ["--app=echo"], listen=[listen]) as server:
        with connectTo(server, trusting(authority)) as client:
            client.check()
        with socket.create_connection((HOST, server.port), PATIENCE) as plain:
            plain.sendall(HANDSHAKE % b"/")
            readAll(plain)
        server.waitForLog("failed in TLS: this is HTTP without TLS")
        server.signal(signal.SIGHUP)
        server.waitForLog("SIGHUP: there is nothing to reload")
        with connectTo(server, trusting(authority)) as client:
            client.check()
        checkQuiet(server)
