"""What each way of sending accepts (wsplug.payloads)."""

from __future__ import annotations

import enum
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from tests.server.kit import App, Logs
from wsplug import PreparedMessage, application, broadcast
from wsplug.broker import MemoryBroker
from wsplug.broker.sqlite import SqliteBroker
from wsplug.errors import HandshakeRefused
from wsplug.payloads import toClose
from wsplug.testing import MemoryClient, MemoryServer


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What is logged during the test."""
    with capturedLogs() as events:
        yield Logs(events)


class Word(str, enum.Enum):
    """A subclass of str, such as a template's safe string."""

    HI = "hi"


class Whole:
    """An object that can be used as an integer, such as NumPy's."""

    def __index__(self) -> int:
        return 1000


NO_MESSAGES: list[Any] = [5, 5.0, None, [104, 105], {}, (), len, {"a": 1}, True]

BYTES: list[Any] = [
    bytearray(b"hi"),
    memoryview(b"hi"),
    memoryview(b"h.i.")[::2],
    array("B", b"hi"),
    array("H", [0x6968]),
]


class Stage:
    """A server, a client, and every way in which one sends to the other."""

    def __init__(self) -> None:
        self.app = App()
        self.server = MemoryServer(self.app)
        self.client = self.server.connect()
        (self.recorder,) = self.app.recorders
        self.transport = self.recorder.transport

    def state(self) -> object:
        """Give the state that a refused message may not change."""
        self.server.run()
        statistics = self.server.factory.statistics
        traffic = [
            (each.sentMessages, each.receivedMessages)
            for each in statistics.traffic.values()
        ]
        return (
            traffic,
            list(self.client.messages),
            self.client.closed,
            list(self.client.pings),
            len(self.recorder.events),
        )


SENDERS: dict[str, Callable[[Stage, Any], object]] = {
    "text": lambda stage, it: stage.transport.sendTextMessage(it),
    "bytes": lambda stage, it: stage.transport.sendBytesMessage(it),
    "prepared": lambda stage, it: stage.transport.sendPreparedMessage(it),
    "prepare": lambda stage, it: PreparedMessage(it),
    "broadcast": lambda stage, it: broadcast(it, [stage.transport]),
    "ping": lambda stage, it: stage.transport.ping(it),
    "client": lambda stage, it: stage.client.send(it),
    "client's ping": lambda stage, it: stage.client.ping(it),
    "client's bytes": lambda stage, it: stage.client.sendBytes(it),
}


@pytest.mark.parametrize("message", NO_MESSAGES, ids=repr)
@pytest.mark.parametrize("name", SENDERS)
def test_no_message(name: str, message: Any) -> None:
    """An object that is neither text nor bytes-like raises a TypeError, which names
    its type and the right ones. Nothing else happens.
    """
    stage = Stage()
    before = stage.state()
    with pytest.raises(TypeError) as caught:
        SENDERS[name](stage, message)
    words = str(caught.value)
    assert f", not {type(message).__name__}" in words
    assert " must be a" in words or " must be bytes" in words
    assert stage.state() == before


@pytest.mark.parametrize("name", ["bytes", "ping", "client's ping", "client's bytes"])
def test_text_is_no_bytes(name: str) -> None:
    """Text isn't bytes: no encoding is guessed. The error names the type."""
    stage = Stage()
    before = stage.state()
    with pytest.raises(TypeError, match="bytes-like object, not str") as caught:
        SENDERS[name](stage, "hi")
    assert ("ping" in name) == ("the payload of a ping must be" in str(caught.value))
    assert stage.state() == before


