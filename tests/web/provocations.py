"""
Every way in which a connection ends or is refused, provoked. There are one or more
provocations for each row of docs/reference/closing.md, by the row's first cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred

from tests.admin.kit import TOKEN, Board
from tests.auth.kit import ORIGIN, Greeter, Login, checkedBy
from tests.auth.test_first_message import auth
from tests.auth.test_handshake import lasting
from tests.server import test_connection as endings
from tests.server import test_opening as openings
from tests.server.http.test_hardening import ENCODED
from tests.server.http.test_pages import Page
from tests.server.kit import HOST, App, Opened, frame, handshake, openOne, raw, serve
from tests.server.test_limits import World, _begin, _stall
from tests.server.test_proxyprotocol import LINE, PROXIES
from wsplug import ConnectionClosed, HandshakeRefused, Settings
from wsplug.admin.status import PATH
from wsplug.codec import FIN, OP_TEXT
from wsplug.guard.bans import parsePrefix
from wsplug.guard.hosts import HostRules
from wsplug.interfaces import IBearerToken, IPlainRequest
from wsplug.plain import PlainResource
from wsplug.server.factory import WebSocketFactory
from wsplug.testing import MemoryServer
from wsplug.testing.server import CLIENT

__all__ = ["CLOSINGS", "REFUSALS", "Provoked"]


@dataclass(frozen=True)
class Provoked:
    """
    The result of a provocation.

    @ivar factory: the server's.
    @ivar lost: what the application's C{connectionLost} got; C{None} where there was no
        application yet.
    """

    factory: WebSocketFactory
    lost: ConnectionClosed | None = None


Provocation = Callable[[], Provoked]


# After the handshake


def opened(end: Callable[[Opened], object], **settings: Any) -> Provocation:
    def provoke() -> Provoked:
        one = openOne(max_message_size=1000, max_send_buffer=250_000, **settings)
        end(one)
        return Provoked(one.server.factory, one.recorder.closed)

    return provoke


def _sends(data: bytes) -> Callable[[Opened], None]:
    def send(one: Opened) -> None:
        one.client.sendBytes(data)
        one.client.drop()

    return send


def _fragments(one: Opened) -> None:
    one.client.sendBytes(frame(b"a", OP_TEXT) + frame(b"b", 0) + frame(b"c", 0) * 2)
    one.client.drop()


def _handlerWaits(one: Opened) -> None:
    one.recorder.answers["text"] = lambda _: Deferred()
    one.client.send("x")
    one.server.advance(301)


def overdrawn(size: int, count: int, **settings: Any) -> Provocation:
    """
    A client that sends too much at once, within the limits of its address.
    """

    def provoke() -> Provoked:
        world = World(max_message_size=10, max_fragments=1, **settings)
        client = world.connect()
        client.sendBytes(frame(b"x" * size) * count)
        world.server.advance(6)
        return Provoked(world.server.factory, world.last.closed)

    return provoke


def _unfinished() -> Provoked:
    world = World(max_incomplete_total=10_000)
    recorder = _begin(world, 20_000)
    world.server.advance(6)
    return Provoked(world.server.factory, recorder.closed)


def _waiting() -> Provoked:
    world = World(max_send_buffer_total=500_000, max_send_buffer=2_000_000)
    _, recorder = _stall(world, 0)
    for _ in range(4):
        recorder.transport.sendBytesMessage(bytes(100_000))
        world.server.run()
    world.server.advance(6)
    return Provoked(world.server.factory, recorder.closed)


def _waitingWithin() -> Provoked:
    world = World(max_send_buffer_total=250_000, max_send_buffer=2_000_000)
    _, recorder = _stall(world, 0)
    recorder.transport.sendBytesMessage(bytes(300_000))
    world.server.advance(6)
    return Provoked(world.server.factory, recorder.closed)


def _userCoolsDown() -> Provoked:
    server = MemoryServer(
        Greeter(),
        portal=checkedBy(Login(IBearerToken)),
        settings=Settings(max_message_rate=2),
        exempt=(),
    )
    for number in range(2):
        client = server.connect(origin=ORIGIN, address=f"203.0.113.{number}")
        client.send(auth())
        if not number:
            client.sendBytes(frame(b"x") * 21)
            server.advance(6)
    return Provoked(server.factory)


def loggingIn(
    message: str | None,
    answer: Any = b"ann",
    seconds: float = 0,
    build: Callable[[Any], Any] | None = None,
    before: int = 0,
    exempt: tuple[str, ...] = (CLIENT,),
    **settings: Any,
) -> Provocation:
    """
    A page that logs in with its first message.

    @param seconds: how many seconds pass afterwards.
    @param before: how many clients have done the same before.
    """

    def provoke() -> Provoked:
        login, greeter = Login(IBearerToken), Greeter()
        login.answer = answer() if callable(answer) else answer
        greeter.build = build
        server = MemoryServer(
            greeter,
            portal=checkedBy(login),
            settings=Settings(**settings),
            exempt=exempt,
        )
        for number in range(before + 1):
            # The same user may connect from any address.
            address = CLIENT if exempt else f"203.0.113.{number}"
            client = server.connect(origin=ORIGIN, address=address)
            if message is not None:
                client.send(message)
        server.advance(seconds)
        return Provoked(server.factory)

    return provoke


def _raising(status: int) -> Callable[[Any], Any]:
    def build(_: Any) -> Any:
        raise HandshakeRefused(status, "not today")

    return build


def _expires() -> Provoked:
    greeter = Greeter()
    server = MemoryServer(greeter, portal=checkedBy(lasting(30)))
    server.connect(headers=[("Authorization", "Bearer sesame")])
    server.advance(31)
    return Provoked(server.factory, greeter.lost[-1])


def operated(**asked: Any) -> Provocation:
    def provoke() -> Provoked:
        app = App()
        board = Board(app)
        board.server.connect()
        board.connect("192.0.2.200").ask(**asked)
        return Provoked(board.factory, app.recorders[-1].closed)

    return provoke


def unknown(message: str | None, seconds: float = 0) -> Provocation:
    """
    A client on the status page that isn't an operator.
    """

    def provoke() -> Provoked:
        board = Board(token=TOKEN)
        operator = board.connect()
        if message is not None:
            operator.client.send(message)
        board.advance(seconds)
        return Provoked(board.admin.factory)

    return provoke


def _restarts(one: Opened) -> None:
    one.server.factory.closeConnections("the server restarts", 1012)
    one.server.run()


def _restartsInVain(one: Opened) -> None:
    one.client.stopReading()
    one.server.factory.closeConnections("the server restarts", 1012)
    one.server.advance(11)


WRONG = UnauthorizedLogin()

CLOSINGS: dict[str, tuple[Provocation, ...]] = {
    "the client closed": (
        opened(endings._peerCloses),
        opened(endings._peerClosesWithoutCode),
    ),
    "the client disconnected without closing": (opened(endings._peerDrops),),
    "the application called `loseConnection(code, reason)`": (
        opened(endings._applicationCloses),
        opened(endings._bothClose),
    ),
    "the application called `abortConnection()`": (opened(endings._applicationAborts),),
    "the application raised an exception": (opened(endings._applicationRaises),),
    "the application took longer than `handler-timeout` for a message": (
        opened(_handlerWaits),
    ),
    "the client sent a reserved bit or opcode, an unmasked frame, a long or "
    "fragmented control frame, an unexpected continuation, a length not in its "
    "shortest form, or an invalid close code": (
        opened(endings._violates),
        *(
            opened(_sends(data))
            for data in (
                frame(b"", FIN | 0x40 | OP_TEXT),
                frame(b"", FIN | 0x3),
                frame(b"x" * 126, FIN | 0x9),
                frame(b"", 0x9),
                frame(b"", FIN),
                b"\x81\xfe\x00\x05\0\0\0\0hello",
                frame(b"\x03\xed", FIN | 0x8),
            )
        ),
    ),
    "the client sent text or a close reason that isn't UTF-8, or a message that "
    "can't be inflated": (opened(endings._violatesUTF8),),
    "a message was too large: its declared length, its fragments together, or "
    "its inflated size": (opened(endings._isTooBig),),
    "a message had too many frames": (opened(_fragments, max_fragments=2),),
    "too many messages or control frames came on the connection": (
        overdrawn(1, 11, max_message_rate=1),
    ),
    "too many bytes came on the connection": (overdrawn(10, 9, max_byte_rate=1),),
    "too many messages came from the address or the user": (
        overdrawn(1, 11, max_address_message_rate=1),
    ),
    "too many bytes came from the address or the user": (
        overdrawn(10, 9, max_address_byte_rate=1),
    ),
    "all incomplete messages together were too large, and this was one of the "
    "largest": (_unfinished,),
    "too much output waited for all clients together, and this one had the most": (
        _waiting,
        _waitingWithin,
    ),
    "too much output waited for a client that doesn't read": (
        opened(endings._readsNothing),
        opened(endings._readsNothingAtFirst),
    ),
    "the client took too long to read 128 KiB": (opened(endings._readsTooSlowly),),
    "the client didn't answer a ping in time, and acknowledged nothing of what "
    "was sent before the ping": (opened(endings._staysSilent),),
    "the first message had no token, or a wrong one": (
        loggingIn("hello"),
        loggingIn(auth(), WRONG),
    ),
    "no first message with a token came in time": (loggingIn(None, seconds=11),),
    "… or the token wasn't checked, or the application didn't answer, in time": (
        loggingIn(auth(), Deferred, 11),
        loggingIn(auth(), seconds=11, build=lambda _: Deferred()),
    ),
    "… or too many wrong tokens came from the address": (
        loggingIn(auth(), WRONG, before=1, max_auth_failures=1),
    ),
    "… or the user has too many connections, connects too often, or has just "
    "sent too much": (
        loggingIn(auth(), before=1, exempt=(), max_address_connections=1),
        loggingIn(auth(), before=10, exempt=(), max_address_handshake_rate=1),
        _userCoolsDown,
    ),
    "… or the token couldn't be checked, because the checker failed": (
        loggingIn(auth(), RuntimeError("no database")),
    ),
    "… and then the application refused the client: with 503, with another "
    "status from 500 on, with any other status": tuple(
        loggingIn(auth(), build=_raising(status)) for status in (503, 500, 402)
    ),
    "the client's token has expired": (_expires,),
    "an operator closed the connection; banned its address": (
        operated(type="close", address=CLIENT, code=4001, reason="enough"),
        operated(type="ban", address=CLIENT, seconds=60),
    ),
    "no admin token came in time": (unknown(None, 11),),
    "the admin token was wrong, or another message came before it": (
        unknown('{"type": "auth", "token": "wrong"}'),
        unknown('{"type": "ping"}'),
        unknown("hello"),
    ),
    "the server restarts: `SIGTERM`, `drain()`": (opened(_restarts),),
    "the server stops: `SIGINT`, `stopService()`, `drain(forGood=True)`": (
        opened(endings._serverStops),
    ),
    "… and the client hasn't closed in time": (
        opened(_restartsInVain),
        opened(endings._serverStopsInVain, close_timeout=0),
        opened(endings._serverStopsInHaste, close_timeout=0),
    ),
}


# Instead of the handshake


def answered(server: MemoryServer) -> Provoked:
    return Provoked(server.factory)


def sent(
    data: bytes, build: Any = None, path: str = "/", seconds: float = 0, **settings: Any
) -> Provocation:
    def provoke() -> Provoked:
        server = MemoryServer(App(build), path=path, settings=Settings(**settings))
        raw(server, data)
        server.advance(seconds)
        return answered(server)

    return provoke


def opening(*names: str) -> tuple[Provocation, ...]:
    """
    Take refusals from the tests of handshakes.
    """
    rows = {str(row.id): row.values for row in openings.REFUSALS}
    return tuple(sent(rows[name][0]) for name in names)


def _fails(_: Any) -> Any:
    raise RuntimeError


def body(
    *headers: str, content: str = "", seconds: float = 0, **settings: Any
) -> Provocation:
    """
    A request with a body, or part of one.

    @param content: the part of the body that is sent.
    """

    def provoke() -> Provoked:
        server = MemoryServer(App(pages=Page()), settings=Settings(**settings))
        head = handshake("POST / HTTP/1.1", {"Upgrade": None}, headers)
        raw(server, head + content.encode("ascii"))
        server.advance(seconds)
        return answered(server)

    return provoke


class _Later(PlainResource):
    def respond(self, request: IPlainRequest) -> Any:
        return Deferred()


def _waitsForPage() -> Provoked:
    server = MemoryServer(App(pages=_Later()))
    raw(server, handshake("GET / HTTP/1.1", {"Upgrade": None}))
    server.advance(301)
    return answered(server)


OWN_FILE = "GET /-/wsplug.js HTTP/1.1"


class _Form(Page):
    parsesForms = True


def form(data: bytes) -> Provocation:
    """
    A form for a resource that wants one.
    """

    def provoke() -> Provoked:
        server = MemoryServer(App(pages=_Form()))
        kind = "multipart/form-data" if b"=" not in data else ENCODED
        headers = (f"Content-Type: {kind}", f"Content-Length: {len(data)}")
        request = handshake("POST / HTTP/1.1", {"Upgrade": None}, headers)
        raw(server, request + data)
        return answered(server)

    return provoke


def credentials(*tokens: str, answer: Any = WRONG, **settings: Any) -> Provocation:
    """
    A handshake with one C{Authorization} header for each token, after similar ones.
    """

    def provoke() -> Provoked:
        login = Login(IBearerToken)
        login.answer = answer() if callable(answer) else answer
        server = MemoryServer(
            Greeter(), portal=checkedBy(login), settings=Settings(**settings)
        )
        headers = [f"Authorization: Bearer {token}" for token in tokens]
        for _ in range(2 if settings else 1):
            raw(server, handshake(more=headers))
        server.advance(11)
        return answered(server)

    return provoke


def guesses(**settings: Any) -> Provocation:
    """
    Two handshakes with wrong passwords, from two addresses.
    """

    def provoke() -> Provoked:
        login = Login(IUsernamePassword)
        login.answer = WRONG
        server = MemoryServer(
            Greeter(), portal=checkedBy(login), settings=Settings(**settings)
        )
        for number in range(2):
            transport = server.connectTransport(f"203.0.113.{number}")
            transport.put(handshake(more=["Authorization: Basic YTpi"]))
            server.run()
        return answered(server)

    return provoke


def proxied(data: bytes, seconds: float = 0) -> Provocation:
    def provoke() -> Provoked:
        server = MemoryServer(App(), proxies=PROXIES)
        raw(server, data)
        server.advance(seconds)
        return answered(server)

    return provoke


def crowded(count: int, **settings: Any) -> Provocation:
    """
    Many handshakes from one address.
    """

    def provoke() -> Provoked:
        server = World(**settings).server
        for _ in range(count):
            raw(server, handshake())
        return answered(server)

    return provoke


def _coolsDown() -> Provoked:
    world = World(max_message_rate=1)
    world.connect().sendBytes(frame(b"x") * 11)
    raw(world.server, handshake())
    return answered(world.server)


def _full() -> Provoked:
    server = serve(max_connections=1)
    server.connect()
    server.connectTransport()
    return answered(server)


def _late() -> Provoked:
    server = serve()
    server.connectTransport()
    server.advance(11)
    return answered(server)


def _stopping() -> Provoked:
    server = serve()
    server.connect().stopReading()
    server.stop()
    server.connectTransport()
    return answered(server)


def _rebound() -> Provoked:
    server = serve()
    transport = server.connectTransport("127.0.0.1")
    transport.put(handshake(more=[f"Origin: http://{HOST}"]))
    server.run()
    return answered(server)


def _banned() -> Provoked:
    server = serve()
    server.factory.bans.add(parsePrefix(CLIENT), 60)
    server.connectTransport()
    return answered(server)


def status(**options: Any) -> Provocation:
    def provoke() -> Provoked:
        hosts = HostRules((), forAll=True) if options.pop("strict", False) else None
        board = Board(hosts=hosts)
        raw(board.admin, handshake(f"GET {PATH} HTTP/1.1", **options))
        return answered(board.admin)

    return provoke


REFUSALS: dict[str, tuple[Provocation, ...]] = {
    "isn't HTTP, has control bytes or bare line ends in its head, has a folded "
    "or malformed header, or has no Host or two": opening(
        "no request line",
        "NUL",
        "bare line feed",
        "folded",
        "no colon",
        "no Host",
        "two Hosts",
    ),
    "has too large a head": (sent(handshake(), max_head_size=20),),
    "has too many headers": (sent(handshake(), max_headers=2),),
    "isn't complete in time": (_late,),
    "is a TLS handshake on a port without TLS": opening("TLS"),
    "has an HTTP version other than 1.1 and 1.0": opening("HTTP/2"),
    "has a body of ambiguous length; in a coding other than chunked": opening(
        "two lengths", "gzip"
    ),
    "has a larger body than the resource at its path takes, or any body if the "
    "resource takes none": (
        body("Content-Length: 2000000"),
        sent(handshake(OWN_FILE, {"Upgrade": None}, ["Content-Length: 1"])),
    ),
    "has a body in malformed chunks, or with long extensions or trailers": (
        body("Transfer-Encoding: chunked", content="5\r\nabc\r\n0\r\n"),
        body("Transfer-Encoding: chunked", content=f"1;{'e' * 1000}\r\nx\r\n" * 5),
        body("Transfer-Encoding: chunked", content="0\r\n" + "a: b\r\n" * 3000),
    ),
    "has an incomplete body while all incomplete ones together are too large, "
    "and this is one of the largest": (
        body("Content-Length: 9000", content="x" * 5000, max_incomplete_total=4000),
    ),
    "has a complete body that there is no room for: bodies that wait for an "
    "application's answer use at most half of the limit": (
        body("Content-Length: 9000", content="x" * 9000, max_incomplete_total=4000),
    ),
    "has a malformed form as its body, or one with more than 10 000 fields, for "
    "a resource that parses forms": (form(b"nonsense"), form(b"a=b&" * 10_001)),
    "has a body that arrives too slowly: less than 16 KiB in each `open-timeout`": (
        body("Content-Length: 20", seconds=17),
        body("Transfer-Encoding: chunked", seconds=17),
    ),
    "asks to upgrade with another method than GET": opening("POST", "HEAD"),
    "asks to upgrade in HTTP/1.0, with a body, or without `Connection: Upgrade`": (
        opening("HTTP/1.0", "body", "no Connection")
    ),
    "has a `Sec-WebSocket-Version` other than 13, or none": opening(
        "draft 8", "no version"
    ),
    "has a `Sec-WebSocket-Key` that isn't 16 bytes in base64, or a malformed "
    "subprotocol or extension": opening("no key", "subprotocol", "extension"),
    "is for a path at which nothing is mounted": (sent(handshake(), path="/a"),),
    "comes from a page whose origin is not allowed": opening("Origin"),
    "comes from the machine itself without a mark of a proxy, and from a page "
    "whose host isn't known to be the server's": (_rebound,),
    "has credentials twice": (credentials("a", "b"),),
    "has no credentials, or a wrong password or token": (
        credentials(),
        credentials("a"),
    ),
    "… after too many failures: from its address, or with passwords from all "
    "addresses": (
        credentials("a", max_auth_failures=1),
        guesses(max_auth_failures_total=1),
    ),
    "… or credentials that can't be checked, because the checker failed": (
        credentials("a", answer=RuntimeError("no database")),
    ),
    "… or credentials that weren't checked in time": (
        credentials("a", answer=Deferred),
    ),
    "is refused by the application": (sent(handshake(), _raising(402)),),
    "… because it raised an exception": (sent(handshake(), _fails),),
    "… because it didn't answer in time": (
        sent(handshake(), lambda _: Deferred(), seconds=11),
    ),
    "is for a page that the application's code doesn't answer in time": (
        _waitsForPage,
    ),
    "comes from a trusted proxy whose connection doesn't begin with a valid "
    "PROXY header, although `proxy-protocol` requires one": (proxied(handshake()),),
    "… or whose PROXY header isn't complete in time": (proxied(LINE[:-1], 11),),
    "exceeds the number of connections": (_full,),
    "exceeds the number of connections of its address or its user": (
        crowded(2, max_address_connections=1),
    ),
    "exceeds the rate of handshakes from its address": (
        crowded(11, max_address_handshake_rate=1),
    ),
    "comes from an address that has just sent too many messages or bytes": (
        _coolsDown,
    ),
    "comes from an address that an operator has banned": (_banned,),
    "is for the status page without its subprotocol": (status(),),
    "is for an admin endpoint without a token, and its Host isn't one of the "
    "endpoint's names": (status(strict=True),),
    "… or comes from a page of another host": (
        status(
            strict=True,
            changes={"Host": "localhost", "Origin": "http://evil.example"},
        ),
    ),
    "comes while the server stops or restarts": (_stopping,),
}
