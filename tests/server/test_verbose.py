"""
The verbose log: every handshake and every frame, without secrets.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.auth.kit import ORIGIN, Greeter, Login, checkedBy
from tests.server.kit import (
    App,
    Logs,
    Recorder,
    frame,
    handshake,
    openOne,
    raw,
    serve,
)
from tests.server.test_clients import Page
from tests.web.kit import Telling
from wsplug import HandshakeRefused, Settings, broadcast
from wsplug.codec import FIN, OP_BINARY, OP_CONTINUATION, OP_PING, OP_TEXT
from wsplug.codec.frames import encode_frame
from wsplug.interfaces import IBearerToken
from wsplug.server.redacting import showHeader, showTarget
from wsplug.server.tracing import TracedConnection
from wsplug.testing import MemoryServer

PEER = "192.0.2.1:50000"


def traced(logs: Logs) -> list[str]:
    """Return the lines about frames, without their common prefix."""
    return [
        line.removeprefix(f"{PEER} application: ")
        for line in logs.lines(f"{PEER} application: ")
        if "accepted at" not in line and "closed by" not in line
    ]


def verbosely(recorder: Recorder | None = None, **more: Any) -> Any:
    return openOne(recorder, verbose=("all",), **more)


def test_handshake(logs: Logs) -> None:
    """The request and the answer are logged with all headers."""
    server = serve(verbose=("all",))
    raw(server, handshake("GET /room?name=ann HTTP/1.1", more=["User-Agent: me"]))
    received, sent = logs.events(f"{PEER} received")[0], logs.events(f"{PEER} sent")[0]
    assert (received["method"], received["target"]) == ("GET", "/room?name=ann")
    assert "host: server.example:9000" in received["headers"]
    assert "user-agent: me" in received["headers"]
    assert sent["status"] == 101
    assert "upgrade: websocket" in sent["headers"]
    assert any(each.startswith("sec-websocket-accept: ") for each in sent["headers"])
    (line,) = logs.lines(f"{PEER} received")
    assert line.startswith(f"{PEER} received GET /room?name=ann\nhost: server.example")


def test_refused_handshake(logs: Logs) -> None:
    """The answer of a refused handshake is logged, too, without its body."""

    def refuses(_: object) -> None:
        raise HandshakeRefused(402, "pay first", headers=[(b"Set-Cookie", b"a=b")])

    server = MemoryServer(App(refuses), settings=Settings(verbose=("all",)))
    raw(server, handshake())
    (event,) = logs.events(f"{PEER} sent")
    assert event["status"] == 402
    assert "set-cookie: a=***" in event["headers"]
    assert "pay first" not in logs.lines(f"{PEER} sent")[0]


def test_malformed_request(logs: Logs) -> None:
    """The answer to a malformed request is logged, too."""
    raw(serve(verbose=("all",)), b"nonsense\r\n\r\n")
    (event,) = logs.events(f"{PEER} sent")
    assert event["status"] == 400


def test_frames(logs: Logs) -> None:
    """Each frame has a line with its direction, kind, size and first bytes, in the
    order of processing."""
    recorder = Recorder(text=lambda text: recorder.transport.sendTextMessage(text * 2))
    opened = verbosely(recorder)
    opened.client.sendBytes(
        frame(b"a")
        + frame(b"b\n", FIN | OP_BINARY)
        + frame(b"x" * 500)
        + frame(b"?", FIN | OP_PING)
    )
    opened.transport.ping(b"!")
    opened.server.run()
    opened.client.close(4000, "bye")
    assert traced(logs) == [
        "received text, 1 bytes: a",
        "sent text, 2 bytes: aa",
        "received binary, 2 bytes: b\\n",
        "received text, 500 bytes: " + "x" * 100 + "...",
        "sent text, 1000 bytes: " + "x" * 100 + "...",
        "received ping, 1 bytes: ?",
        "sent pong, 1 bytes: ?",
        "sent ping, 1 bytes: !",
        "received pong, 1 bytes: !",
        "received close, 5 bytes: 4000 bye",
        "sent close, 2 bytes: 4000",
    ]
    event = logs.events("received binary")[0]
    assert event["direction"] == "received"
    assert (event["frame"], event["size"], event["payload"]) == ("binary", 2, "b\\n")


def test_fragments(logs: Logs) -> None:
    """Each fragment of a message has a line. Control frames may come between them."""
    opened = verbosely()
    opened.client.sendBytes(
        frame(b"a", OP_TEXT)
        + frame(b"", FIN | OP_PING)
        + frame(b"b", OP_CONTINUATION)
        + frame("ż".encode(), FIN | OP_CONTINUATION)
    )
    assert opened.recorder.got("text") == ["abż"]
    assert traced(logs) == [
        "received text, more follows, 1 bytes: a",
        "received ping, 0 bytes",
        "sent pong, 0 bytes",
        "received continuation, more follows, 1 bytes: b",
        "received continuation, last, 2 bytes: ż",
    ]


@pytest.mark.parametrize("size", [0, 1, 100, 101, 125, 126, 65535, 65536])
def test_bytewise(size: int, logs: Logs) -> None:
    """However the input is split, the lines and the messages are the same."""
    opened = verbosely()
    data = frame(b"x" * size, FIN | OP_BINARY) + frame(b"next")
    step = 1 if size < 1000 else 997
    for start in range(0, len(data), step):
        opened.client.transport.put(data[start : start + step])
    opened.server.run()
    assert opened.recorder.got("bytes") == [b"x" * size]
    assert opened.recorder.got("text") == ["next"]
    first, second = traced(logs)
    assert first.startswith(f"received binary, {size} bytes")
    assert second == "received text, 4 bytes: next"


def test_many_frames(logs: Logs) -> None:
    """However many frames arrive at once, all are delivered and logged in order."""
    opened = verbosely()
    opened.client.sendBytes(b"".join(frame(b"%d" % number) for number in range(200)))
    texts = [str(number) for number in range(200)]
    assert opened.recorder.got("text") == texts
    assert [line.rpartition(" ")[2] for line in traced(logs)] == texts


def test_early_frames(logs: Logs) -> None:
    """A frame that arrives together with the handshake is logged, too."""
    raw(serve(verbose=("all",)), handshake() + frame(b"early"))
    assert traced(logs) == ["received text, 5 bytes: early"]


def test_compression(logs: Logs) -> None:
    """For a compressed message, the text is logged, and not the compressed bytes."""
    opened = verbosely(compression=True, compression_min_size=1)
    opened.client.send("hello " * 50)
    opened.transport.sendTextMessage("bye " * 50)
    broadcast("all " * 50, [opened.transport])
    opened.server.run()
    frames = traced(logs)
    assert [line.partition(" bytes")[2] for line in frames] == [
        "",
        ": " + ("hello " * 50)[:100] + "...",
        ": " + ("bye " * 50)[:100] + "...",
        ": " + ("all " * 50)[:100] + "...",
    ]
    assert frames[0].startswith("received text, compressed, ")
    assert frames[1].startswith("received text message, 300 bytes: ")
    assert frames[2].startswith("sent text, compressed from 200, ")
    assert opened.client.receive() == "bye " * 50


def test_broadcast(logs: Logs) -> None:
    """A broadcast is logged for each traced connection."""
    opened = verbosely()
    broadcast("news", [opened.transport])
    opened.server.run()
    assert traced(logs) == ["sent text, 4 bytes: news"]


def test_violation(logs: Logs) -> None:
    """A frame that breaks a rule is logged before the close frame, even if only its
    header has arrived."""
    opened = verbosely(max_message_size=1000)
    opened.client.sendBytes(encode_frame(FIN | OP_TEXT, b"x" * 2000, b"abcd")[:8])
    received, sent = traced(logs)
    assert received == "received text, incomplete, 2000 bytes"
    assert sent.startswith("sent close, ")
    assert "1009 " in sent


def test_lost_midway(logs: Logs) -> None:
    """An incomplete frame is logged when the connection ends."""
    opened = verbosely()
    opened.client.sendBytes(frame(b"hello")[:-2])
    opened.client.drop()
    assert traced(logs) == ["received text, incomplete, 5 bytes: hel"]


def test_forged_lines(logs: Logs) -> None:
    """A text can't forge a log line."""
    verbosely().client.send("a\n2026 forged\x1b[31m")
    assert traced(logs) == ["received text, 18 bytes: a\\n2026 forged\\x1b[31m"]


