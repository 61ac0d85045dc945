"""An open connection: messages, handlers, failures, closing, pings, compression (RFC
6455 sections 5 and 7, RFC 7692; DESIGN sections 2 and 5)."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from enum import Enum
from hashlib import sha512
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import LogLevel

from tests.server.kit import (
    App,
    Logs,
    Opened,
    Recorder,
    frame,
    handshake,
    openOne,
    parseResponse,
    raw,
    serve,
)
from wsplug import PreparedMessage, Settings, Side, broadcast
from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_PONG,
    OP_TEXT,
    RSV1,
    Deflater,
    encode_frame,
    pack_close,
)
from wsplug.interfaces import IPreparedMessage, IWebSocketTransport
from wsplug.server import prepared as preparedModule
from wsplug.testing import MemoryServer, MemoryTransport
from wsplug.transport.progress import Progress

KEEPALIVE = b"wsplug keepalive"

# Messages


def test_messages_come() -> None:
    """Text and binary messages arrive at their methods, in order."""
    opened = openOne()
    opened.client.send("täxt")
    opened.client.send(b"\x00\xff")
    opened.client.send("")
    assert opened.recorder.events[2:] == [
        ("text", "täxt"),
        ("bytes", b"\x00\xff"),
        ("text", ""),
    ]
    assert type(opened.recorder.events[3][1]) is bytes


def test_messages_go() -> None:
    """Text and binary messages are sent in order, even if the caller changes the buffer
    afterwards."""
    opened = openOne()
    data: Any = bytearray(b"\x00\xff")
    view: Any = memoryview(data)
    opened.transport.sendTextMessage("täxt")
    opened.transport.sendBytesMessage(data)
    opened.transport.sendBytesMessage(view)
    data[:] = b"--"
    opened.transport.sendTextMessage("")
    opened.server.run()
    assert opened.client.messages == ["täxt", b"\x00\xff", b"\x00\xff", ""]


def test_lone_surrogate() -> None:
    """Sending text with a lone surrogate raises, and has no other effect."""
    opened = openOne()
    with pytest.raises(UnicodeEncodeError):
        opened.transport.sendTextMessage("\ud800")
    opened.transport.sendTextMessage("next")
    opened.server.run()
    assert opened.client.messages == ["next"]


def test_order_of_calls() -> None:
    """The calls are negotiationStarted with the transport, negotiationFinished, the
    messages, and connectionLost, once."""
    opened = openOne()
    opened.client.send("a")
    opened.client.close()
    opened.client.drop()
    assert opened.recorder.names == ["started", "finished", "text", "lost"]
    transport = opened.recorder.events[0][1]
    assert IWebSocketTransport.providedBy(transport)


# Answers that take time


def coroutineOf(waiting: Deferred[None]) -> Any:
    async def wait() -> None:
        await waiting

    return wait()


WAITS = [
    pytest.param(lambda waiting: waiting, id="Deferred"),
    pytest.param(coroutineOf, id="coroutine"),
]


@pytest.mark.parametrize("wrap", WAITS)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text", frame(b"first")),
        ("bytes", frame(b"first", FIN | OP_BINARY)),
        ("pong", frame(b"first", FIN | OP_PONG)),
        ("finished", b""),
    ],
)
def test_waiting(name: str, data: bytes, wrap: Callable[[Deferred[None]], Any]) -> None:
    """While a handler isn't done, no further message is delivered, and nothing more is
    read (DESIGN section 2)."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(**{name: lambda _: wrap(waiting)}))
    recorder, client = opened.recorder, opened.client
    client.sendBytes(data)
    assert recorder.names[-1] == name
    count = len(recorder.events)
    client.sendBytes(frame(b"second")[:3])
    client.sendBytes(frame(b"second")[3:] + frame(b"", FIN | OP_PONG))
    opened.server.advance(1)
    assert len(recorder.events) == count
    recorder.answers.clear()
    waiting.callback(None)
    opened.server.run()
    assert recorder.events[count:] == [("text", "second"), ("pong", b"")]
    assert client.transport.reading


def test_waiting_in_the_midst_of_input() -> None:
    """Many messages in one read are delivered one at a time, in order."""
    waits: list[Deferred[None]] = [Deferred() for _ in range(5)]
    left = iter(waits)
    opened = openOne(Recorder(text=lambda _: next(left)))
    texts = [str(number) for number in range(5)]
    opened.client.sendBytes(b"".join(frame(text.encode()) for text in texts))
    for number in range(5):
        assert opened.recorder.got("text") == texts[: number + 1]
        waits[number].callback(None)
    opened.server.run()
    assert opened.recorder.got("text") == texts
    assert opened.client.transport.reading


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(lambda _: succeed(None), id="fired Deferred"),
        pytest.param(lambda _: coroutineOf(succeed(None)), id="coroutine"),
        pytest.param(lambda _: 5, id="nonsense"),
    ],
)
def test_nothing_to_wait_for(result: Callable[[Any], Any]) -> None:
    """A result that is done already, or isn't awaitable, delays nothing."""
    opened = openOne(Recorder(text=result))
    opened.client.sendBytes(frame(b"a") + frame(b"b"))
    assert opened.recorder.got("text") == ["a", "b"]
    assert opened.client.transport.reading


def test_answers_while_waiting_leave_at_once() -> None:
    """Messages that a waiting handler sends are written before the handler is done."""
    waiting: Deferred[None] = Deferred()

    async def answer(text: str) -> None:
        recorder.transport.sendTextMessage("before")
        await waiting
        recorder.transport.sendTextMessage("after")

    recorder = Recorder(text=answer)
    opened = openOne(recorder)
    opened.client.send("go")
    assert opened.client.messages == ["before"]
    waiting.callback(None)
    opened.server.run()
    assert opened.client.messages == ["before", "after"]