@pytest.mark.parametrize("message", BYTES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("name", ["bytes", "broadcast", "client"])
def test_bytes_like(name: str, message: Any) -> None:
    """An object with a buffer is sent as its bytes, in the machine's order."""
    stage = Stage()
    SENDERS[name](stage, message)
    stage.server.run()
    got = stage.recorder.got("bytes") + stage.client.messages
    assert got == [b"hi"]


@pytest.mark.parametrize("name", ["text", "broadcast", "client"])
def test_subclass_of_str(name: str) -> None:
    """A subclass of str is its text."""
    stage = Stage()
    SENDERS[name](stage, Word.HI)
    stage.server.run()
    assert stage.recorder.got("text") + stage.client.messages == ["hi"]


CLOSERS: dict[str, Callable[[Stage, Any, Any], object]] = {
    "transport": lambda stage, *close: stage.transport.loseConnection(*close),
    "client": lambda stage, *close: stage.client.close(*close),
}


@pytest.mark.parametrize(
    ("close", "error", "words"),
    [
        (("1000", ""), TypeError, "a close code must be an integer like 1000, not str"),
        (([], ""), TypeError, "a close code must be an integer like 1000, not list"),
        (
            (1000.0, ""),
            TypeError,
            "a close code must be an integer like 1000, not float",
        ),
        ((b"", ""), TypeError, "a close code must be an integer like 1000, not bytes"),
        ((True, ""), ValueError, "close code 1 may not be sent"),
        ((1006, ""), ValueError, "close code 1006 may not be sent"),
        ((10**30, ""), ValueError, "may not be sent"),
        ((-1, ""), ValueError, "close code -1 may not be sent"),
        ((1000, b"bye"), TypeError, "a close reason must be a str, not bytes"),
        ((1000, 5), TypeError, "a close reason must be a str, not int"),
        ((None, "bye"), ValueError, "a reason needs a close code"),
        ((None, b""), TypeError, "a close reason must be a str, not bytes"),
    ],
)
@pytest.mark.parametrize("name", CLOSERS)
def test_no_close(
    name: str, close: tuple[Any, Any], error: type[Exception], words: str
) -> None:
    """Arguments that make no valid close frame raise an error that says why, and the
    connection stays open.
    """
    stage = Stage()
    before = stage.state()
    with pytest.raises(error, match=words):
        CLOSERS[name](stage, *close)
    assert stage.state() == before
    stage.client.send("still here")
    assert stage.recorder.got("text") == ["still here"]


@pytest.mark.parametrize(
    ("close", "sent"),
    [
        ((1000, ""), (1000, "")),
        ((Whole(), None), (1000, "")),
        ((4000, Word.HI), (4000, "hi")),
        ((None, None), (1005, "")),
        ((None, ""), (1005, "")),
    ],
)
@pytest.mark.parametrize("name", CLOSERS)
def test_close(name: str, close: tuple[Any, Any], sent: tuple[int, str]) -> None:
    """Arguments that make a valid close frame are accepted on either side."""
    stage = Stage()
    CLOSERS[name](stage, *close)
    stage.server.run()
    assert stage.recorder.closed.code == sent[0]
    assert stage.recorder.closed.reason == sent[1]
    assert type(stage.recorder.closed.code) is int
    assert type(stage.recorder.closed.reason) is str
    number, text = toClose(*close)
    assert (number, text) == sent


def talk(action: Callable[[Any], Any]) -> tuple[list[object], MemoryClient]:
    """Run an action in a coroutine, and record what it raises."""
    raised: list[object] = []

    @application("talk")
    async def coroutine(socket: Any) -> None:
        try:
            await action(socket)
        except TypeError as error:
            raised.append(str(error))
        await socket.send("still here")

    return raised, MemoryServer(coroutine).connect()


@pytest.mark.parametrize("message", NO_MESSAGES, ids=repr)
def test_coroutine(message: Any) -> None:
    """In a coroutine the error is the same, and names both types; its connection
    stays open.
    """
    raised, client = talk(lambda socket: socket.send(message))
    kind = type(message).__name__
    assert raised == [
        "a message must be a str, or bytes or another bytes-like object, "
        f"not {kind}; json.dumps() makes text of other objects"
    ]
    assert client.messages == ["still here"]


def test_coroutine_sends_all_kinds() -> None:
    """Text of any type is sent as text, and any object with a buffer as binary."""
    for message in BYTES:
        raised, client = talk(lambda socket, it=message: socket.send(it))  # type: ignore[misc]
        assert (raised, client.messages) == ([], [b"hi", "still here"])
    raised, client = talk(lambda socket: socket.send(Word.HI))
    assert (raised, client.messages) == ([], ["hi", "still here"])


def test_coroutine_closes() -> None:
    """An invalid close is an error in a coroutine, too, which can continue."""

    async def close(socket: Any) -> None:
        socket.close("1000")

    raised, client = talk(close)
    assert raised == ["a close code must be an integer like 1000, not str"]
    assert client.messages == ["still here"]


# Refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("403",), "an HTTP status must be an int, not str"),
        ((403.0,), "an HTTP status must be an int, not float"),
        ((403, b"no"), "a refusal's reason must be a str, not bytes"),
        ((403, None), "a refusal's reason must be a str, not NoneType"),
        ((403, "", {"body": "no"}), "a refusal's body must be bytes, not str"),
        ((403, "", {"body": 5}), "a refusal's body must be bytes, not int"),
        (
            (403, "", {"headers": 5}),
            "header must be two bytes objects, not 5",
        ),
        ((403, "", {"headers": [("A", b"b")]}), "two bytes objects, not \\('A', b'b'"),
        (
            (403, "", {"headers": [(b"A", b"b", b"")]}),
            "must be two bytes objects",
        ),
        (
            (403, "", {"headers": {b"A": b"b"}}),
            "must be two bytes objects, not b'A'",
        ),
    ],
)
def test_no_refusal(arguments: tuple[Any, ...], words: str, logs: Logs) -> None:
    """A refusal that can't be a response is an error where it is created: the client
    gets a 500, and the next client is served.
    """
    *plain, last = arguments
    keywords = last if isinstance(last, dict) else {}
    if not keywords:
        plain.append(last)

    def build(request: Any) -> Any:
        raise HandshakeRefused(*plain, **keywords)

    app = App(build)
    server = MemoryServer(app)
    with pytest.raises(HandshakeRefused, match="500 the application failed"):
        server.connect()
    (failure,) = logs.failures()
    failure.trap(TypeError)
    assert re.search(words, failure.getErrorMessage())
    app.build = None
    assert server.connect().opened


