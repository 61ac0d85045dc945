"""Tools for the server's tests, on top of ``wsplug.testing``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from zope.interface import implementer

from wsplug import ConnectionClosed, Settings, WebSocketProtocol
from wsplug.codec import FIN, OP_TEXT, encode_frame
from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainResource,
    IWebSocketApplication,
    IWebSocketTransport,
)
from wsplug.testing import MemoryClient, MemoryServer, MemoryTransport

HOST = "server.example:9000"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"

HANDSHAKE: Mapping[str, str] = {
    "Host": HOST,
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}

Event = tuple[str, Any]


def handshake(
    line: str = "GET / HTTP/1.1",
    changes: Mapping[str, str | None] | None = None,
    more: Sequence[str] = (),
) -> bytes:
    """Return a valid handshake, with headers changed, added or (with None) left out."""
    headers: dict[str, str | None] = {**HANDSHAKE, **(changes or {})}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([line, *lines, *more, "", ""]).encode("latin-1")


def frame(payload: bytes, first: int = FIN | OP_TEXT) -> bytes:
    """Return a frame as a client sends it."""
    return encode_frame(first, payload, MASK)


@dataclass(frozen=True)
class Response:
    """A parsed HTTP response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]


def parseResponses(data: bytes) -> list[Response]:
    """Parse responses by their Content-Length. The body of a response with status 101
    is the rest."""
    responses = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"no whole response: {head!r}"
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        headers = tuple((name.lower(), value) for name, _, value in pairs)
        number = int(status.split(" ")[1])
        sizes = [int(value) for name, value in headers if name == "content-length"]
        size = sizes[0] if sizes else len(data)
        responses.append(Response(number, headers, data[:size]))
        data = data[size:]
    return responses


def parseResponse(data: bytes) -> Response:
    """Parse a single response."""
    (response,) = parseResponses(data)
    return response


class Recorder(WebSocketProtocol):
    """Records each call, and then does what the test wants. ``answers`` has a callable
    for each of the names that are in ``events``."""

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.events: list[Event] = []
        self.answers = answers
        self.failure: Failure | None = None

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    @property
    def closed(self) -> ConnectionClosed:
        assert self.failure is not None, "the connection is still there"
        value = self.failure.value
        assert isinstance(value, ConnectionClosed)
        return value

    def got(self, name: str) -> list[Any]:
        return [value for each, value in self.events if each == name]

    def _note(self, name: str, value: Any = None) -> Any:
        self.events.append((name, value))
        answer = self.answers.get(name)
        return answer(value) if answer is not None else None

    def negotiationStarted(self, transport: IWebSocketTransport) -> Any:
        super().negotiationStarted(transport)
        return self._note("started", transport)

    def negotiationFinished(self) -> Any:
        return self._note("finished")

    def textMessageReceived(self, message: str) -> Any:
        return self._note("text", message)

    def bytesMessageReceived(self, data: bytes) -> Any:
        return self._note("bytes", data)

    def pongReceived(self, payload: bytes) -> Any:
        return self._note("pong", payload)

    def connectionLost(self, reason: Failure) -> Any:
        self.failure = reason
        return self._note("lost", reason)


@implementer(IWebSocketApplication)
class App:
    """An application that makes recorders, or whatever the test wants."""

    pages: str | IPlainResource | IResource | None = None
    subprotocols: Sequence[str] = ()

    def __init__(
        self,
        build: Callable[[IHandshakeRequest], Any] | None = None,
        subprotocols: Sequence[str] = (),
        pages: str | IPlainResource | IResource | None = None,
    ) -> None:
        self.build = build
        self.subprotocols = subprotocols
        self.pages = pages
        self.requests: list[IHandshakeRequest] = []
        self.recorders: list[Recorder] = []
        self.calls: list[str] = []

    def buildProtocol(self, request: IHandshakeRequest) -> Any:
        self.requests.append(request)
        if self.build is not None:
            return self.build(request)
        recorder = Recorder()
        self.recorders.append(recorder)
        return recorder

    def startApplication(self) -> Any:
        self.calls.append("start")

    def stopApplication(self) -> Any:
        self.calls.append("stop")


def serve(recorder: Recorder | None = None, **settings: Any) -> MemoryServer:
    """Start a server whose first, or every, connection gets a recorder."""
    recorders = [recorder] if recorder is not None else []
    app = App(lambda _: recorders.pop(0) if recorders else Recorder())
    return MemoryServer(app, settings=Settings(**settings))


@dataclass
class Opened:
    """An open connection, with both ends."""

    server: MemoryServer
    client: MemoryClient
    recorder: Recorder

    @property
    def transport(self) -> IWebSocketTransport:
        return self.recorder.transport


def openOne(
    recorder: Recorder | None = None, compression: bool = False, **settings: Any
) -> Opened:
    """Connect a client to a recorder."""
    recorder = recorder if recorder is not None else Recorder()
    server = serve(recorder, **settings)
    return Opened(server, server.connect(compression=compression), recorder)


def raw(server: MemoryServer, data: bytes) -> MemoryTransport:
    """Connect a client that sends raw bytes."""
    transport = server.connectTransport()
    transport.put(data)
    server.run()
    return transport


class Logs:
    """What is logged during the test. The test has to take each failure."""

    def __init__(self, events: Sequence[LogEvent]) -> None:
        self._events = events
        self._taken = 0

    def events(self, words: str = "") -> list[LogEvent]:
        """Return wsplug's events, at any level, whose text contains some words."""
        return [
            event
            for event in self._events
            if str(event.get("log_namespace")).startswith("wsplug")
            and words in formatEvent(event)
        ]

    def lines(self, words: str = "") -> list[str]:
        return [formatEvent(event) for event in self.events(words)]

    def failures(self) -> list[Failure]:
        """Return the tracebacks that were logged since the last call."""
        found = [event["log_failure"] for event in self._events if _fails(event)]
        new = found[self._taken :]
        self._taken = len(found)
        return new


def _fails(event: LogEvent) -> bool:
    return event.get("log_failure") is not None


@implementer(IPushProducer)
class Producer:
    """Records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")