def test_connection_lost_while_waiting() -> None:
    """If the connection is lost while a handler waits, connectionLost is called at
    once, the rest isn't delivered, and the late result does no harm."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(text=lambda _: waiting))
    opened.client.sendBytes(frame(b"a") + frame(b"b"))
    opened.client.transport.abortConnection()
    assert opened.recorder.names[2:] == ["text", "lost"]
    waiting.callback(None)
    opened.server.run()
    assert opened.recorder.names[2:] == ["text", "lost"]


def test_lose_connection_while_waiting() -> None:
    """If a waiting handler closes, waiting messages aren't delivered, but the peer's
    close frame is read."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(text=lambda _: waiting))
    opened.client.sendBytes(frame(b"a") + frame(b"b"))
    opened.transport.loseConnection(4000, "enough")
    opened.server.run()
    assert opened.client.closed == (4000, "enough")
    assert opened.recorder.names[2:] == ["text", "lost"]
    assert opened.recorder.closed.clean
    waiting.callback(None)


def test_connectionLost_may_wait() -> None:
    """connectionLost may return a Deferred, too. It delays nothing."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(lost=lambda _: waiting))
    opened.client.close()
    assert not opened.server.factory.connections
    waiting.callback(None)


# Failures


def raises(_: object) -> None:
    raise KeyError("secret")


def exits(_: object) -> None:
    # As argparse does with a wrong argument.
    raise SystemExit("secret")


def interrupts(_: object) -> None:
    raise KeyboardInterrupt("secret")


async def raisesLater(_: object) -> None:
    raise KeyError("secret")


async def exitsLater(_: object) -> None:
    raise SystemExit("secret")


FAILURES = [
    pytest.param(raises, id="raise"),
    pytest.param(exits, id="exit"),
    pytest.param(interrupts, id="interrupt"),
    pytest.param(raisesLater, id="coroutine"),
    pytest.param(exitsLater, id="coroutine that exits"),
    pytest.param(lambda _: fail(KeyError("secret")), id="Deferred"),
    pytest.param(lambda _: fail(SystemExit("secret")), id="Deferred of an exit"),
]

RAISED = (KeyError, SystemExit, KeyboardInterrupt)


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("started", b""),
        ("finished", b""),
        ("text", frame(b"a")),
        ("bytes", frame(b"a", FIN | OP_BINARY)),
        ("pong", frame(b"a", FIN | OP_PONG)),
    ],
)
def test_failure(name: str, data: bytes, how: Callable[[Any], Any], logs: Logs) -> None:
    """If the application raises, the connection is closed with 1011. The traceback is
    logged once and not sent, connectionLost is called as usual, and other connections
    go on (DESIGN section 5)."""
    server = serve(Recorder(**{name: how}))
    app = server.application
    recorder: Recorder = Recorder(**{name: how})
    assert isinstance(app, App)
    app.build = lambda _: recorder
    client = server.connect()
    other = Recorder()
    app.build = lambda _: other
    bystander = server.connect()
    client.sendBytes(data + frame(b"not any more"))
    assert client.closed == (1011, "internal error")
    (failure,) = logs.failures()
    assert failure.check(*RAISED)
    assert recorder.names[-2:] == [name, "lost"]
    closed = recorder.closed
    assert (closed.code, closed.side) == (1011, Side.APPLICATION)
    (event,) = [each for each in logs.events() if each["log_level"] > LogLevel.info]
    assert logs.lines("application failed while serving 192.0.2.1:50000")
    assert event["log_level"] is LogLevel.critical
    bystander.send("still here")
    assert other.got("text") == ["still here"]
    assert bystander.closed is None


@pytest.mark.parametrize("how", FAILURES)
def test_failure_in_connectionLost(how: Callable[[Any], Any], logs: Logs) -> None:
    """If connectionLost raises, the failure is logged, and the connection is removed
    from the count."""
    opened = openOne(Recorder(lost=how))
    opened.client.close()
    (failure,) = logs.failures()
    assert failure.check(*RAISED)
    assert not opened.server.factory.connections
    assert opened.recorder.names == ["started", "finished", "lost"]


def test_failure_after_waiting(logs: Logs) -> None:
    """If a handler fails later, the messages after it aren't delivered."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(text=lambda _: waiting))
    opened.client.sendBytes(frame(b"a") + frame(b"b"))
    waiting.errback(KeyError("secret"))
    opened.server.run()
    assert opened.client.closed == (1011, "internal error")
    assert opened.recorder.got("text") == ["a"]
    assert opened.client.transport.lost
    assert len(logs.failures()) == 1


def test_failure_after_the_end(logs: Logs) -> None:
    """A handler that fails after the connection is lost, or because it is cancelled
    then, is logged. Nothing else happens."""

    async def fails(_: object) -> None:
        try:
            await Deferred()
        finally:
            raise KeyError("secret")

    opened = openOne(Recorder(text=fails))
    opened.client.send("a")
    opened.client.transport.abortConnection()
    opened.server.run()
    assert len(logs.failures()) == 1
    assert opened.recorder.names.count("lost") == 1


# How connections end


def _peerCloses(opened: Opened) -> None:
    opened.client.close(1001, "bye")


def _peerClosesWithoutCode(opened: Opened) -> None:
    opened.client.sendBytes(frame(b"", FIN | OP_CLOSE))


def _peerDrops(opened: Opened) -> None:
    opened.client.drop()


def _violates(opened: Opened) -> None:
    opened.client.sendBytes(encode_frame(FIN | OP_TEXT, b"unmasked"))
    opened.client.drop()


