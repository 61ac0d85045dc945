"""
Limits for each connection, each address, and the whole server (DESIGN section 5).
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.server.kit import App, Logs, Recorder, frame, handshake, openOne, raw
from wsplug import ConnectionClosed, Settings, Side
from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CONTINUATION,
    OP_PING,
    OP_TEXT,
    RSV1,
    encode_frame,
)
from wsplug.codec.masking import FIRST_BUFFER_SIZE
from wsplug.errors import HandshakeRefused
from wsplug.guard.proxies import ProxySettings
from wsplug.testing import MemoryClient, MemoryServer, MemoryTransport

OTHER = "203.0.113.7"


class World:
    """
    A server with limits, its application, and clients that aren't exempt.
    """

    def __init__(self, **settings: Any) -> None:
        self.app = App()
        self.server = MemoryServer(self.app, settings=Settings(**settings), exempt=())

    @property
    def last(self) -> Recorder:
        return self.app.recorders[-1]

    def connect(self, address: str = "192.0.2.1") -> MemoryClient:
        return self.server.connect(address=address)

    def refuse(self, address: str = "192.0.2.1") -> tuple[int, str | None, int]:
        """
        Connect and be refused. Return the status, the setting, and Retry-After.
        """
        with pytest.raises(HandshakeRefused) as caught:
            self.connect(address)
        refusal = self.server.factory.statistics.refusals[-1]
        assert refusal.status == caught.value.status
        seconds = int(dict(caught.value.headers)[b"Retry-After"])
        return refusal.status, refusal.setting, seconds

    def checkClosed(self, client: MemoryClient, code: int, setting: str) -> None:
        """
        The client, its application and the statistics agree on its end.
        """
        recorder = self.last
        assert client.closed is not None
        assert client.closed[0] == code
        closed = _lost(self.server, recorder)
        assert (closed.code, closed.side, closed.setting) == (
            code,
            Side.SERVER,
            setting,
        )
        disconnect = self.server.factory.statistics.disconnects[-1]
        assert (disconnect.code, disconnect.setting) == (code, setting)
        assert disconnect.reason == closed.reason


def _lost(server: MemoryServer, recorder: Recorder) -> ConnectionClosed:
    server.advance(10)
    return recorder.closed


# Messages and bytes


@pytest.mark.parametrize("kind", ["text", "binary", "ping", "pong"])
def test_too_many_messages(kind: str) -> None:
    """
    More messages or control frames than ten seconds' worth close with 1008, and nothing
    after them is delivered.
    """
    world = World(max_message_rate=3)
    client = world.connect()
    first = {"text": 0x81, "binary": 0x82, "ping": 0x89, "pong": 0x8A}[kind]
    client.transport.put(frame(b"x", first) * 40)
    world.server.run()
    recorder = world.last
    delivered = {"text": "text", "binary": "bytes", "pong": "pong"}.get(kind)
    if delivered:
        assert len(recorder.got(delivered)) == 30
    world.checkClosed(client, 1008, "max-message-rate")


def test_enough_messages() -> None:
    """
    A client within the rate is never closed.
    """
    world = World(max_message_rate=4, ping_interval=0.0)
    client = world.connect()
    for _ in range(200):
        client.send("x")
        world.server.clock.advance(0.25)
    assert len(world.last.got("text")) == 200
    assert client.closed is None


@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_too_many_bytes(cut: int) -> None:
    """
    More bytes than ten seconds' worth close with 1008, however they are cut.
    """
    world = World(max_byte_rate=100, max_message_size=500, max_fragments=1)
    client = world.connect()
    data = frame(bytes(100), FIN | OP_BINARY) * 12
    for start in range(0, len(data), cut):
        client.transport.put(data[start : start + cut])
        world.server.run()
    assert len(world.last.got("bytes")) <= 9
    world.checkClosed(client, 1008, "max-byte-rate")


def test_a_message_within_the_limit() -> None:
    """
    A message of the maximum size always passes, however low the byte rate is.
    """
    world = World(max_byte_rate=1, max_address_byte_rate=1, max_message_size=400_000)
    client = world.connect()
    client.send(bytes(400_000))
    assert [len(data) for data in world.last.got("bytes")] == [400_000]
    client.send(bytes(400_000))
    client.send(bytes(400_000))
    world.checkClosed(client, 1008, "max-byte-rate")


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_inflated_bytes(kind: str) -> None:
    """
    The decompressed size counts: a few bytes can mean a lot of work.
    """
    world = World(max_byte_rate=100_000, ping_interval=0.0)
    client = world.server.connect(address=OTHER, compression=True)
    message: str | bytes = "x" * 500_000 if kind == "text" else bytes(500_000)
    client.send(message)
    assert client.closed is None
    for _ in range(4):
        client.send(message)
    world.checkClosed(client, 1008, "max-byte-rate")


def test_too_many_messages_of_an_address() -> None:
    """
    All connections of an address have one account. The one that exceeds it is closed,
    the others stay, and new ones are refused for a while.
    """
    world = World(max_address_message_rate=3, cool_down=20.0)
    first, second = world.connect(), world.connect()
    other = world.connect(OTHER)
    for _ in range(15):
        first.send("x")
        second.send("x")
    assert first.closed is None
    second.send("x")
    assert second.closed == (1008, "too many messages from this address")
    assert first.closed is None
    other.send("x")
    assert other.closed is None
    assert world.refuse() == (429, "cool-down", 20)
    world.connect(OTHER)
    world.server.advance(20)
    world.connect()


def test_kept_across_a_reconnect() -> None:
    """
    Reconnecting doesn't reset the account.
    """
    world = World(max_address_message_rate=3)
    client = world.connect()
    for _ in range(30):
        client.send("x")
    client.close()
    client = world.connect()
    client.send("x")
    world.checkClosed(client, 1008, "max-address-message-rate")


def test_closed_is_closed(logs: Logs) -> None:
    """
    Further input of a closed connection is ignored, and doesn't close it twice.
    """
    world = World(max_message_rate=1)
    client = world.connect()
    for _ in range(30):
        client.transport.put(frame(b"x") * 100)
        world.server.run()
    assert len(world.last.got("text")) == 10
    world.server.advance(20)
    assert world.last.names.count("lost") == 1
    (line,) = logs.lines("closed by")
    assert "1008: too many messages (max-message-rate)" in line


def test_unlimited() -> None:
    """
    If all rates are off, nothing is counted.
    """
    limit = 2**61
    world = World(
        max_message_rate=limit,
        max_byte_rate=limit,
        max_address_message_rate=limit,
        max_address_byte_rate=limit,
    )
    client = world.connect()
    client.transport.put(frame(b"x") * 50_000)
    world.server.run()
    assert len(world.last.got("text")) == 50_000


def test_exempt() -> None:
    """
    Exempt addresses have no rates, and any number of connections.
    """
    app = App()
    settings = Settings(
        max_message_rate=1, max_address_connections=1, max_address_handshake_rate=1
    )
    server = MemoryServer(app, settings=settings, exempt=("203.0.113.0/24",))
    clients = [server.connect(address=OTHER) for _ in range(50)]
    for _ in range(50):
        clients[-1].send("x")
    assert len(app.recorders[-1].got("text")) == 50
    server.connect()
    with pytest.raises(HandshakeRefused):
        server.connect()


# Connections and handshakes


def test_connections_of_an_address() -> None:
    """
    One connection too many from an address gets 429 before its request. Connections
    that aren't WebSockets yet count.
    """
    world = World(max_address_connections=3)
    world.connect()
    world.server.connectTransport()
    client = world.connect()
    assert world.refuse() == (429, "max-address-connections", 10)
    world.connect(OTHER)
    client.close()
    world.connect()
    world.refuse()


def test_handshakes_of_an_address() -> None:
    """
    More connections than ten seconds' worth at once get 429 with Retry-After.
    """
    world = World(max_address_handshake_rate=1)
    for _ in range(10):
        world.connect().close()
    assert world.refuse() == (429, "max-address-handshake-rate", 1)
    world.connect(OTHER)
    world.server.advance(1)
    world.connect()


def test_refused_connections_end_the_account() -> None:
    """
    A connection that is refused for another reason, or sends no request, is removed
    from its account, too.
    """
    world = World(max_address_connections=1)
    for data in (b"nonsense\r\n\r\n", handshake("GET /%% HTTP/9.9"), b"GET / HT"):
        transport = raw(world.server, data)
        world.refuse()
        transport.shut()
        world.server.run()
        world.server.advance(30)
    world.connect()


# Fragments


def test_fragments() -> None:
    """
    A message with too many frames closes with 1008, although it is small.
    """
    world = World(max_fragments=5)
    client = world.connect()
    more = frame(b"", OP_CONTINUATION)
    client.transport.put(frame(b"a", OP_TEXT) + more * 3 + frame(b"b", 0x80))
    world.server.run()
    assert world.last.got("text") == ["ab"]
    client.transport.put(frame(b"a", OP_TEXT) + more * 4 + frame(b"", FIN | OP_PING))
    world.server.run()
    assert client.closed is None
    client.transport.put(frame(b"b", FIN | OP_CONTINUATION))
    world.server.run()
    world.checkClosed(client, 1008, "max-fragments")


# The whole server's memory


def _stall(world: World, size: int) -> tuple[MemoryTransport, Recorder]:
    """
    A client that doesn't read its messages.
    """
    transport = world.server.connectTransport(OTHER)
    transport.put(handshake())
    world.server.run()
    transport.take()
    recorder = world.last
    recorder.transport.sendBytesMessage(bytes(200_000))
    world.server.run()
    if size:
        recorder.transport.sendBytesMessage(bytes(size))
        world.server.run()
    return transport, recorder


def test_output_of_all() -> None:
    """
    If too much output waits for all clients together, the connections with the most are
    closed, and only as many as needed. The others keep their output.
    """
    world = World(max_send_buffer_total=3_600_000, max_send_buffer=2_000_000)
    small = [_stall(world, 100_000) for _ in range(3)]
    large = [_stall(world, 900_000) for _ in range(2)]
    waiting = world.server.factory.sendBuffers
    held = sum(each.transport.bufferedAmount for _, each in small + large)
    assert waiting.used == held
    assert 3_000_000 < held < 3_600_000
    _, last = _stall(world, 800_000)
    assert waiting.used <= 0.9 * 3_600_000
    gone = [each for _, each in large if not _isOpen(each)]
    assert len(gone) >= 1
    assert all(_isOpen(each) for _, each in small)
    assert _isOpen(last)
    world.server.advance(10)
    for recorder in gone:
        closed = recorder.closed
        assert (closed.code, closed.setting) == (1013, "max-send-buffer-total")
        assert "bytes wait" in closed.reason


def _isOpen(recorder: Recorder) -> bool:
    before = recorder.transport.bufferedAmount
    recorder.transport.sendTextMessage("?")
    return recorder.failure is None and recorder.transport.bufferedAmount > before


def test_output_is_given_back() -> None:
    """
    Output that is read, dropped or lost isn't counted any more.
    """
    world = World(max_send_buffer=500_000)
    stalled = [_stall(world, 200_000) for _ in range(4)]
    waiting = world.server.factory.sendBuffers
    assert waiting.used > 800_000
    assert len(waiting) == 4
    while stalled[0][0].take():
        world.server.run()
    assert len(waiting) == 3
    stalled[1][1].transport.abortConnection()
    stalled[2][1].transport.sendBytesMessage(bytes(500_000))
    world.server.run()
    stalled[2][1].transport.sendBytesMessage(bytes(500_000))  # max-send-buffer
    assert stalled[2][1].transport.bufferedAmount < 210_000
    stalled[3][0].shut()
    world.server.advance(60)
    assert waiting.used == 0
    assert len(waiting) == 0


def test_partly_sent_is_aborted() -> None:
    """
    A frame that is partly sent can't be dropped alone: if it is most of the output, the
    connection is aborted.
    """
    world = World(max_send_buffer_total=250_000, max_send_buffer=2_000_000)
    _, recorder = _stall(world, 0)
    recorder.transport.sendBytesMessage(bytes(300_000))
    world.server.run()
    world.server.advance(6)
    assert recorder.closed.setting == "max-send-buffer-total"
    assert world.server.factory.sendBuffers.used == 0


def _begin(world: World, size: int) -> Recorder:
    """
    A client that sends the beginning of a message.
    """
    transport = world.server.connectTransport(OTHER)
    transport.put(handshake() + frame(bytes(size), OP_BINARY))
    world.server.run()
    return world.last


@pytest.mark.parametrize("size", [20_000, 200_000])
def test_incomplete_of_all(size: int) -> None:
    """
    If all incomplete messages together are too large, the connections with the largest
    are closed.
    """
    world = World(max_incomplete_total=10 * size, max_address_byte_rate=1 << 40)
    small = [_begin(world, size // 2) for _ in range(4)]
    large = [_begin(world, 2 * size) for _ in range(3)]
    incomplete = world.server.factory.incompleteMessages
    assert 7 * size < incomplete.used <= 8.1 * size
    large += [_begin(world, 2 * size) for _ in range(2)]
    assert incomplete.used <= 9 * size
    assert all(each.failure is None for each in small)
    world.server.advance(6)
    gone = [each for each in large if each.failure is not None]
    for each in gone:
        assert (each.closed.code, each.closed.setting) == (1013, "max-incomplete-total")
    assert 1 <= len(gone) <= 2


def test_incomplete_is_given_back() -> None:
    """
    Messages that are completed, invalid or lost aren't counted any more.
    """
    world = World(ping_interval=0.0)
    incomplete = world.server.factory.incompleteMessages
    client = world.connect()
    data = encode_frame(OP_TEXT, b"x" * 50_000, b"abcd")
    client.transport.put(data)
    world.server.run()
    assert incomplete.used == 50_000
    client.transport.put(encode_frame(FIN | OP_CONTINUATION, b"", b"abcd"))
    world.server.run()
    assert incomplete.used == 0
    client.transport.put(data)
    world.server.run()
    client.transport.put(frame(b"", 0x83))
    world.server.run()
    assert incomplete.used == 0
    # Of a large one, the place is held before it is filled.
    for whole, held in ((60_000, 60_000), (600_000, FIRST_BUFFER_SIZE)):
        transport = world.server.connectTransport()
        transport.put(handshake())
        transport.put(encode_frame(FIN | OP_BINARY, bytes(whole), b"abcd")[:50_000])
        world.server.run()
        assert incomplete.used == held
        transport.shut()
        world.server.run()
        assert incomplete.used == 0
    assert len(incomplete) == 0


def test_held_while_the_application_works() -> None:
    """
    Input that can't be delivered yet is counted, too.
    """
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(text=lambda _: waiting))
    opened.client.transport.put(frame(b"x") + frame(bytes(60_000), FIN | OP_BINARY))
    opened.server.run()
    incomplete = opened.server.factory.incompleteMessages
    assert incomplete.used > 60_000
    waiting.callback(None)
    opened.server.run()
    opened.client.send("y")
    assert incomplete.used == 0


def _compressed(payload: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], FIN | RSV1 | OP_BINARY)


def test_those_who_make_work_take_turns() -> None:
    """
    In a pass, only a limited amount of each connection's decompressed messages is
    handled. The rest waits for others, and is handled in order.
    """
    app = App()
    server = MemoryServer(app, settings=Settings(max_send_buffer=2**40))
    clients = [server.connect(compression=True) for _ in range(3)]
    size = 300_000
    done: list[int] = []
    for number, recorder in enumerate(app.recorders):
        recorder.answers["bytes"] = lambda _, number=number: done.append(number)
    for client in clients:
        for last in range(6):
            client.transport.put(_compressed(bytes(size - 1) + bytes([last])))
    server.run()
    assert done[:6] == [0, 0, 1, 1, 2, 2]
    assert len(done) == 18
    for recorder in app.recorders:
        assert [data[-1] for data in recorder.got("bytes")] == list(range(6))
    assert len(server.factory.context.scheduler) == 0


@pytest.mark.parametrize("size", [2, 100, 2000])
def test_fragments_take_turns(size: int) -> None:
    """
    Likewise for the fragments of long and short messages, however small they are: they
    mean work, too.
    """
    app = App()
    server = MemoryServer(app)
    clients = [server.connect() for _ in range(3)]
    done: list[object] = []
    for recorder in app.recorders:
        recorder.answers["text"] = done.append
    fragments = frame(b"x", OP_TEXT) + (size - 2) * frame(b"x", OP_CONTINUATION)
    messages = (4000 // size) * (fragments + frame(b"x", FIN | OP_CONTINUATION))
    most = 0
    for client in clients:
        client.transport.put(messages)
        client.transport.step()
        most = max(most, len(server.factory.context.scheduler))
    assert most == 3
    assert len(done) * size <= 3 * 1024
    server.run()
    for recorder in app.recorders:
        assert recorder.got("text") == (4000 // size) * ["x" * size]
    assert len(server.factory.context.scheduler) == 0


def test_lost_while_it_yields() -> None:
    """
    A connection that is lost or closed while it yields isn't served any more.
    """
    app = App()
    server = MemoryServer(app, settings=Settings(max_send_buffer=2**40))
    client = server.connect(compression=True)
    (recorder,) = app.recorders
    recorder.answers["bytes"] = lambda _: recorder.transport.abortConnection()
    for _ in range(5):
        client.transport.put(_compressed(bytes(600_000)))
    server.run()
    assert len(recorder.got("bytes")) == 1
    assert len(server.factory.context.scheduler) == 0


# Behind a proxy


def test_clients_of_a_proxy() -> None:
    """
    A trusted proxy's own address has no limits. Its clients have, by the address that
    it names, and connections that end are removed from their accounts.
    """
    app = App()
    server = MemoryServer(
        app,
        settings=Settings(max_address_connections=2),
        exempt=(),
        proxies=ProxySettings(("10.0.0.1",)),
    )

    def connect(client: str | None) -> MemoryClient:
        headers = [] if client is None else [("X-Forwarded-For", client)]
        return server.connect(address="10.0.0.1", headers=headers)

    first = connect(OTHER)
    connect(OTHER)
    with pytest.raises(HandshakeRefused) as caught:
        connect(OTHER)
    assert caught.value.status == 429
    with pytest.raises(HandshakeRefused):
        server.connect(address=OTHER)
    for last in range(10):
        connect(f"198.51.100.{last}")
        connect(None)
    first.close()
    connect(OTHER)
    (refusal, _) = server.factory.statistics.refusals
    assert refusal.setting == "max-address-connections"
    assert refusal.client.host == OTHER  # type: ignore[attr-defined]


def test_rates_behind_a_proxy() -> None:
    """
    The rates for an address apply to the proxy's client.
    """
    app = App()
    server = MemoryServer(
        app,
        settings=Settings(max_address_message_rate=1),
        exempt=("10.0.0.1",),
        proxies=ProxySettings(("10.0.0.1",)),
    )
    clients = [
        server.connect(
            address="10.0.0.1", headers=[("X-Forwarded-For", f"203.0.113.{last}")]
        )
        for last in (1, 1, 2)
    ]
    for client in clients:
        for _ in range(6):
            client.send("x")
    assert [client.closed is None for client in clients] == [True, False, True]