def test_not_limited(logs: Logs) -> None:
    """The limit on log lines doesn't apply to the verbose log, since an operator has
    asked for it."""
    server = MemoryServer(
        App(), settings=Settings(verbose=("all",), max_address_log_rate=1), exempt=()
    )
    client = server.connect()
    for _ in range(50):
        client.send("x")
    assert len(traced(logs)) == 50


@pytest.mark.parametrize("address", ["192.0.2.7", "192.0.2.200", "2001:db8::1"])
def test_some_clients(address: str, logs: Logs) -> None:
    """Only the named clients are in the log."""
    server = serve(verbose=("192.0.2.7", "2001:db8::/32"))
    server.connect(address=address).send("x")
    (connection,) = server.factory.connections
    isCovered = address != "192.0.2.200"
    assert isinstance(connection, TracedConnection) == isCovered
    assert bool(logs.lines("received text")) == isCovered
    assert bool(logs.lines("received GET")) == isCovered


def test_off() -> None:
    """By default, a connection's class is the one without tracing."""
    server = serve()
    server.connect()
    (connection,) = server.factory.connections
    assert type(connection).__name__ == "Connection"
    assert server.factory.context.verbose is None


def test_first_message(logs: Logs) -> None:
    """The message with the login is hidden, and later ones aren't."""
    portal = checkedBy(Login(IBearerToken))
    settings = Settings(verbose=("all",))
    server = MemoryServer(Greeter(), portal=portal, settings=settings)
    client = server.connect(origin=ORIGIN)
    client.send('{"type": "auth", "token": "sesame"}')
    client.send("hello")
    assert "sesame" not in "".join(logs.lines())
    assert [line for line in traced(logs) if line.startswith("received")] == [
        "received text, 35 bytes: ***",
        "received text, 5 bytes: hello",
    ]