def _violatesUTF8(opened: Opened) -> None:
    opened.client.sendBytes(frame(b"\xff"))
    opened.client.drop()


def _isTooBig(opened: Opened) -> None:
    opened.client.send("x" * 1001)
    opened.client.drop()


def _applicationCloses(opened: Opened) -> None:
    opened.transport.loseConnection(4000, "enough")
    opened.server.run()


def _applicationAborts(opened: Opened) -> None:
    opened.transport.abortConnection()


def _applicationRaises(opened: Opened) -> None:
    opened.recorder.answers["text"] = raises
    opened.client.send("x")


def _staysSilent(opened: Opened) -> None:
    opened.client.stopReading()
    opened.server.advance(40)


def _answersNoClose(opened: Opened) -> None:
    opened.client.stopReading()
    opened.transport.loseConnection(1000, "bye")
    opened.server.advance(5)


def _readsNothing(opened: Opened) -> None:
    opened.client.stopReading()
    for _ in range(4):
        opened.transport.sendTextMessage("x" * 100_000)
        opened.server.run()
    opened.server.advance(5.25)


def _readsNothingAtFirst(opened: Opened) -> None:
    opened.client.stopReading()
    for _ in range(4):
        opened.transport.sendTextMessage("x" * 100_000)
        opened.server.run()
    opened.server.advance(1)
    opened.client.startReading()


def _readsTooSlowly(opened: Opened) -> None:
    opened.client.stopReading()
    opened.transport.sendTextMessage("x" * 100_000)
    opened.server.advance(30 + 5.25)


def _serverStops(opened: Opened) -> None:
    opened.server.stop()


def _serverStopsInVain(opened: Opened) -> None:
    opened.client.stopReading()
    opened.server.stop()
    opened.server.advance(10)


def _serverStopsInHaste(opened: Opened) -> None:
    opened.client.stopReading()
    opened.server.factory.abortConnections()


def _bothClose(opened: Opened) -> None:
    opened.recorder.answers["text"] = lambda _: opened.transport.loseConnection(4001)
    close = frame(pack_close(4002, "me too"), FIN | OP_CLOSE)
    opened.client.sendBytes(frame(b"x") + close)


APPLICATION, PEER, SERVER = Side.APPLICATION, Side.PEER, Side.SERVER
DROPPED = "went away without closing"

ENDINGS = [
    (_peerCloses, PEER, 1001, "bye", None, True),
    (_peerClosesWithoutCode, PEER, 1005, "", None, True),
    (_peerDrops, PEER, 1006, DROPPED, None, False),
    (_violates, SERVER, 1002, "frame is not masked", None, False),
    (_violatesUTF8, SERVER, 1007, "text is not UTF-8", None, False),
    (_isTooBig, SERVER, 1009, "message over 1000 bytes", "max-message-size", False),
    (_applicationCloses, APPLICATION, 4000, "enough", None, True),
    (_applicationAborts, APPLICATION, 1006, "aborted by the application", None, False),
    (_applicationRaises, APPLICATION, 1011, "internal error", None, True),
    (_bothClose, APPLICATION, 4001, "", None, True),
    (
        _staysSilent,
        SERVER,
        1006,
        "answered no ping in 20 seconds",
        "ping-timeout",
        False,
    ),
    (_answersNoClose, APPLICATION, 1000, "bye", "close-timeout", False),
    (
        _readsNothing,
        SERVER,
        1013,
        "does not read; 300030 bytes wait",
        "max-send-buffer",
        False,
    ),
    (
        _readsNothingAtFirst,
        SERVER,
        1013,
        "does not read; 300030 bytes wait",
        "max-send-buffer",
        True,
    ),
    (_readsTooSlowly, SERVER, 1013, "does not read", "send-timeout", False),
    (_serverStops, SERVER, 1001, "the server is stopping", None, True),
]


@pytest.mark.parametrize(
    ("end", "side", "code", "reason", "setting", "clean"),
    [pytest.param(*ending, id=ending[0].__name__[1:]) for ending in ENDINGS],
)
def test_ending(
    end: Callable[[Opened], None],
    side: Side,
    code: int,
    reason: str,
    setting: str | None,
    clean: bool,
    logs: Logs,
) -> None:
    """For each way to end: the side, the code, the reason, the setting, and whether it
    was clean (RFC 6455 section 7.1). connectionLost and one log line agree (DESIGN
    section 5)."""
    opened = openOne(max_message_size=1000, max_send_buffer=250_000)
    check_ending(opened, end, (side, code, reason, setting, clean), logs)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        pytest.param(_serverStopsInVain, "the server is stopping", id="in vain"),
        pytest.param(_serverStopsInHaste, "the server has stopped", id="in haste"),
    ],
)
def test_ending_by_the_stop_timeout(
    end: Callable[[Opened], None], reason: str, logs: Logs
) -> None:
    """A client that doesn't answer the server's close frame is aborted at the stop
    timeout at the latest, and the log says so."""
    opened = openOne(close_timeout=0)
    check_ending(opened, end, (Side.SERVER, 1001, reason, "stop-timeout", False), logs)


