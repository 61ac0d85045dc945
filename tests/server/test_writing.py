"""The write path: corked, limited, and in order (DESIGN sections 4 and 5)."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError

from tests.server.kit import (
    App,
    Logs,
    Opened,
    Producer,
    Recorder,
    frame,
    handshake,
    openOne,
    serve,
)
from wsplug import PreparedMessage, Settings, Side, broadcast
from wsplug.codec import FIN, OP_CLOSE, OP_PING, MessageReceiver, pack_close
from wsplug.errors import ProtocolViolation
from wsplug.interfaces import IWebSocketTransport
from wsplug.testing import MemoryServer, MemoryTransport
from wsplug.transport.sendqueue import BATCH

MIB = 1024 * 1024


class CountingTransport(MemoryTransport):
    """Records each write, and can be read piece by piece."""

    def __init__(self) -> None:
        peer = IPv4Address("TCP", "192.0.2.1", 50000)
        super().__init__(peer, IPv4Address("TCP", "192.0.2.2", 9000))
        self.writes: list[bytes] = []
        self.pauses = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def pauseProducing(self) -> None:
        self.pauses += 1
        super().pauseProducing()


class Reader:
    """A client's end. What it has read must always parse."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.closed: tuple[int, str] | None = None
        self._receiver = MessageReceiver(
            self, max_message_size=1 << 40, from_client=False
        )

    def feed(self, data: bytes) -> None:
        assert self.closed is None or not data, "bytes behind the close frame"
        self._receiver.feed(data)

    def text_received(self, message: str) -> None:
        self.messages.append(message)

    def binary_received(self, message: bytes) -> None:
        self.messages.append(message)

    def ping_received(self, payload: bytes) -> None:
        self.messages.append(b"ping " + payload)

    def pong_received(self, payload: bytes) -> None:
        self.messages.append(b"pong " + payload)

    def close_received(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def fragments_received(self, count: int) -> None:
        raise AssertionError(f"{count} fragments")

    def violation_received(self, violation: ProtocolViolation) -> None:
        raise AssertionError(str(violation))


class Line:
    """A connection over a transport that counts."""

    def __init__(self, recorder: Recorder | None = None, **settings: Any) -> None:
        self.recorder = recorder if recorder is not None else Recorder()
        self.server = serve(self.recorder, **settings)
        self.wire = CountingTransport()
        self.wire.attach(self.server.factory.buildProtocol(self.wire.getPeer()))
        self.reader = Reader()
        self.receive(handshake())
        self.wire.take()
        self.wire.writes.clear()

    @property
    def transport(self) -> IWebSocketTransport:
        return self.recorder.transport

    def turn(self) -> None:
        """Run a turn of the reactor."""
        self.server.clock.advance(0)

    def receive(self, data: bytes) -> None:
        """Pass bytes to the server."""
        self.turn()
        self.wire.put(data)
        while self.wire.step():
            pass

    def read(self) -> int:
        """Read what is available, and return the number of bytes."""
        self.turn()
        data = self.wire.take()
        self.reader.feed(data)
        while self.wire.step():
            pass
        return len(data)

    def readAll(self) -> None:
        while self.read():
            pass


# Corking


def test_cork() -> None:
    """A hundred replies to a hundred messages in one read are sent in one write."""
    line = Line()
    line.recorder.answers["text"] = lambda text: line.transport.sendTextMessage(text)
    texts = [str(number) for number in range(100)]
    line.receive(b"".join(frame(text.encode()) for text in texts))
    assert len(line.wire.writes) == 1
    line.read()
    assert line.reader.messages == texts


def test_cork_of_everything() -> None:
    """Messages, pings, pongs and the close frame are sent in one write, in order."""
    line = Line()

    def answer(text: str) -> None:
        line.transport.sendTextMessage("a")
        line.transport.sendBytesMessage(b"b")
        line.transport.sendPreparedMessage(PreparedMessage("c"))
        line.transport.ping(b"d")
        line.transport.loseConnection(4000, "e")

    line.recorder.answers["text"] = answer
    line.receive(frame(b"?", FIN | OP_PING) + frame(b"x"))
    assert len(line.wire.writes) == 1
    line.read()
    assert line.reader.messages == [b"pong ?", "a", b"b", "c", b"ping d"]
    assert line.reader.closed == (4000, "e")


def test_cork_of_the_opening() -> None:
    """The response with status 101, the messages of negotiationStarted and
    negotiationFinished, and the answers to early input are sent in one write."""

    def send(text: Any) -> None:
        recorder.transport.sendTextMessage("x")

    recorder = Recorder(started=send, finished=send, text=send)
    server = serve(recorder)
    wire = CountingTransport()
    wire.attach(server.factory.buildProtocol(wire.getPeer()))
    wire.put(handshake() + frame(b"early"))
    wire.step()
    assert len(wire.writes) == 1
    assert wire.writes[0].startswith(b"HTTP/1.1 101 ")
    assert wire.writes[0].endswith(b"\r\n\r\n" + b"\x81\x01x" * 3)


def test_cork_is_no_delay() -> None:
    """Output that is sent outside of input handling is written in the same turn of the
    reactor, together, without a timer."""
    line = Line()
    line.transport.sendTextMessage("a")
    line.transport.sendTextMessage("b")
    assert line.wire.writes == []
    line.turn()
    assert line.wire.writes == [b"\x81\x01a\x81\x01b"]


def test_cork_of_several_connections() -> None:
    """Output to other connections while input is handled is written at the end, in one
    write for each, and in order."""
    app = App()
    server = MemoryServer(app)
    wires = []
    for _ in range(3):
        wire = CountingTransport()
        wire.attach(server.factory.buildProtocol(wire.getPeer()))
        wire.put(handshake())
        wire.step()
        wire.take()
        wire.writes.clear()
        wires.append(wire)

    def everybody(text: str) -> None:
        broadcast(text, [recorder.transport for recorder in app.recorders])

    app.recorders[0].answers["text"] = everybody
    wires[0].put(frame(b"a") + frame(b"b"))
    wires[0].step()
    assert [wire.writes for wire in wires] == [[b"\x81\x01a\x81\x01b"]] * 3


def test_cork_is_taken_off_whatever_happens(logs: Logs) -> None:
    """An application that raises SystemExit while input is handled ends its own
    connection, and leaves no cork behind. Otherwise the others' output would wait
    forever."""
    app = App()
    server = MemoryServer(app)
    first, second = server.connect(), server.connect()

    def leave(text: str) -> None:
        raise SystemExit(3)

    app.recorders[0].answers["text"] = leave
    two = app.recorders[1]
    two.answers["text"] = lambda text: two.transport.sendTextMessage(text)
    first.send("go")
    assert first.closed == (1011, "internal error")
    assert [failure.type for failure in logs.failures()] == [SystemExit]
    second.send("still there?")
    assert second.messages == ["still there?"]


def test_cork_holds_no_heap() -> None:
    """A cork collects a limited amount: beyond a batch, the transport can signal that
    it is full."""
    line = Line()

    def answer(text: str) -> None:
        for _ in range(8):
            line.transport.sendBytesMessage(b"x" * 50_000)

    line.recorder.answers["text"] = answer
    line.receive(frame(b"go"))
    assert line.wire.writes
    assert all(len(each) <= BATCH for each in line.wire.writes)
    assert line.transport.bufferedAmount > 8 * 50_000 - BATCH
    line.readAll()
    assert line.reader.messages == [b"x" * 50_000] * 8


def test_cork_over_waiting() -> None:
    """Input that was paused and resumes later is corked again."""
    line = Line()
    line.recorder.answers["text"] = lambda text: line.transport.sendTextMessage(text)
    big = b"x" * (BATCH * 2)
    line.transport.sendBytesMessage(big)
    line.receive(b"".join(frame(b"%d" % number) for number in range(50)))
    assert not line.wire.reading
    line.readAll()
    assert line.reader.messages == [big, *(str(number) for number in range(50))]
    assert len(line.wire.writes) <= 5


def test_order() -> None:
    """All messages arrive in order: large and small, from inside and outside of input
    handling, with and without room."""
    line = Line(max_send_buffer=100 * MIB)
    line.recorder.answers["text"] = lambda text: line.transport.sendTextMessage(text)
    expected: list[str | bytes] = []
    for number in range(60):
        size = (number * 7919) % 300_000 if number % 3 else number
        message = bytes([number]) * size
        line.transport.sendBytesMessage(message)
        expected.append(message)
        if number % 10 == 9:
            line.readAll()
        if number % 20 == 0:
            line.receive(frame(b"echo"))
            line.readAll()
            expected.append("echo")
    line.readAll()
    assert line.reader.messages == expected


# Backpressure


def test_buffered_amount() -> None:
    """bufferedAmount is 0 while the transport accepts everything, then all bytes that
    wait anywhere, and 0 again at the end."""
    line = Line()
    assert line.transport.bufferedAmount == 0
    line.transport.sendBytesMessage(b"x" * 1000)
    line.turn()
    assert line.transport.bufferedAmount == 0
    line.transport.sendBytesMessage(b"x" * 300_000)
    assert line.transport.bufferedAmount == 300_010
    line.transport.sendBytesMessage(b"x" * 1000)
    assert line.transport.bufferedAmount == 301_014
    line.read()
    assert line.transport.bufferedAmount == 301_014 - BATCH
    line.readAll()
    assert line.transport.bufferedAmount == 0
    line.transport.sendBytesMessage(b"x" * 300_000)
    line.wire.abortConnection()
    assert line.transport.bufferedAmount == 0


def test_reading_pauses_with_writing() -> None:
    """While a peer doesn't read, nothing is read from it. When it reads again, reading
    resumes."""
    line = Line()
    line.recorder.answers["text"] = lambda text: line.transport.sendBytesMessage(
        b"x" * 100_000
    )
    for _ in range(20):
        line.receive(frame(b"more"))
    assert line.recorder.got("text") == ["more"]
    assert not line.wire.reading
    line.readAll()
    assert line.recorder.got("text") == ["more"] * 20
    assert line.reader.messages == [b"x" * 100_000] * 20
    assert line.wire.reading


def test_reading_pauses_in_the_midst_of_input() -> None:
    """Messages wait after one whose answer was too much."""
    line = Line()
    line.recorder.answers["text"] = lambda text: line.transport.sendBytesMessage(
        b"x" * 150_000
    )
    line.receive(frame(b"more") * 20)
    assert line.recorder.got("text") == ["more"]
    line.readAll()
    assert len(line.recorder.got("text")) == len(line.reader.messages) == 20


def test_producer() -> None:
    """An attached producer is paused and resumed, once each."""
    line = Line()
    producer = Producer()
    line.transport.attachProducer(producer)
    line.transport.sendBytesMessage(b"x" * 1000)
    assert producer.calls == []
    line.transport.sendBytesMessage(b"x" * 400_000)
    line.transport.sendBytesMessage(b"x" * 100_000)
    assert producer.calls == ["pause"]
    line.read()
    assert producer.calls == ["pause"]
    line.readAll()
    assert producer.calls == ["pause", "resume"]
    line.transport.sendBytesMessage(b"x" * 100_000)
    line.readAll()
    assert producer.calls == ["pause", "resume"] * 2


def test_producer_that_produces() -> None:
    """A producer that produces at once when it is resumed, as real ones do."""
    line = Line()
    left = iter(range(50))

    class Pump(Producer):
        paused = False

        def pauseProducing(self) -> None:
            super().pauseProducing()
            self.paused = True

        def resumeProducing(self) -> None:
            super().resumeProducing()
            self.paused = False
            while not self.paused:
                if next(left, None) is None:
                    line.transport.detachProducer()
                    break
                line.transport.sendBytesMessage(b"x" * 30_000)
                assert line.transport.bufferedAmount < BATCH * 2

    pump = Pump()
    line.transport.attachProducer(pump)
    pump.resumeProducing()
    line.readAll()
    assert line.reader.messages == [b"x" * 30_000] * 50
    assert line.wire.reading


def test_producer_attached_late() -> None:
    """A producer that is attached while the peer doesn't read is paused at once."""
    line = Line()
    line.transport.sendBytesMessage(b"x" * 400_000)
    producer = Producer()
    line.transport.attachProducer(producer)
    assert producer.calls == ["pause"]
    line.readAll()
    assert producer.calls == ["pause", "resume"]


def test_producer_detached() -> None:
    """A detached producer isn't called any more, not even at the end. Another one can
    be attached."""
    line = Line()
    producer = Producer()
    line.transport.attachProducer(producer)
    with pytest.raises(RuntimeError, match="another producer"):
        line.transport.attachProducer(Producer())
    line.transport.detachProducer()
    line.transport.detachProducer()
    line.transport.sendBytesMessage(b"x" * 400_000)
    line.wire.abortConnection()
    assert producer.calls == []


@pytest.mark.parametrize("end", ["abort", "close", "peer closes", "violation"])
def test_producer_is_stopped(end: str) -> None:
    """When nothing can be sent any more, the producer is stopped, once."""
    line = Line()
    producer = Producer()
    line.transport.attachProducer(producer)
    if end == "abort":
        line.wire.abortConnection()
    elif end == "close":
        line.transport.loseConnection()
    elif end == "peer closes":
        line.receive(frame(b"", FIN | OP_CLOSE))
    else:
        line.receive(b"\xff\xff")
    line.wire.abortConnection()
    assert producer.calls == ["stop"]
    late = Producer()
    line.transport.attachProducer(late)
    assert late.calls == ["stop"]


# Peers that don't read


def check_gives_up(line: Line, setting: str, messages: list[str | bytes]) -> None:
    """The connection is closed with 1013. If the peer reads again, it gets only whole
    frames."""
    line.transport.sendTextMessage("too late")
    line.readAll()
    assert line.reader.messages == messages
    assert line.reader.closed is not None
    assert line.reader.closed[0] == 1013
    line.receive(frame(pack_close(1013), FIN | OP_CLOSE))
    line.readAll()
    assert line.wire.lost
    closed = line.recorder.closed
    assert (closed.code, closed.side, closed.setting) == (1013, Side.SERVER, setting)


@pytest.mark.parametrize("size", [1, 100, 1000, 30_000, 65_000])
def test_send_limit(size: int) -> None:
    """Over max-send-buffer, the connection is closed with 1013. What the transport
    already has arrives, the rest is dropped, and no frame is cut (DESIGN section 5)."""
    line = Line(max_send_buffer=MIB // 8)
    blocked = b"b" * 70_000
    line.transport.sendBytesMessage(blocked)
    most = 0
    while line.transport.bufferedAmount >= most:
        most = line.transport.bufferedAmount
        for _ in range(1000 // size + 1):
            line.transport.sendBytesMessage(b"x" * size)
        line.turn()
    assert MIB // 8 < most < MIB // 8 + 2 * (65_000 + 3000)
    assert line.transport.bufferedAmount < 71_000
    check_gives_up(line, "max-send-buffer", [blocked])


def test_send_limit_is_exact() -> None:
    """Up to the limit may wait before a turn. If more waits, exactly the limit may be
    added to what the turn has sent."""
    line = Line(max_send_buffer=200_000)
    first = b"x" * 99_990  # and 10 for its header
    line.transport.sendBytesMessage(first)
    line.turn()
    line.transport.sendBytesMessage(first)
    line.turn()
    assert line.transport.bufferedAmount == 200_000
    line.transport.sendBytesMessage(b"y" * 199_990)
    line.turn()
    assert line.transport.bufferedAmount == 400_000
    line.transport.ping()
    check_gives_up(line, "max-send-buffer", [first])


@pytest.mark.parametrize(("size", "count"), [(1, 100_000), (100_000, 300)])
def test_much_in_one_turn(size: int, count: int) -> None:
    """A peer that is sent much in one turn of the reactor can't have read it yet: small
    and large messages arrive, as does what is sent a turn later, when hardly any of it
    has been read."""
    line = Line(max_send_buffer=100_000)
    message = b"x" * size
    for _ in range(count):
        line.transport.sendBytesMessage(message)
    for number in range(5):
        line.turn()
        line.transport.sendTextMessage(str(number))
        line.read()
    line.readAll()
    assert line.reader.closed is None
    assert len(line.reader.messages) == count + 5
    assert line.reader.messages[-5:] == ["0", "1", "2", "3", "4"]


def test_much_in_one_turn_behind_a_little() -> None:
    """Likewise if a little waited before, and again after that has been read."""
    line = Line(max_send_buffer=200_000)
    for _ in range(2):
        line.transport.sendBytesMessage(b"x" * 100_000)
        line.turn()
        for _ in range(15):
            line.transport.sendBytesMessage(b"y" * 100_000)
        line.readAll()
    assert line.reader.closed is None
    assert len(line.reader.messages) == 32


def test_much_in_one_turn_to_one_who_does_not_read() -> None:
    """A peer that reads nothing of it gets max-send-buffer more, and then is closed.
    Over several turns, it doesn't get more than that either."""
    line = Line(max_send_buffer=200_000)
    for _ in range(15):
        line.transport.sendBytesMessage(b"y" * 100_000)
    burst = most = line.transport.bufferedAmount
    assert burst == 15 * 100_010
    while line.transport.bufferedAmount >= most:
        most = line.transport.bufferedAmount
        line.turn()
        for _ in range(5):
            line.transport.sendBytesMessage(b"z" * 15_000)
    assert burst < most <= burst + 200_000
    check_gives_up(line, "max-send-buffer", [b"y" * 100_000])


def test_much_in_one_turn_is_bounded() -> None:
    """The memory of all connections is limited within the turn, too: over
    max-send-buffer-total, output is dropped."""
    line = Line(max_send_buffer_total=2 * MIB)
    most = 0
    for _ in range(100):
        line.transport.sendBytesMessage(b"x" * 100_000)
        most = max(most, line.transport.bufferedAmount)
    assert MIB < most <= 2 * MIB
    check_gives_up(line, "max-send-buffer-total", [b"x" * 100_000])


def test_when_drained() -> None:
    """whenDrained fires when all output has been sent, in the order of the calls, at
    once if none waits, and again for later output."""
    line = Line()
    done: list[str] = []
    line.transport.whenDrained().addCallback(lambda _: done.append("at once"))
    assert done == ["at once"]
    line.transport.sendTextMessage("corked")
    line.transport.whenDrained().addCallback(lambda _: done.append("corked"))
    assert done == ["at once"]
    line.turn()
    assert done == ["at once", "corked"]
    for _ in range(15):
        line.transport.sendBytesMessage(b"x" * 100_000)
    first = line.transport.whenDrained()
    first.addCallback(lambda _: line.transport.sendBytesMessage(b"y" * 300_000))
    first.addCallback(lambda _: line.transport.whenDrained())
    first.addCallback(lambda _: done.append("more"))
    line.transport.whenDrained().addCallback(lambda _: done.append("x"))
    line.read()
    assert done == ["at once", "corked"]
    while "x" not in done:
        line.read()
    assert line.transport.bufferedAmount > 300_000
    line.readAll()
    assert done[2:] == ["x", "more"]
    assert line.transport.bufferedAmount == 0


def test_when_drained_and_lost(logs: Logs) -> None:
    """If the connection is lost first, whenDrained fails with the same reason as
    connectionLost, before that is called, and also if it is lost already. A cancelled
    one doesn't fire again."""
    line = Line()
    line.transport.sendBytesMessage(b"x" * 300_000)
    told: list[Any] = []
    line.recorder.answers["lost"] = told.append
    cancelled = line.transport.whenDrained()
    cancelled.addErrback(lambda failure: failure.trap(CancelledError))
    for _ in range(2):
        line.transport.whenDrained().addBoth(told.append)
    cancelled.cancel()
    line.transport.abortConnection()
    line.transport.whenDrained().addBoth(told.append)
    assert [type(each.value) for each in told] == [type(line.recorder.closed)] * 4
    assert told[2] is line.recorder.failure
    assert {str(each.value) for each in told} == {str(line.recorder.closed)}
    assert logs.failures() == []


@pytest.mark.parametrize("waits", [False, True])
def test_failing_when_drained(waits: bool, logs: Logs) -> None:
    """An error in a callback of whenDrained is the application's failure: it is logged
    once, and the connection is closed with 1011."""
    line = Line()
    if waits:
        line.transport.sendBytesMessage(b"x" * 1_000_000)

    def fails(_: object) -> None:
        raise ZeroDivisionError

    line.transport.whenDrained().addCallback(fails)
    assert logs.failures() == []
    line.readAll()
    assert line.reader.closed == (1011, "internal error")
    (failure,) = logs.failures()
    assert failure.check(ZeroDivisionError)
    gc.collect()
    assert logs.failures() == []


@pytest.mark.parametrize("before", [False, True])
def test_nobody_handles_that_it_is_lost(before: bool, logs: Logs) -> None:
    """A caller of whenDrained needs no errback for a lost connection."""
    line = Line()
    line.transport.sendBytesMessage(b"x" * 1_000_000)
    done: list[object] = []
    if before:
        line.transport.whenDrained().addCallback(done.append)
    line.transport.abortConnection()
    if not before:
        line.transport.whenDrained().addCallback(done.append)
    line.turn()
    gc.collect()
    assert logs.failures() == []
    assert done == []


def test_handler_waits_until_drained(logs: Logs) -> None:
    """A handler that awaits whenDrained can send any amount. If the client disconnects
    meanwhile, it ends without an error in the log."""
    sent: list[int] = []

    async def send(text: str) -> None:
        for number in range(100):
            line.transport.sendBytesMessage(b"x" * 100_000)
            sent.append(number)
            await line.transport.whenDrained()

    line = Line(Recorder(text=send), max_send_buffer=200_000)
    line.receive(frame(b"go"))
    line.readAll()
    assert len(line.reader.messages) == 100
    line.receive(frame(b"go"))
    line.turn()
    assert len(sent) < 150
    line.wire.abortConnection()
    assert logs.failures() == []


def test_send_limit_within_a_message() -> None:
    """A message that is partly sent is sent to its end: otherwise the close frame after
    it couldn't be parsed."""
    line = Line(max_send_buffer=2 * MIB)
    half = b"h" * (10 * BATCH)
    line.transport.sendBytesMessage(half)
    line.read()
    line.read()
    for _ in range(15):
        line.transport.sendBytesMessage(b"x" * 100_000)
        line.turn()
    assert 7 * BATCH < line.transport.bufferedAmount < 9 * BATCH
    check_gives_up(line, "max-send-buffer", [half])


def test_send_limit_behind_a_whole_message() -> None:
    """Messages that haven't begun are dropped, although they were waiting before."""
    line = Line(max_send_buffer=MIB)
    line.transport.sendBytesMessage(b"x" * (BATCH - 10))  # fills a batch exactly
    line.transport.sendBytesMessage(b"dropped" * 200_000)
    line.turn()
    line.transport.sendBytesMessage(b"one too many" * 100_000)
    check_gives_up(line, "max-send-buffer", [b"x" * (BATCH - 10)])


def test_max_waiting_while_corked() -> None:
    """If there is no memory for an answer, the connection ends within the input, and
    the messages after it aren't delivered."""

    def flood(text: str) -> None:
        for _ in range(100):
            line.transport.sendBytesMessage(b"x" * 20_000)

    line = Line(Recorder(text=flood), max_send_buffer_total=MIB // 2)
    line.receive(frame(b"flood") + frame(b"again"))
    assert line.recorder.got("text") == ["flood"]
    line.readAll()
    assert line.reader.closed is not None
    assert line.reader.closed[0] == 1013
    assert set(line.reader.messages) == {b"x" * 20_000}


def test_broadcast_to_one_who_does_not_read() -> None:
    """A slow connection is closed; the others get everything."""
    app = App()
    server = MemoryServer(app, settings=Settings(max_send_buffer=200_000))
    clients = [server.connect() for _ in range(3)]
    clients[1].stopReading()
    for _ in range(10):
        message = PreparedMessage(b"x" * 66_000)
        for recorder in app.recorders:
            recorder.transport.sendPreparedMessage(message)
        server.run()
    assert len(clients[0].messages) == len(clients[2].messages) == 10
    server.advance(5.25)
    assert app.recorders[1].closed.setting == "max-send-buffer"


def test_large_message_to_an_empty_queue() -> None:
    """A single message over max-send-buffer doesn't close the connection."""
    line = Line(max_send_buffer=1000)
    message = b"x" * (5 * MIB)
    line.transport.sendBytesMessage(message)
    line.readAll()
    assert line.reader.messages == [message]
    line.transport.sendBytesMessage(message)
    line.readAll()
    assert line.reader.messages == [message, message]
    assert line.reader.closed is None


def test_send_limit_off() -> None:
    """Unlimited means no limit."""
    line = Line(max_send_buffer=1 << 62)
    for _ in range(100):
        line.transport.sendBytesMessage(b"x" * 500_000)
    line.readAll()
    assert len(line.reader.messages) == 100


def test_send_timeout() -> None:
    """A peer that reads nothing for send-timeout is closed with 1013, not sooner. The
    frame that was begun is completed, the rest dropped (DESIGN section 5)."""
    line = Line(send_timeout=30)
    begun = b"x" * 300_000
    line.transport.sendBytesMessage(begun)
    line.transport.sendBytesMessage(b"dropped")
    line.server.advance(29.875)
    assert line.transport.bufferedAmount == 300_010 + 9
    line.server.advance(0.125)
    assert line.transport.bufferedAmount < 300_100
    check_gives_up(line, "send-timeout", [begun])


def test_send_timeout_is_for_each_batch() -> None:
    """A slow but steady reader of a large message isn't closed: it has the time for
    each 128 KiB, and everything arrives."""
    line = Line(send_timeout=30)
    message = b"x" * (10 * MIB)
    line.transport.sendBytesMessage(message)
    rounds = 0
    while line.transport.bufferedAmount:
        line.server.advance(29)
        assert line.recorder.failure is None
        line.read()
        rounds += 1
    assert rounds > 60
    line.readAll()
    assert line.reader.messages == [message]
    assert line.reader.closed is None


def test_send_timeout_off() -> None:
    """Without send-timeout, a client may read nothing for hours."""
    line = Line(send_timeout=0)
    line.transport.sendBytesMessage(b"x" * MIB)
    line.server.advance(300)
    line.readAll()
    assert line.reader.messages == [b"x" * MIB]


def test_slow_reader_while_closing() -> None:
    """While the connection closes, a slow but steady reader gets all earlier output,
    and then the close frame: only then does close-timeout begin."""
    line = Line(send_timeout=4, close_timeout=4, max_send_buffer=4 * MIB)
    line.transport.sendBytesMessage(b"x" * (10 * BATCH))
    line.transport.sendTextMessage("last words")
    line.transport.loseConnection(4000, "bye")
    for _ in range(14):
        line.server.advance(3)
        line.read()
    assert line.reader.messages == [b"x" * (10 * BATCH), "last words"]
    assert line.reader.closed == (4000, "bye")
    assert line.wire.aborted
    assert line.recorder.closed.setting == "close-timeout"


def test_send_timeout_while_closing() -> None:
    """While the connection closes, a peer that reads nothing for send-timeout is
    aborted."""
    line = Line(send_timeout=2, close_timeout=10)
    line.transport.sendBytesMessage(b"x" * 300_000)
    line.transport.loseConnection(4000, "bye")
    line.server.advance(3)
    assert line.wire.aborted
    assert line.recorder.closed.code == 4000
    assert line.recorder.closed.setting == "send-timeout"
    assert len(line.server.factory.deadlines) == 0


# Closing with output


def test_close_waits_behind_output() -> None:
    """After loseConnection with much output, the close frame comes last, and the TCP
    connection ends when all has been sent."""
    line = Line()
    line.transport.sendBytesMessage(b"x" * (5 * BATCH))
    line.transport.loseConnection(4000, "bye")
    line.receive(frame(pack_close(4000), FIN | OP_CLOSE))
    assert not line.wire.disconnecting
    line.read()
    assert not line.wire.disconnecting
    line.readAll()
    assert line.reader.messages == [b"x" * (5 * BATCH)]
    assert line.reader.closed == (4000, "bye")
    assert line.wire.lost
    assert not line.wire.aborted
    assert line.recorder.closed.clean


def test_peers_close_waits_behind_output() -> None:
    """Likewise for the answer to the peer's close frame, which is still read."""
    line = Line()
    line.recorder.answers["text"] = lambda text: line.transport.sendBytesMessage(
        b"x" * (5 * BATCH)
    )
    line.receive(frame(b"much") + frame(pack_close(1001), FIN | OP_CLOSE))
    line.readAll()
    assert line.reader.messages == [b"x" * (5 * BATCH)]
    assert line.reader.closed == (1001, "")
    assert line.wire.lost
    assert line.recorder.closed.clean


def test_violation_waits_behind_output() -> None:
    """Likewise for the close frame after a violation, and the half-close after it."""
    line = Line()

    def answer(text: str) -> None:
        line.transport.sendBytesMessage(b"x" * 60_000)
        line.transport.sendBytesMessage(b"y" * (4 * BATCH))

    line.recorder.answers["text"] = answer
    line.receive(frame(b"much") + b"\xff\xff")
    line.readAll()
    assert line.reader.messages == [b"x" * 60_000, b"y" * (4 * BATCH)]
    assert line.reader.closed == (1002, "reserved bit set")
    assert line.wire.closedForWriting
    assert not line.wire.lost


def test_close_timeout_over_stuck_output() -> None:
    """Without a send timeout, a peer that doesn't read its last messages is aborted
    after close-timeout."""
    line = Line(send_timeout=0)
    line.transport.sendBytesMessage(b"x" * (5 * BATCH))
    line.transport.loseConnection()
    line.server.advance(5)
    assert line.wire.aborted
    assert line.recorder.closed.setting == "close-timeout"
    assert len(line.server.factory.deadlines) == 0


# Reentrance


def test_abort_in_mid_flush() -> None:
    """A producer aborts the connection when it is paused, within a flush."""
    line = Line()

    class Impatient(Producer):
        def pauseProducing(self) -> None:
            super().pauseProducing()
            line.transport.abortConnection()

    producer = Impatient()
    line.transport.attachProducer(producer)
    line.transport.sendBytesMessage(b"x" * (5 * BATCH))
    assert producer.calls == ["pause", "stop"]
    assert line.wire.aborted
    assert line.recorder.names[-1] == "lost"
    assert line.transport.bufferedAmount == 0


def test_close_in_mid_flush() -> None:
    """Likewise, it closes the connection."""
    line = Line()

    class Polite(Producer):
        def pauseProducing(self) -> None:
            super().pauseProducing()
            line.transport.loseConnection(4000)

    producer = Polite()
    line.transport.attachProducer(producer)
    line.transport.sendBytesMessage(b"x" * (5 * BATCH))
    line.readAll()
    assert line.reader.messages == [b"x" * (5 * BATCH)]
    assert line.reader.closed == (4000, "")
    assert producer.calls == ["pause", "stop"]


def test_send_in_mid_flush() -> None:
    """Likewise, it sends a last message: it is resumed when the peer has read, and all
    messages arrive in order."""
    line = Line()

    class Talkative(Producer):
        def pauseProducing(self) -> None:
            super().pauseProducing()
            line.transport.sendTextMessage("paused")

        def resumeProducing(self) -> None:
            super().resumeProducing()
            line.transport.sendTextMessage("resumed")

    line.transport.attachProducer(Talkative())
    line.transport.sendBytesMessage(b"x" * (3 * BATCH))
    line.transport.sendTextMessage("behind")
    line.readAll()
    assert line.reader.messages == [b"x" * (3 * BATCH), "paused", "behind", "resumed"]


@pytest.mark.parametrize("error", [KeyError, SystemExit])
@pytest.mark.parametrize("how", ["raise on pause", "raise on resume"])
def test_producer_that_raises(how: str, error: type[BaseException], logs: Logs) -> None:
    """A producer that raises is a failure of the application: the connection is closed
    with 1011, and the transport doesn't see the error (DESIGN section 5)."""
    line = Line()

    class Broken(Producer):
        def pauseProducing(self) -> None:
            if how == "raise on pause":
                raise error("secret")

        def resumeProducing(self) -> None:
            raise error("secret")

    line.transport.attachProducer(Broken())
    line.transport.sendBytesMessage(b"x" * (3 * BATCH))
    line.readAll()
    (failure,) = logs.failures()
    assert failure.check(error)
    assert line.reader.closed == (1011, "internal error")


def pairs() -> Iterator[tuple[str, bytes]]:
    yield "loseConnection", b"\x88\x02\x03\xe8"
    yield "abortConnection", b""


@pytest.mark.parametrize(("method", "sent"), list(pairs()))
def test_closing_another_connection(method: str, sent: bytes) -> None:
    """An application closes one connection in the callback of another, while that one
    has input waiting."""
    app = App()
    server = MemoryServer(app)
    first, second = server.connect(), server.connect()
    one, two = app.recorders
    one.answers["text"] = lambda _: getattr(two.transport, method)()
    second.transport.put(frame(b"too late?"))
    first.transport.put(frame(b"end it"))
    server.run()
    assert two.names[-1] == "lost"
    assert two.closed.side is Side.APPLICATION
    assert second.closed == ((1000, "") if sent else (1006, ""))
    first.send("and on")
    assert one.got("text") == ["end it", "and on"]
    assert first.closed is None


def test_closing_each_other() -> None:
    """Each connection's connectionLost closes the other connection."""
    app = App()
    server = MemoryServer(app)
    server.connect(), server.connect()
    one, two = app.recorders
    one.answers["lost"] = lambda _: two.transport.abortConnection()
    two.answers["lost"] = lambda _: one.transport.abortConnection()
    one.transport.abortConnection()
    assert not server.factory.connections
    assert one.names.count("lost") == two.names.count("lost") == 1


def test_sending_from_connectionLost() -> None:
    """In connectionLost, messages to the lost connection are dropped silently; those to
    others are sent."""
    app = App()
    server = MemoryServer(app)
    client, bystander = server.connect(), server.connect()
    one, two = app.recorders

    def lost(_: object) -> None:
        one.transport.sendTextMessage("gone")
        one.transport.sendBytesMessage(b"gone")
        one.transport.sendPreparedMessage(PreparedMessage("gone"))
        one.transport.ping()
        one.transport.loseConnection()
        one.transport.abortConnection()
        two.transport.sendTextMessage("they left")

    one.answers["lost"] = lost
    client.close()
    assert client.messages == []
    assert bystander.messages == ["they left"]
    assert one.names.count("lost") == 1


def test_sending_much_from_negotiationStarted() -> None:
    """Much output in negotiationStarted arrives after the response with status 101, and
    negotiationFinished and messages follow as usual."""
    recorder = Recorder()

    def started(transport: IWebSocketTransport) -> None:
        for number in range(10):
            transport.sendBytesMessage(bytes([number]) * BATCH)

    recorder.answers["started"] = started
    opened = openOne(recorder, max_send_buffer=2 * MIB)
    assert opened.client.messages == [bytes([number]) * BATCH for number in range(10)]
    opened.client.send("hello")
    assert recorder.names == ["started", "finished", "text"]


def test_closing_in_negotiationStarted() -> None:
    """If negotiationStarted closes, the client gets the response with status 101 and
    the close frame, and negotiationFinished isn't called."""
    recorder = Recorder(started=lambda transport: transport.loseConnection(4000, "no"))
    opened: Opened = openOne(recorder)
    assert opened.client.opened
    assert opened.client.closed == (4000, "no")
    assert recorder.names == ["started", "lost"]
