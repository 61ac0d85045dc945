"""
Helpers that the tests of authentication share.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from zope.interface import implementer

from wsplug import WebSocketProtocol
from wsplug.auth import Realm, makePortal
from wsplug.interfaces import (
    IHandshakeRequest,
    IWebSocketApplication,
    IWebSocketTransport,
)

__all__ = [
    "ORIGIN",
    "Greeter",
    "Login",
    "Who",
    "basic",
    "bearer",
    "checkedBy",
    "passwords",
    "writeTokens",
]

ORIGIN = "http://server.example:9000"
"""
The origin of a page of the server's own.
"""


def basic(name: str, password: str) -> tuple[str, str]:
    """
    Make the header of HTTP Basic.
    """
    both = base64.b64encode(f"{name}:{password}".encode()).decode("ascii")
    return "Authorization", f"Basic {both}"


def bearer(token: str) -> tuple[str, str]:
    """
    Make the header with a bearer token.
    """
    return "Authorization", f"Bearer {token}"


def writeTokens(path: Path, **tokens: str) -> str:
    """
    Write a file of tokens by names.

    @return: the string that describes it, as C{--auth} takes it.
    """
    lines = [
        f"{name}:{sha256(token.encode()).hexdigest()}\n"
        for name, token in tokens.items()
    ]
    path.write_text("# tokens\n\n" + "".join(lines), "utf-8")
    path.chmod(0o600)
    return f"token:{path}"


def passwords(*pairs: str) -> Portal:
    """
    Make a portal that checks names and passwords.
    """
    return makePortal([f"memory:{':'.join(pairs)}"])


class Who(Resource):
    """
    A page that shows who requests it.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        avatar: Any = getattr(request, "avatar", None)
        return b"hello " + str(getattr(avatar, "name", None)).encode()


class Greeting(WebSocketProtocol):
    """
    Sends the name of its user, and echoes.
    """

    def __init__(self, application: Greeter) -> None:
        self._application = application

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        super().negotiationStarted(transport)
        self._application.transports.append(transport)

    def negotiationFinished(self) -> Any:
        avatar: Any = self.transport.request.avatar
        self.transport.sendTextMessage(f"hello {getattr(avatar, 'name', None)}")
        return self._application.hold

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)

    def connectionLost(self, reason: Failure) -> None:
        self._application.lost.append(reason.value)


@implementer(IWebSocketApplication)
class Greeter:
    """
    Serves a L{Greeting} to each client.

    @ivar build: what C{buildProtocol} does instead, if anything.
    @ivar hold: what its protocols' C{negotiationFinished} returns.
    @ivar lost: why its connections ended.
    """

    subprotocols: Sequence[str] = ()
    pages: str | IResource | None = None

    def __init__(self) -> None:
        self.requests: list[IHandshakeRequest] = []
        self.transports: list[IWebSocketTransport] = []
        self.build: Callable[[IHandshakeRequest], Any] | None = None
        self.hold: Any = None
        self.lost: list[Any] = []
        self.pages = Who()  # type: ignore[no-untyped-call]

    def buildProtocol(self, request: IHandshakeRequest) -> Any:
        self.requests.append(request)
        return self.build(request) if self.build is not None else Greeting(self)

    def startApplication(self) -> None:
        pass

    def stopApplication(self) -> None:
        pass


class Login:
    """
    A realm and a checker whose answers the test sets.

    @ivar answer: what the checker returns or raises.
    @ivar asked: the credentials that it was given.
    @ivar logouts: the avatar IDs that have logged out.
    """

    def __init__(self, *interfaces: Any) -> None:
        self.credentialInterfaces = interfaces
        self.answer: Any = b"ann"
        self.asked: list[Any] = []
        self.logouts: list[object] = []
        self.minds: list[object] = []

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        self.asked.append(credentials)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        self.minds.append(mind)
        interface, avatar, _ = Realm().requestAvatar(avatarId, mind, *interfaces)
        return interface, avatar, lambda: self.logouts.append(avatarId)


def checkedBy(login: Login) -> Portal:
    """
    Make a portal from a L{Login}.
    """
    portal = Portal(login)  # type: ignore[arg-type]
    portal.registerChecker(login)  # type: ignore[arg-type]
    return portal