def check_ending(
    opened: Opened,
    end: Callable[[Opened], None],
    expected: tuple[Side, int, str, str | None, bool],
    logs: Logs,
) -> None:
    end(opened)
    logs.failures()
    recorder = opened.recorder
    assert opened.client.transport.lost
    closed = recorder.closed
    # A member of an enumeration is shown in another way by Python 3.10.
    assert type(closed.code) is int
    got = (closed.side, closed.code, closed.reason, closed.setting, closed.clean)
    assert got == expected
    assert recorder.names.count("lost") == 1
    failure = recorder.failure
    assert failure is not None
    assert bool(failure.check(ConnectionDone)) == closed.clean
    assert bool(failure.check(ConnectionLost)) != closed.clean
    (event,) = logs.events(": closed by")
    assert logs.lines(": closed by") == [f"192.0.2.1:50000 application: {closed}"]
    logged = (event["side"], event["code"], event["reason"], event["setting"])
    assert logged == (str(closed.side), closed.code, closed.reason, closed.setting)
    assert not opened.server.factory.connections
    assert len(opened.server.factory.deadlines) == 0


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (_peerCloses, "closed by the peer, 1001: bye"),
        (_applicationCloses, "closed by the application, 4000: enough"),
        (
            _isTooBig,
            "closed by the server, without a handshake, 1009: message over 1000 bytes "
            "(max-message-size)",
        ),
    ],
)
def test_ending_in_words(end: Callable[[Opened], None], line: str) -> None:
    """A ConnectionClosed as text, for people."""
    opened = openOne(max_message_size=1000)
    end(opened)
    assert str(opened.recorder.closed) == line


# The closing handshake


def test_close_in_order() -> None:
    """Messages that were sent before loseConnection arrive before the close frame. The
    peer's answer ends the connection, without an abort (RFC 6455 section 7.1.1)."""
    server = serve(recorder := Recorder())
    transport = raw(server, handshake())
    transport.take()
    recorder.transport.sendTextMessage("last words")
    recorder.transport.loseConnection(4000, "bye")
    recorder.transport.sendTextMessage("too late")
    recorder.transport.ping(b"too late")
    server.run()
    assert transport.take() == b"\x81\x0alast words" + b"\x88\x05\x0f\xa0bye"
    assert recorder.failure is None
    assert not transport.disconnecting
    transport.put(frame(pack_close(4000), FIN | OP_CLOSE))
    server.run()
    assert transport.take() == b""
    assert transport.lost
    assert not transport.aborted
    assert recorder.closed.clean


def test_peers_close_is_answered() -> None:
    """The peer's code is sent back (section 5.5.1), after the messages that were sent
    already."""
    server = serve(recorder := Recorder())
    transport = raw(server, handshake())
    transport.take()
    recorder.answers["text"] = recorder_sends(recorder, "answer")
    close = frame(pack_close(4005, "bye"), FIN | OP_CLOSE)
    transport.put(frame(b"question") + close + frame(b"too late"))
    server.run()
    assert transport.take() == b"\x81\x06answer" + b"\x88\x02" + pack_close(4005)
    server.run()
    assert transport.lost
    assert recorder.names == ["started", "finished", "text", "lost"]


def recorder_sends(recorder: Recorder, text: str) -> Callable[[Any], None]:
    return lambda _: recorder.transport.sendTextMessage(text)


def test_nothing_is_delivered_after_loseConnection() -> None:
    """After loseConnection, the application gets no more messages, although the peer
    still sends some."""
    opened = openOne()
    opened.recorder.answers["text"] = lambda _: opened.transport.loseConnection()
    opened.client.stopReading()
    more = frame(b"c", FIN | OP_BINARY) + frame(b"d", FIN | OP_PONG)
    opened.client.sendBytes(frame(b"a") + frame(b"b") + more)
    opened.client.send("e")
    assert opened.recorder.names == ["started", "finished", "text"]
    opened.client.startReading()
    assert opened.recorder.names == ["started", "finished", "text", "lost"]
    assert opened.recorder.closed.clean


def test_violation_after_loseConnection() -> None:
    """If the peer breaks a rule instead of closing, the connection ends, and the
    application remains the side that has closed it."""
    opened = openOne()
    opened.client.stopReading()
    opened.transport.loseConnection(4000, "bye")
    opened.client.sendBytes(b"\xff\xff")
    opened.client.startReading()
    assert opened.client.closed == (4000, "bye")
    assert opened.client.transport.closedForWriting
    opened.client.drop()
    closed = opened.recorder.closed
    assert (closed.side, closed.code, closed.clean) == (Side.APPLICATION, 4000, False)


def test_violation_ends_writing() -> None:
    """A peer that broke a rule gets a close frame. Its further input is discarded until
    it disconnects or close-timeout is over (section 7.1.7; RFC 9112 section 9.6 has the
    reason)."""
    opened = openOne()
    opened.client.sendBytes(b"\x83\x80")
    assert opened.client.closed == (1002, "reserved opcode")
    transport = opened.client.transport
    assert transport.closedForWriting
    assert not transport.lost
    opened.client.send("late")
    opened.server.advance(4.75)
    assert not transport.lost
    assert opened.recorder.failure is None
    opened.server.advance(0.5)
    assert transport.aborted
    assert opened.recorder.got("text") == []
    assert opened.recorder.closed.setting is None


def test_close_timeout_off() -> None:
    """Without close-timeout, the peer may take any time to close."""
    opened = openOne(close_timeout=0)
    opened.client.stopReading()
    opened.transport.loseConnection()
    opened.server.advance(100)
    assert not opened.client.transport.lost
    opened.client.startReading()
    assert opened.recorder.closed.clean


def test_second_close_changes_nothing() -> None:
    """Only the first close counts."""
    opened = openOne()
    opened.client.stopReading()
    opened.transport.loseConnection(4001, "one")
    opened.transport.loseConnection(4002, "two")
    opened.transport.abortConnection()
    closed = opened.recorder.closed
    assert (closed.code, closed.reason, closed.clean) == (4001, "one", False)
    opened.transport.loseConnection(4003)
    opened.transport.abortConnection()
    assert opened.recorder.names.count("lost") == 1


