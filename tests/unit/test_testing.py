"""The test kit that plugin authors rely on (wsplug.testing)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.server.kit import App, Producer, Recorder, openOne
from wsplug import HandshakeRefused, application
from wsplug.apps.echo import echo
from wsplug.authoring.coroutine import WebSocket
from wsplug.codec import FIN, OP_PING, encode_frame
from wsplug.errors import InvalidOption
from wsplug.testing import MemoryServer, MemoryTransport


def test_as_documented() -> None:
    """The example in the module's docstring works."""
    client = MemoryServer(echo).connect()
    client.send("hello")
    assert client.messages == ["hello"]
    assert client.receive() == "hello"
    assert client.messages == []
    with pytest.raises(AssertionError, match="no message has arrived"):
        client.receive()


def test_refused() -> None:
    """connect raises the server's refusal."""
    server = MemoryServer(App(), path="/chat")
    with pytest.raises(HandshakeRefused) as caught:
        server.connect("/")
    assert caught.value.status == 404
    assert caught.value.reason == "no application is at this path"
    assert (b"Connection", b"close") in caught.value.headers


def test_start_fails() -> None:
    """A failure of startApplication is raised."""

    class Fails(App):
        def startApplication(self) -> object:
            return fail(KeyError("x"))

    with pytest.raises(KeyError):
        MemoryServer(Fails())


def test_wrong_options() -> None:
    """Options are parsed as on the command line."""
    with pytest.raises(InvalidOption, match="unknown option 'x'"):
        MemoryServer(echo, options={"x": 1})


def test_client_stops_reading() -> None:
    """While a client doesn't read, output accumulates; the client receives all of it
    later.
    """
    opened = openOne()
    opened.client.stopReading()
    opened.transport.sendTextMessage("a")
    opened.server.run()
    assert opened.client.messages == []
    opened.client.startReading()
    assert opened.client.messages == ["a"]


def test_client_answers() -> None:
    """Pings and closes work as in browsers."""
    opened = openOne()
    opened.transport.ping(b"x")
    opened.transport.loseConnection(4000)
    opened.server.run()
    assert opened.client.pings == [b"x"]
    assert opened.client.closed == (4000, "")
    assert opened.recorder.closed.clean


def test_drop() -> None:
    """A client can drop the connection without a close."""
    opened = openOne()
    opened.client.drop()
    assert opened.client.closed == (1006, "")
    assert opened.recorder.closed.code == 1006


def test_ports_differ() -> None:
    """Each client has its own address."""
    app = App()
    server = MemoryServer(app)
    server.connect(), server.connect()
    assert len({str(request.getClientAddress()) for request in app.requests}) == 2


def test_time_stands_still() -> None:
    """Time passes only when the test advances it."""
    server = MemoryServer(App())
    server.connect()
    assert server.clock.seconds() == 0
    server.advance(2.5)
    assert server.clock.seconds() == 2.5


@pytest.mark.parametrize("size", [0, 10, 65_536, 65_537, 1_000_000])
def test_request(tmp_path: Path, size: int) -> None:
    """A page in the application's folder arrives whole, however large, without any
    time passing. Nothing of its connection is left.
    """
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "page.bin").write_bytes(content[:size])
    server = MemoryServer(App(pages=str(tmp_path)))
    response = server.request("GET", "/page.bin")
    assert (response.status, response.body) == (200, content[:size])
    assert response.headers["content-length"] == str(size)
    assert server.clock.seconds() == 0
    assert not server.clock.getDelayedCalls()


def test_request_index(tmp_path: Path) -> None:
    """So do a plugin's page and a folder's index, one after the other."""

    @application("paged", pages=str(tmp_path))
    async def paged(socket: WebSocket) -> None:
        pass

    (tmp_path / "index.html").write_text("<p>hello")
    server = MemoryServer(paged)
    for target in ("/", "/?a=b", "/index.html"):
        response = server.request("GET", target)
        assert (response.status, response.body) == (200, b"<p>hello")
        assert response.headers["content-type"] == "text/html"


def test_request_part(tmp_path: Path) -> None:
    """Headers are sent with the request: part of a file comes from another of
    Twisted's producers. A request for several parts gets the whole file (RFC 9110
    section 14.2).
    """
    (tmp_path / "page.bin").write_bytes(b"0123456789" * 20_000)
    server = MemoryServer(App(pages=str(tmp_path)))
    headers = [("Range", "bytes=10-150009")]
    response = server.request("GET", "/page.bin", headers=headers)
    assert (response.status, response.body) == (206, b"0123456789" * 15_000)
    headers = [("Range", "bytes=0-4,100000-199999")]
    response = server.request("GET", "/page.bin", headers=headers)
    assert (response.status, response.body) == (200, b"0123456789" * 20_000)


def test_request_without_body(tmp_path: Path) -> None:
    """HEAD returns the page's headers, without waiting for a body."""
    (tmp_path / "index.html").write_text("<p>hello")
    response = MemoryServer(App(pages=str(tmp_path))).request("HEAD")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == "8"


class Form(Resource):
    """Returns the posted body in chunks; never answers a GET."""

    isLeaf = True

    def render_POST(self, request: Any) -> int:
        request.responseHeaders.setRawHeaders("X-Tag", ["a", "b"])
        request.write(b"got ")
        request.write(request.content.read())
        request.finish()
        return NOT_DONE_YET

    def render_GET(self, request: Any) -> int:
        request.write(b"begun")
        return NOT_DONE_YET