# Channels


@pytest.fixture(params=["memory", "sqlite"])
def broker(request: Any, tmp_path: Path) -> Any:
    """A broker of each kind.

    Arguments are checked before anything else, so it need not be started.
    """
    if request.param == "memory":
        return MemoryBroker(Clock())
    return SqliteBroker(str(tmp_path / "broker"), Clock())


@pytest.mark.parametrize("data", [*NO_MESSAGES, "text"], ids=repr)
def test_no_publication(broker: Any, data: Any) -> None:
    """Only bytes-like objects can be published or be a presence's data.

    Nothing is stored or counted for others.
    """
    words = f"channel data must be bytes .*, not {type(data).__name__}; encode"
    with pytest.raises(TypeError, match=words):
        broker.publish("a", data)
    with pytest.raises(TypeError, match=words):
        broker.enter("a", "key", data)
    with pytest.raises(TypeError, match=words):
        broker.update("a", "key", data)
    fired: list[Any] = []
    broker.presence("a").addCallback(fired.append)
    assert fired == [{}]
    if isinstance(broker, MemoryBroker):
        broker.publish("a", b"first").addCallback(fired.append)
        assert fired[1].offset == 1


@pytest.mark.parametrize("channel", [None, 5, b"a", ["a"]], ids=repr)
def test_no_channel(broker: Any, channel: Any) -> None:
    """A channel's name is text."""
    with pytest.raises(TypeError, match="a channel's name must be a str, not"):
        broker.publish(channel, b"")


def test_published_as_it_was() -> None:
    """A buffer that its owner changes later stays unchanged in the channel."""
    broker = MemoryBroker(Clock())
    data: Any = bytearray(b"then")
    broker.publish("a", data)
    data[:] = b"now!"
    fired: list[Any] = []
    broker.history("a").addCallback(fired.append)
    assert [each.data for each in fired[0].publications] == [b"then"]