def test_compressed_first_message(logs: Logs) -> None:
    """It is also hidden if it is compressed."""
    portal = checkedBy(Login(IBearerToken))
    settings = Settings(verbose=("all",))
    server = MemoryServer(Greeter(), portal=portal, settings=settings)
    client = server.connect(origin=ORIGIN, compression=True)
    client.send('{"type": "auth", "token": "sesame", "more": "' + "x" * 300 + '"}')
    assert logs.lines("received text message, ")
    assert "sesame" not in "".join(logs.lines())


@pytest.mark.parametrize("path", ["/?token=secret", "/-/nothing?token=secret"])
def test_pages(path: str, logs: Logs) -> None:
    """A request for a page has a line with its target and status. A health check has
    none."""
    server = Telling(App(pages=Page()), verbose=("all",)).server
    status = server.request("GET", path).status
    (line,) = logs.lines("received")
    assert line.endswith(f" received GET {path[:-6]}***, sent {status}")
    server.request("GET", "/-/health")
    assert len(logs.lines("received")) == 1


def test_warning(logs: Logs) -> None:
    """At the start, a warning says that the log will contain texts of messages."""
    server = serve(verbose=("192.0.2.7",))
    server.factory.doStart()  # type: ignore[no-untyped-call]
    (event,) = logs.events("the texts of messages")
    assert event["log_level"].name == "warn"
    assert "192.0.2.7" in logs.lines("the texts of messages")[0]