@pytest.mark.parametrize("message", [5, 300_000_000, [104, 105], {}, None])
@pytest.mark.parametrize("how", ["send", "ping", "prepare"])
def test_no_bytes(how: str, message: Any) -> None:
    """Only bytes-like objects are binary messages, not numbers or lists of numbers. The
    error changes nothing."""
    opened = openOne()
    send: dict[str, Callable[[Any], object]] = {
        "send": opened.transport.sendBytesMessage,
        "ping": opened.transport.ping,
        "prepare": PreparedMessage,
    }
    with pytest.raises(TypeError, match="bytes-like object, not"):
        send[how](message)
    opened.transport.sendTextMessage("still there")
    opened.server.run()
    assert opened.client.messages == ["still there"]


@pytest.mark.parametrize("message", [5, b"bytes", None, ["x"]])
def test_no_text(message: Any) -> None:
    """Only str is a text message. The error names the type and a remedy."""
    opened = openOne()
    with pytest.raises(TypeError, match=r"must be a str, not \w+; json.dumps"):
        opened.transport.sendTextMessage(message)


class Markup(str):
    """A str subclass, as template engines have for safe strings."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class Color(str, Enum):
    RED = "red"


def test_subclasses_of_text() -> None:
    """Instances of str subclasses are text in both builds, and are sent with their
    value."""
    opened = openOne()
    for text in (Markup("<b>"), Color.RED, Markup("x" * 100_000)):
        opened.transport.sendTextMessage(text)
        opened.server.run()
    assert opened.client.messages == ["<b>", "red", "x" * 100_000]
    assert {type(each) for each in opened.client.messages} == {str}


def test_other_buffers() -> None:
    """Any bytes-like object is a binary message, even if it isn't contiguous or has
    other items than bytes."""
    opened = openOne()
    values: list[Any] = [memoryview(b"a-b-c")[::2], array("H", [0x4141, 0x4242])]
    for each in values:
        opened.transport.sendBytesMessage(each)
    opened.server.run()
    assert opened.client.messages == [b"abc", b"AABB"]


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (1000, b"bytes", TypeError),
        (1000, 5, TypeError),
        (None, "why", ValueError),
        ("1000", "", TypeError),
    ],
)
def test_wrong_close(code: Any, reason: Any, error: type[Exception]) -> None:
    """Wrong arguments raise before anything changes. The connection goes on, and a
    valid close closes it."""
    opened = openOne()
    with pytest.raises(error):
        opened.transport.loseConnection(code, reason)
    opened.client.send("x")
    assert opened.recorder.got("text") == ["x"]
    opened.transport.loseConnection(4000, None)
    opened.server.run()
    assert opened.client.closed == (4000, "")
    assert not opened.server.factory.connections


def test_close_without_code() -> None:
    """A close frame may have no body (RFC 6455 section 5.5.1); that is 1005 (section
    7.1.5)."""
    opened = openOne()
    opened.transport.loseConnection(None)
    opened.server.run()
    assert opened.client.closed == (1005, "")
    assert opened.recorder.closed.code == 1005
    assert opened.recorder.closed.clean


WRONG_CODES = [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536]


@pytest.mark.parametrize("code", WRONG_CODES)
def test_wrong_code(code: int) -> None:
    """A code that may not be sent raises, even if the connection is closed (section
    7.4)."""
    opened = openOne()
    with pytest.raises(ValueError, match="may not be sent"):
        opened.transport.loseConnection(code)
    assert opened.client.closed is None
    opened.client.close()
    with pytest.raises(ValueError, match="may not be sent"):
        opened.transport.loseConnection(code)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_right_code(code: int) -> None:
    """Each valid code is sent."""
    opened = openOne()
    opened.transport.loseConnection(code)
    opened.server.run()
    assert opened.client.closed == (code, "")


def test_long_reason() -> None:
    """A reason is cut to 123 bytes, between characters (section 5.5.1)."""
    opened = openOne()
    opened.transport.loseConnection(1000, "ü" * 100)
    opened.server.run()
    assert opened.client.closed == (1000, "ü" * 61)


def test_abort() -> None:
    """abortConnection ends the connection at once: waiting output isn't sent."""
    opened = openOne()
    opened.client.stopReading()
    opened.transport.sendTextMessage("lost")
    opened.transport.abortConnection()
    assert opened.client.transport.aborted
    opened.client.startReading()
    assert opened.client.messages == []
    assert opened.client.closed == (1006, "")


def test_abort_in_each_method() -> None:
    """abortConnection works in every method."""
    for name in ("started", "finished", "text"):
        recorder = Recorder()
        recorder.answers[name] = lambda _: recorder.transport.abortConnection()  # noqa: B023
        server = serve(recorder)
        transport = raw(server, handshake() + frame(b"a") + frame(b"b"))
        assert transport.aborted
        assert recorder.names[-2:] == [name, "lost"]
        assert not server.factory.connections


# Pings and pongs


def test_ping_is_answered() -> None:
    """The pong has the ping's payload (section 5.5.3), and the application isn't
    called."""
    opened = openOne()
    opened.client.ping(b"x" * 125)
    opened.client.ping()
    assert opened.client.pongs == [b"x" * 125, b""]
    assert opened.recorder.names == ["started", "finished"]


def test_ping_of_the_applications_own() -> None:
    """The application's own pings, and their answers."""
    opened = openOne()
    opened.transport.ping(b"x" * 125)
    opened.transport.ping()
    opened.server.run()
    assert opened.client.pings == [b"x" * 125, b""]
    assert opened.recorder.got("pong") == [b"x" * 125, b""]