def test_request_with_body() -> None:
    """A request's body is sent, and a chunked response is decoded."""
    server = MemoryServer(App())
    form = Form()  # type: ignore[no-untyped-call]
    server.factory.site = Site(form, reactor=server.clock)
    response = server.request("POST", "/form", body=b"a=b")
    assert (response.status, response.body) == (200, b"got a=b")
    assert response.headers["x-tag"] == "a, b"


def test_request_unanswered() -> None:
    """An incomplete response isn't returned."""
    server = MemoryServer(App())
    form = Form()  # type: ignore[no-untyped-call]
    server.factory.site = Site(form, reactor=server.clock)
    with pytest.raises(AssertionError, match=r"the response is incomplete.*begun"):
        server.request("GET")
    with pytest.raises(AssertionError, match="the response is incomplete: b''"):
        server.request("PUT", headers=[("Content-Length", "1")])


def test_stop() -> None:
    """Stopping follows the service's order: connections, then the application."""
    app = App()
    server = MemoryServer(app)
    client = server.connect()
    done: list[object] = []
    server.stop().addCallback(done.append)
    assert client.closed == (1001, "the server is stopping")
    assert (app.calls, done) == (["start", "stop"], [None])


def test_stop_with_a_coroutine() -> None:
    """An application may stop in a coroutine, and the server waits for it."""
    stopped: Deferred[None] = Deferred()
    ended: list[object] = []

    class Slow(App):
        async def stopApplication(self) -> None:
            await stopped

    server = MemoryServer(Slow())
    server.stop().addCallback(ended.append)
    assert ended == []
    stopped.callback(None)
    assert ended == [None]


def test_addresses() -> None:
    """Clients have the addresses that the test chooses."""

    @application("address", help="Tell the client's address.")
    async def address(socket: WebSocket) -> None:
        client: Any = socket.request.getClientAddress()
        await socket.send(client.host)

    server = MemoryServer(address)
    for host in ("192.0.2.7", "2001:db8::7"):
        assert server.connect(address=host).messages == [host]


class Noting(Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.reasons: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reasons.append(reason)


def wire() -> tuple[MemoryTransport, Noting]:
    address = IPv4Address("TCP", "192.0.2.1", 1)
    transport, protocol = MemoryTransport(address, address), Noting()
    transport.attach(protocol)
    return transport, protocol


def test_transport_reads_as_told() -> None:
    """While it is paused, it keeps incoming data; the end comes after the data."""
    transport, protocol = wire()
    transport.pauseProducing()
    transport.put(b"abc")
    transport.shut()
    assert not transport.step()
    assert (protocol.data, protocol.reasons) == (b"", [])
    transport.resumeProducing()
    while transport.step():
        pass
    assert protocol.data == b"abc"
    assert len(protocol.reasons) == 1


def test_transport_pauses_its_producer() -> None:
    """Above 64 KiB, the producer is paused; it resumes when everything has been
    read.
    """
    transport, _ = wire()
    producer = Producer()
    transport.registerProducer(producer, True)
    with pytest.raises(RuntimeError):
        transport.registerProducer(producer, True)
    transport.write(b"x" * 65536)
    assert producer.calls == []
    transport.write(b"x")
    assert producer.calls == ["pause"]
    assert len(transport.take()) == 65537
    assert producer.calls == ["pause", "resume"]
    transport.abortConnection()
    assert producer.calls == ["pause", "resume", "stop"]


def test_transport_flushes_before_it_closes() -> None:
    """loseConnection: data written before is still read, and nothing is written
    later.
    """
    transport, protocol = wire()
    transport.writeSequence([b"a", b"b"])
    transport.loseConnection()
    transport.write(b"c")
    assert not transport.step()
    assert protocol.reasons == []
    assert transport.take() == b"ab"
    assert transport.step()
    assert len(protocol.reasons) == 1


def test_transport_half_closes() -> None:
    """loseWriteConnection: the client reads the end, and may still send."""
    transport, protocol = wire()
    transport.write(b"a")
    transport.loseWriteConnection()
    transport.write(b"b")
    assert not transport.closedForWriting
    assert transport.take() == b"a"
    assert transport.closedForWriting
    transport.put(b"c")
    assert transport.step()
    assert protocol.data == b"c"
    assert not transport.lost


def test_transport_aborts() -> None:
    """abortConnection: the data is discarded, and the connection is closed."""
    transport, protocol = wire()
    transport.write(b"a")
    transport.abortConnection()
    transport.abortConnection()
    assert transport.aborted
    assert transport.lost
    assert transport.take() == b""
    assert len(protocol.reasons) == 1


def test_server_that_breaks_the_protocol() -> None:
    """The test client is strict: what a server must never send raises an
    AssertionError.
    """
    recorder = Recorder()
    opened = openOne(recorder)
    opened.client.transport.write(b"\xff\xff")
    with pytest.raises(AssertionError, match="broke the protocol"):
        opened.server.run()


def test_no_time_passes() -> None:
    """Advancing by zero runs the calls that are due, on both sides, and no others."""

    @application("later")
    async def later(socket: WebSocket) -> None:
        await socket.sleep(0)
        await socket.send("now")
        await socket.sleep(1)
        await socket.send("later")

    server = MemoryServer(later)
    client = server.connect()
    called: list[str] = []
    server.clock.callLater(0, called.append, "due")
    client.transport.put(encode_frame(FIN | OP_PING, b"ping", b"mask"))
    server.advance(0)
    assert called == ["due"]
    assert client.messages == ["now"]
    assert client.pongs == [b"ping"]
    assert server.clock.seconds() == 0