def test_wrong_client() -> None:
    """A client that isn't an address is refused, also in the Python interface."""
    with pytest.raises(ValueError, match="everyone"):
        serve(verbose=("everyone",))


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/a?b=c&token=x", "/a?b=c&token=***"),
        (b"/?access_token=x;y=1", "/?access_token=***"),
        (b"/?%74oken=x", "/?%74oken=***"),
        (b"/?api_key=x&Password=y&sig=z", "/?api_key=***&Password=***&sig=***"),
        (b"/?q=eyJhbGciOiJIUzI1NiJ9.e30.abc", "/?q=***"),
        (b"/?0123456789abcdef0123456789abcdef", "/?***"),
        (b"/?name=ann&empty=", "/?name=ann&empty="),
        (b"/" + b"x" * 400, "/" + "x" * 299 + "... (401 bytes)"),
        (b"/\xff", "/\\xff"),
        (b"/x?token=abc;hunter2&y=1", "/x?token=***&y=1"),
        (b"/x?pin=1,2345", "/x?pin=***"),
        (b"/x?pass=a&PHPSESSID=b&csrf=c", "/x?pass=***&PHPSESSID=***&csrf=***"),
        (b"/x?next=%2Fy%3Ftoken%3Dhunter2", "/x?next=***"),
        (b"/x?next=%252Fy%253Ftoken%253Dhunter2", "/x?next=***"),
        (b"/chat/eyJhbGciOiJIUzI1NiJ9.e30.abc", "/chat/***"),
        (b"/chat/0123456789abcdef0123456789abcdef/x", "/chat/***/x"),
        (b"/chat/lobby?limit=10", "/chat/lobby?limit=10"),
    ],
)
def test_targets(target: bytes, shown: str) -> None:
    """Tokens in queries are hidden."""
    assert showTarget(target) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        (b"authorization", b"Bearer abc", "Bearer ***"),
        (b"authorization", b"abc", "***"),
        (b"proxy-authorization", b"Basic abc", "Basic ***"),
        (b"cookie", b"a=b; session=c", "a=***; session=***"),
        (b"cookie", b"bare", "***"),
        (b"set-cookie", b"a=b; Path=/; Secure", "a=***; Path=/; Secure"),
        (b"x-api-key", b"abc", "***"),
        (b"x-auth-token", b"abc", "***"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZQ=="),
        (b"www-authenticate", b"Bearer realm=wsplug", "Bearer realm=wsplug"),
        (b"referer", b"https://a:b@c/?token=d#e", "https://***@c/?token=***"),
        (b"sec-websocket-protocol", b"chat, v12.stomp", "chat, v12.stomp"),
        (b"sec-websocket-protocol", b"wamp.2.json", "wamp.2.json"),
        (b"sec-websocket-protocol", b"graphql-transport-ws", "graphql-transport-ws"),
        (b"sec-websocket-protocol", b"bearer, sesame", "bearer, ***"),
        (
            b"sec-websocket-protocol",
            b"chat, access_token, a.b",
            "chat, access_token, ***",
        ),
        (b"sec-websocket-protocol", b"bearer.abcdef, chat", "***, chat"),
        (b"sec-websocket-protocol", b"9f86d081884c7d65", "***"),
        (b"accept", b"text/html;q=0.9,*/*;q=0.8", "text/html;q=0.9,*/*;q=0.8"),
        (b"accept-encoding", b"gzip, br", "gzip, br"),
        (b"sec-websocket-extensions", b"permessage-deflate", "permessage-deflate"),
        (b"forwarded", b'for=1;token="a,hunter2"', "for=1;token=***"),
        (b"x-pass", b"hunter2", "***"),
        (b"user-agent", b"0123456789abcdef0123456789abcdef", "***"),
        (b"user-agent", b"Mozilla/5.0 (X11) Gecko", "Mozilla/5.0 (X11) Gecko"),
    ],
)
def test_headers(name: bytes, value: bytes, shown: str) -> None:
    """Cookies, credentials and tokens in headers are hidden."""
    assert showHeader(name, value) == shown