def test_ping_too_long() -> None:
    """A control frame has at most 125 bytes (section 5.5)."""
    opened = openOne()
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        opened.transport.ping(b"x" * 126)
    opened.client.close()
    with pytest.raises(ValueError, match="125"):
        opened.transport.ping(b"x" * 126)


def test_pong_that_nobody_asked_for() -> None:
    """An unsolicited pong is allowed (section 5.5.3), and delivered."""
    opened = openOne()
    opened.client.sendBytes(frame(b"hi", FIN | OP_PONG))
    assert opened.recorder.got("pong") == [b"hi"]


# Keepalive


def test_keepalive() -> None:
    """After ping-interval of silence, the server sends a ping. The application doesn't
    see the answer (DESIGN section 5)."""
    opened = openOne()
    opened.server.advance(19.875)
    assert opened.client.pings == []
    opened.server.advance(0.125)
    assert opened.client.pings == [KEEPALIVE]
    opened.server.advance(60)
    assert len(opened.client.pings) == 4
    assert opened.client.closed is None
    assert opened.recorder.got("pong") == []


def test_keepalive_needs_an_answer() -> None:
    """A peer that doesn't answer a ping within ping-timeout is dropped, not sooner."""
    opened = openOne(ping_interval=10, ping_timeout=3)
    opened.client.stopReading()
    opened.server.advance(12.875)
    assert not opened.client.transport.lost
    opened.server.advance(0.125)
    assert opened.client.transport.aborted
    assert opened.recorder.closed.setting == "ping-timeout"


def test_any_byte_is_life() -> None:
    """Any input counts, not only an answer: half a frame is enough, before or after the
    ping."""
    opened = openOne()
    opened.client.stopReading()
    message = frame(b"x" * 20)
    for byte in message[:10]:
        opened.server.advance(15)
        opened.client.sendBytes(bytes([byte]))
    opened.client.startReading()
    assert opened.client.pings == []
    opened.client.stopReading()
    opened.server.advance(35)  # pinged after 20 of them, and 15 without an answer
    opened.client.sendBytes(message[10:11])
    opened.server.advance(15)
    assert not opened.client.transport.lost
    opened.server.advance(60)
    assert opened.client.transport.lost


def test_bytes_sent_are_no_life() -> None:
    """Bytes that are sent to a peer don't count."""
    server = serve(recorder := Recorder())
    transport = raw(server, handshake())
    for _ in range(39):
        server.advance(1)
        assert not transport.lost
        recorder.transport.sendTextMessage("anybody?")
        transport.take()
    server.advance(1)
    assert transport.aborted
    assert recorder.closed.setting == "ping-timeout"


def test_paused_reading_is_no_silence() -> None:
    """While reading is paused, a peer isn't considered silent."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(text=lambda _: waiting))
    opened.client.sendBytes(frame(b"slow") + frame(bytes(5000)))
    assert not opened.client.transport.reading
    opened.server.advance(100)
    assert opened.client.pings == []
    assert not opened.client.transport.lost
    waiting.callback(None)
    opened.server.advance(41)
    assert opened.client.pings == [KEEPALIVE, KEEPALIVE]
    assert not opened.client.transport.lost


class Network:
    """The kernel's answers about a peer, as set by the test."""

    def __init__(self, taken: int = 5000, left: int = 0) -> None:
        self.taken = taken
        self.left = left

    def ask(self, transport: object) -> Progress:
        return Progress(self.taken, self.left)

    def take(self, size: int) -> None:
        self.taken += size
        self.left -= size


def _silent(network: Network, **settings: Any) -> tuple[MemoryServer, MemoryTransport]:
    server = serve(Recorder(), **settings)
    server.factory.context.askProgress = network.ask
    return server, raw(server, handshake())


def test_ping_behind_much() -> None:
    """If much output is in front of a ping, a peer that acknowledges some of it in each
    ping-timeout keeps its time to answer."""
    network = Network(left=900_000)
    server, transport = _silent(network)
    server.advance(20)
    for _ in range(9):
        server.advance(19.5)
        network.take(100_000)
        server.advance(0.5)
        assert not transport.lost
    transport.put(frame(KEEPALIVE, FIN | OP_PONG))
    server.advance(39)
    assert not transport.lost
    server.advance(2)
    assert transport.aborted


@pytest.mark.parametrize("size", [0, 300_000])
def test_ping_behind_what_is_not_taken(size: int) -> None:
    """A peer that acknowledges nothing for ping-timeout is dropped, from the beginning
    or later."""
    network = Network(left=900_000)
    server, transport = _silent(network)
    server.advance(30)
    network.take(size)
    server.advance(9)
    assert not transport.lost
    if size:
        server.advance(19)
        assert not transport.lost
    server.advance(2)
    assert transport.aborted


def test_ping_that_has_come() -> None:
    """When all output in front of the ping is acknowledged, the peer has ping-timeout,
    and no more. Acknowledging later output doesn't count."""
    network = Network(left=10_000)
    server, transport = _silent(network)
    server.advance(20)
    for _ in range(39):
        network.take(1000)
        network.left = 10_000
        server.advance(1)
        assert not transport.lost
    server.advance(2)
    assert transport.aborted


def test_ping_behind_nothing() -> None:
    """If no output is in front of the ping, acknowledging later output doesn't
    count."""
    network = Network()
    server, transport = _silent(network)
    server.advance(20)
    for _ in range(19):
        network.taken += 1000
        server.advance(1)
        assert not transport.lost
    server.advance(1)
    assert transport.aborted


