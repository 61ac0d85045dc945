"""The public API as users write it: this file is type-checked (mypy --strict), and
never run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from twisted.application.service import MultiService
from twisted.cred.portal import Portal
from twisted.internet import endpoints
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import (
    Access,
    Application,
    Authentication,
    CloseCode,
    ConnectionClosed,
    HandshakeRefused,
    Mount,
    Option,
    PreparedMessage,
    RequestRefused,
    Room,
    Services,
    Settings,
    Side,
    WebSocket,
    WebSocketApplication,
    WebSocketFactory,
    WebSocketProtocol,
    WebSocketService,
    application,
    broadcast,
)
from wsplug.apps.bot import CommandBot, command, visitorName
from wsplug.auth import Authenticator, Avatar, makePortal
from wsplug.interfaces import (
    ICommand,
    IConversation,
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.options import integer
from wsplug.testing import MemoryClient, MemoryServer


@application("shout", help="Repeat every text in capitals.", subprotocols=["v1"])
async def shout(socket: WebSocket, *, times: Annotated[int, "How often."] = 1) -> None:
    room: tuple[str, ...] = socket.request.segments
    async for message in socket:
        if isinstance(message, str):
            await socket.send(message.upper() * times)
        else:
            await socket.send(message)
    closed: ConnectionClosed | None = socket.closed
    if closed is not None and closed.side is Side.PEER:
        print(closed.code, closed.reason, closed.setting, closed.clean, room)


class Say(msgspec.Struct, tag_field="type", tag="say"):
    text: str


class Ask(msgspec.Struct, tag_field="type", tag="ask"):
    about: str


class Rooms(Application):
    limit: Annotated[int, integer(1, 10), "how many"] = 5
    subprotocols = ("v1",)
    names: ClassVar[dict[str, int]] = {}

    async def start(self) -> None:
        timer = self.every(self.limit, self.tick, "x")
        timer.cancel()
        self.later(1.5, self.plain)
        self.spawn(self.tick("y"))

    async def tick(self, word: str) -> None:
        await self.room(word).send_json({"a": 1}, store=False)

    def plain(self) -> None: ...

    async def admit(self, request: IHandshakeRequest) -> None:
        raise HandshakeRefused(403, "no")

    async def serve(self, socket: WebSocket) -> None:
        room: Room = self.room("lobby")
        socket.state.name = "Ann"
        async with room.joined(socket, key="ann", info=[1], limit=3) as history:
            print(history.isComplete, room.count, socket in room)
            first: Say = await socket.receive_json(Say)
            async for one in socket.json(Say):
                await room.send(one.text + first.text, exclude=socket)
            async for each in socket.json(Say | Ask):
                async with socket.answering(each):
                    raise RequestRefused("no", "no")
            for past in await room.history(5):
                print(past.message, past.position.offset, past.json(dict[str, int]))
            present: dict[str, Any] = await room.present()
            print(present)


class Eventful(Application):
    messages = Say | Ask
    recovery = True

    def opened(self, socket: WebSocket) -> None:
        socket.spawn(self.greet(socket))

    async def greet(self, socket: WebSocket) -> None:
        await socket.send_json(Say("hello"))

    async def received(self, socket: WebSocket, message: Say | Ask) -> None:
        await self.room("a").join(socket)

    def closed(self, socket: WebSocket, reason: ConnectionClosed) -> Deferred[None]:
        return self.sleep(1)


def embedded(services: Services) -> Mount:
    MemoryServer(Eventful)
    return Mount("/", Rooms(services, limit=3))


@implementer(IWebSocketApplication)
class Declared:
    subprotocols: Sequence[str] = ("chat",)
    pages: str | None = None

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        return WebSocketProtocol()

    async def startApplication(self) -> None: ...

    def stopApplication(self) -> None: ...


@application("greet")
class Greet(WebSocketProtocol):
    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        super().negotiationStarted(transport)
        transport.sendTextMessage("hello")

    async def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> Deferred[None]:
        self.transport.sendBytesMessage(data)
        self.transport.ping(b"x")
        return Deferred()

    def connectionLost(self, reason: Failure) -> None:
        waiting: int = self.transport.bufferedAmount
        print(waiting)


class Chat(WebSocketApplication):
    subprotocols = ("chat",)

    def __init__(self) -> None:
        self.members: set[IWebSocketTransport] = set()

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        if request.getCookie(b"session") is None:
            raise HandshakeRefused(401, "who are you?", headers=[(b"X-A", b"b")])
        request.responseHeaders.setRawHeaders(b"X-Room", [b"lobby"])
        request.subprotocol = "chat"
        return WebSocketProtocol()

    async def startApplication(self) -> None: ...

    def stopApplication(self) -> None:
        broadcast("bye", self.members)
        message = PreparedMessage(b"bye")
        for member in self.members:
            member.sendPreparedMessage(message)
            member.loseConnection(CloseCode.GOING_AWAY, "bye")


@implementer(IWebSocketApplicationPlugin)
class ChatPlugin:
    name: str = "chat"
    help: str = "Talk."
    options: Sequence[Option] = (Option("history", integer(0, 100), 20, "How much."),)

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        return Chat()


@command("roll", "dice", help="Throws a die.")
def roll(arguments: str, conversation: IConversation) -> str | None:
    conversation.visitor = visitorName(arguments) or None
    conversation.memory["throws"] = 1
    conversation.close()
    return conversation.visitor


@command("wait")
async def wait(arguments: str, conversation: IConversation) -> list[str]:
    commands: Mapping[str, ICommand] = conversation.commands
    return [conversation.options["name"], commands["roll"].help]


@implementer(ICommand)
class Shrug:
    words: Sequence[str] = ("shrug",)
    help: str = "Shrugs."

    def respond(self, arguments: str, conversation: IConversation) -> Deferred[str]:
        return Deferred()


bot = CommandBot([roll, wait, Shrug()])


def serve(reactor: Any, parent: MultiService) -> None:
    settings = Settings(max_message_size=65536, ping_interval=0)
    service = WebSocketService(
        [Mount("/chat", Chat())],
        [endpoints.serverFromString(reactor, "tcp:9000")],
        reactor=reactor,
        settings=settings,
        access=Access(("https://example.org",), exempt=()),
    )
    service.setServiceParent(parent)  # type: ignore[no-untyped-call]
    factory = WebSocketFactory([Mount("/", Chat(), compression=False)], clock=Clock())
    endpoints.serverFromString(reactor, "tcp:9001").listen(factory)
    done: Deferred[None] = service.stopService()
    done.addCallback(print)


def serveWithPortal(reactor: Any, portal: Portal) -> None:
    service = WebSocketService(
        [Mount("/chat", Chat(), auth=False)],
        [endpoints.serverFromString(reactor, "tcp:9000")],
        reactor=reactor,
        authentication=Authentication(
            portal=portal, cookie="session", firstMessage="no"
        ),
    )
    authenticator = Authenticator(makePortal(["memory:a:b"]), Clock(), maxFailures=3)
    factory = WebSocketFactory(service.factory.mounts, clock=Clock())
    factory.authenticator = authenticator
    avatar = Avatar("ann", {"admin": True})
    claim: Any = avatar.claims["admin"]
    MemoryServer(shout, portal=portal).connect(avatar=avatar).send(claim)


def test() -> None:
    server = MemoryServer(shout, options={"times": 2})
    client: MemoryClient = server.connect("/room", origin="http://server.example:9000")
    client.send("a")
    message: str | bytes = client.receive()
    closed: tuple[int, str] | None = client.closed
    print(message, closed)
