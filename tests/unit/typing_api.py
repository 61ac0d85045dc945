"""The public API as users write it: never run, only type-checked (mypy --strict)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from twisted.application.service import MultiService
from twisted.cred.portal import Portal
from twisted.internet import endpoints
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import (
    Access,
    Authentication,
    CloseCode,
    ConnectionClosed,
    HandshakeRefused,
    Mount,
    Option,
    PreparedMessage,
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