def test_send_timeout_asks_the_network() -> None:
    """The kernel has room again only after much was read. A peer that has read 128 KiB
    of the kernel's buffer in send-timeout stays; one that has read less is closed."""
    network = Network(left=4_000_000)
    server, _ = _silent(network, ping_interval=0, send_timeout=30)
    (connection,) = server.factory.connections
    connection.sendBytesMessage(bytes(400_000))
    for _ in range(5):
        server.advance(29.5)
        network.take(131_072)
        server.advance(0.5)
        assert connection.isOpen
    server.advance(29.5)
    network.take(131_071)
    server.advance(0.5)
    assert not connection.isOpen


def test_ping_timeout_while_a_method_waits() -> None:
    """While a handler waits, a dead peer is noticed, and a live one isn't dropped: some
    input is still read, including the answers to pings."""
    cancelled: list[str] = []
    app = App(
        lambda _: Recorder(text=lambda _: Deferred(lambda _: cancelled.append("gone")))
    )
    server = MemoryServer(app)
    alive = server.connect()
    alive.send("slow")
    dead = server.connectTransport()
    dead.put(handshake() + frame(b"slow"))
    server.advance(39)
    assert not dead.lost
    server.advance(2)
    assert dead.lost
    assert cancelled == ["gone"]
    server.advance(100)
    assert len(alive.pings) >= 4
    assert not alive.transport.lost


def test_paused_behind_a_ping() -> None:
    """If reading is paused while a ping is unanswered, the peer isn't dropped, since
    the answer isn't read."""
    waiting: Deferred[None] = Deferred()
    opened = openOne(Recorder(text=lambda _: waiting))
    opened.server.advance(19)
    opened.client.stopReading()
    opened.server.advance(1)
    opened.client.send("slow")
    opened.client.startReading()
    assert opened.client.pings == [KEEPALIVE]
    opened.server.advance(100)
    assert not opened.client.transport.lost


def test_ping_interval_off() -> None:
    """Without ping-interval, silence is allowed."""
    opened = openOne(ping_interval=0)
    assert len(opened.server.factory.deadlines) == 0
    opened.client.stopReading()
    opened.server.advance(200)
    assert not opened.client.transport.lost
    opened.client.startReading()
    assert opened.client.pings == []


def test_ping_timeout_off() -> None:
    """Without ping-timeout, pings are sent, answered or not."""
    opened = openOne(ping_timeout=0)
    opened.client.stopReading()
    opened.server.advance(100)
    assert not opened.client.transport.lost
    opened.client.startReading()
    assert opened.client.pings == [KEEPALIVE] * 5


# Compression


def sentBytes(recorder: Recorder, server: MemoryServer, offer: str = "") -> Any:
    """Open a connection over raw bytes. Return the response, and a function that
    returns the bytes of a sent message."""
    more = [f"Sec-WebSocket-Extensions: permessage-deflate{offer}"]
    transport = raw(server, handshake(more=more))
    response = parseResponse(transport.take())

    def send(message: str) -> bytes:
        recorder.transport.sendTextMessage(message)
        server.run()
        return transport.take()

    return response, send


LONG = "All work and no play makes Jack a dull boy. " * 20


def test_compression() -> None:
    """Compression is negotiated and works in both directions, without context takeover
    (RFC 7692)."""
    server = serve(recorder := Recorder())
    response, send = sentBytes(recorder, server)
    assert response.all("sec-websocket-extensions") == [
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    ]
    first, second = send(LONG), send(LONG)
    assert first[0] == FIN | RSV1 | OP_TEXT
    assert len(first) < 100
    assert len(first) == len(second)
    opened = openOne(compression=True)
    for message in (LONG, LONG.encode("ascii"), "short", ""):
        opened.client.send(message)
        if isinstance(message, str):
            opened.transport.sendTextMessage(message)
    opened.server.run()
    assert opened.client.messages == [LONG, "short", ""]
    assert opened.recorder.got("text") == [LONG, "short", ""]
    assert opened.recorder.got("bytes") == [LONG.encode("ascii")]


def test_small_messages_are_not_compressed() -> None:
    """A message is sent uncompressed below compression-min-size, and if compression
    would make it longer."""
    server = serve(recorder := Recorder())
    _, send = sentBytes(recorder, server)
    assert send("a" * 127) == bytes([FIN | OP_TEXT, 126, 0, 127]) + b"a" * 127
    assert send("a" * 128)[0] == FIN | RSV1 | OP_TEXT
    noise = sha512(b"1").digest() + sha512(b"2").digest()
    text = "".join(chr(0x20 + byte % 95) for byte in noise)
    assert send(text)[0] == FIN | OP_TEXT


def test_compression_min_size() -> None:
    """compression-min-size is a setting."""
    server = serve(recorder := Recorder(), compression_min_size=10)
    _, send = sentBytes(recorder, server)
    assert send("a" * 9)[0] == FIN | OP_TEXT
    assert send("a" * 10)[0] == FIN | RSV1 | OP_TEXT


@pytest.mark.parametrize("how", ["setting", "mount", "client"])
def test_no_compression(how: str) -> None:
    """Compression is off if the server, the mount or the client doesn't want it."""
    app = App()
    settings = Settings(compression=how != "setting")
    server = MemoryServer(app, settings=settings, compression=how != "mount")
    client = server.connect(compression=how != "client")
    assert "sec-websocket-extensions" not in client.responseHeaders
    app.recorders[0].transport.sendTextMessage(LONG)
    server.run()
    assert client.messages == [LONG]


def test_unknown_offer_is_declined() -> None:
    """An unacceptable offer doesn't lead to a refusal (RFC 7692 section 7)."""
    response, send = sentBytes(recorder := Recorder(), serve(recorder), "; what=1")
    assert response.status == 101
    assert response.all("sec-websocket-extensions") == []
    assert send(LONG)[0] == FIN | OP_TEXT


def test_context_takeover() -> None:
    """With context takeover, earlier messages make the next one small, in both
    directions."""
    server = serve(recorder := Recorder(), context_takeover=True)
    response, send = sentBytes(recorder, server)
    assert response.all("sec-websocket-extensions") == ["permessage-deflate"]
    assert len(send(LONG)) > len(send(LONG)) * 2
    opened = openOne(compression=True, context_takeover=True)
    for number in range(3):
        opened.client.send(LONG + str(number))
        opened.transport.sendTextMessage(LONG + str(number))
    opened.server.run()
    texts = [LONG + str(number) for number in range(3)]
    assert opened.client.messages == opened.recorder.got("text") == texts


def test_bomb() -> None:
    """A small frame that inflates beyond the limit closes with 1009 (DESIGN section
    5)."""
    opened = openOne(compression=True, max_message_size=100_000)
    opened.client.send("x" * 10_000_000)
    assert opened.client.closed == (1009, "message over 100000 bytes")


# One message to many


class Counts:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.framed = self.compressed = 0
        deflate = Deflater.deflate

        def countFrame(first: int, payload: bytes) -> bytes:
            self.framed += 1
            return encode_frame(first, payload)

        def countDeflate(deflater: Deflater, payload: bytes) -> bytes:
            self.compressed += 1
            return deflate(deflater, payload)

        monkeypatch.setattr(preparedModule, "encode_frame", countFrame)
        monkeypatch.setattr(Deflater, "deflate", countDeflate)


def test_broadcast_frames_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broadcast message is framed once, and compressed once for all connections with
    the same parameters (DESIGN section 4)."""
    app = App()
    server = MemoryServer(app)
    clients = [server.connect(compression=number % 2 == 0) for number in range(10)]
    narrow = [
        server.connect(headers=[("Sec-WebSocket-Extensions", offer)] if offer else [])
        for offer in ["permessage-deflate; server_max_window_bits=10"] * 2
    ]
    counts = Counts(monkeypatch)
    transports = [recorder.transport for recorder in app.recorders]
    broadcast(LONG, transports)
    server.run()
    assert (counts.framed, counts.compressed) == (3, 2)
    for client in [*clients, *narrow]:
        assert client.messages == [LONG]


def test_broadcast_of_small_and_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small message is broadcast uncompressed; binary messages and iterators work,
    too."""
    app = App()
    server = MemoryServer(app)
    clients = [server.connect(compression=True) for _ in range(3)]
    counts = Counts(monkeypatch)
    broadcast("small", (recorder.transport for recorder in app.recorders))
    assert (counts.framed, counts.compressed) == (1, 0)
    broadcast(LONG.encode("ascii"), iter([each.transport for each in app.recorders]))
    assert (counts.framed, counts.compressed) == (2, 1)
    server.run()
    for client in clients:
        assert client.messages == ["small", LONG.encode("ascii")]


def test_broadcast_with_context_takeover(monkeypatch: pytest.MonkeyPatch) -> None:
    """With context takeover, each connection compresses for itself, and stays correct
    with other messages in between."""
    app = App()
    server = MemoryServer(app, settings=Settings(context_takeover=True))
    clients = [server.connect(compression=True) for _ in range(3)]
    app.recorders[1].transport.sendTextMessage(LONG + "own")
    counts = Counts(monkeypatch)
    broadcast(LONG, [recorder.transport for recorder in app.recorders])
    assert counts.compressed == 3
    server.run()
    assert [client.messages[-1] for client in clients] == [LONG] * 3
    assert clients[1].messages == [LONG + "own", LONG]


def test_broadcast_passes_over_the_closed() -> None:
    """A broadcast skips connections that are closing or lost, without an error."""
    app = App()
    server = MemoryServer(app)
    clients = [server.connect() for _ in range(3)]
    clients[0].close()
    clients[1].stopReading()
    app.recorders[1].transport.loseConnection()
    broadcast("hello", [recorder.transport for recorder in app.recorders])
    clients[1].startReading()
    assert [client.messages for client in clients] == [[], [], ["hello"]]


def test_broadcast_to_a_set_that_changes() -> None:
    """Sending may end connections, which then leave the set during the broadcast."""
    app = App()
    server = MemoryServer(app, settings=Settings(max_send_buffer=1))
    clients = [server.connect() for _ in range(4)]
    transports = {recorder.transport for recorder in app.recorders}
    for recorder in app.recorders:
        recorder.answers["lost"] = lambda _: transports.clear()
    for client in clients:
        client.stopReading()
    app.recorders[0].transport.abortConnection()
    transports = {recorder.transport for recorder in app.recorders}
    broadcast("x" * 70_000, transports)
    server.run()
    broadcast("x" * 70_001, transports)
    server.advance(6)
    assert not server.factory.connections


def test_prepared_message() -> None:
    """A PreparedMessage keeps its contract, and can be sent many times."""
    message = PreparedMessage("täxt")
    assert IPreparedMessage.providedBy(message)
    assert message.isText
    assert message.payload == "täxt".encode()
    assert message.frame(None) is message.frame(None)
    opened = openOne()
    opened.transport.sendPreparedMessage(message)
    opened.transport.sendPreparedMessage(message)
    opened.server.run()
    assert opened.client.messages == ["täxt", "täxt"]


def test_prepared_message_that_does_not_shrink() -> None:
    """A message that compression makes longer is sent uncompressed, and compressed only
    once."""
    message = PreparedMessage(bytes((n * n * 31 + n * 7) % 251 for n in range(200)))
    deflater = Deflater(15, 6, takes_over=False)
    assert message.frame(deflater) is message.frame(None)
    assert message.frame(deflater)[0] == FIN | OP_BINARY
