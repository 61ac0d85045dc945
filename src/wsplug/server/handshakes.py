"""
Asks the application about a handshake, after the login if one is required.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.awaiting import LATER, toDeferred
from wsplug.codec import RequestHead, Upgrade, check_upgrade
from wsplug.errors import HandshakeRefused
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.proxies import ClientInfo
from wsplug.interfaces import IWebSocketProtocol
from wsplug.networks import nameOfAddress
from wsplug.server.admittance import Admittance
from wsplug.server.cancelling import cancel
from wsplug.server.context import ConnectionContext
from wsplug.server.mounts import ANY, Mount, Mounts, splitPath
from wsplug.server.request import HandshakeRequest, splitTarget
from wsplug.server.sessions import AccountHolder, Session

__all__ = [
    "PendingHandshake",
    "chooseSubprotocol",
    "logUnspoken",
    "receiveHandshake",
]

_log = Logger(__name__)

_OWN: Final = "wsplug."
"""
The beginning of the names of wsplug's own subprotocols. An application that takes any
subprotocol has to name these, because taking one means speaking it.
"""

_LATER: Final = (*LATER, Failure)
"""
The types of results that stand for a later answer or an error.
"""


class Asker(AccountHolder, Protocol):
    """
    The connection that the handshake is for.
    """

    def waitForAnswer(self) -> None:
        """
        Pause reading, until L{answerReceived} or L{PendingHandshake.refuseLate}.
        """

    def answerReceived(self) -> None:
        """
        Read again.
        """

    def accept(
        self, application: IWebSocketProtocol | None, handshake: PendingHandshake
    ) -> None:
        """
        Open the connection.

        @param application: the application's protocol; C{None} if it refuses.
        """

    def refuseWith(self, failure: Failure, mount: Mount) -> None:
        """
        Refuse the handshake: the application refuses it, or has failed.
        """

    def refuse(self, refusal: HandshakeRefused, name: str = "") -> None:
        """
        Refuse the handshake.
        """


class PendingHandshake:
    """
    A handshake that is correct, and that the application accepts or refuses.

    @ivar mount: the application.
    @ivar request: the request.
    @ivar upgrade: what the client has asked for.
    @ivar session: the client's login; C{None} if clients needn't log in.
    """

    __slots__ = (
        "_admittance",
        "_answer",
        "_asker",
        "_context",
        "mount",
        "request",
        "session",
        "upgrade",
    )

    def __init__(
        self,
        asker: Asker,
        context: ConnectionContext,
        admittance: Admittance,
        mount: Mount,
        request: HandshakeRequest,
        upgrade: Upgrade,
    ) -> None:
        self._asker = asker
        self._context = context
        self._admittance = admittance
        self._answer: Deferred[Any] | None = None
        self.mount = mount
        self.request = request
        self.upgrade = upgrade
        self.session: Session | None = None

    @property
    def isWaiting(self) -> bool:
        """
        Whether the answer is still to come.
        """
        return self._answer is not None

    def ask(self) -> None:
        """
        Ask the application for what will serve the connection.
        """
        asker = self._asker
        try:
            answer: Any = self._build()
            if not isinstance(answer, _LATER):
                # Nearly every application answers at once.
                asker.accept(answer, self)
                return
        except BaseException:
            # As a Deferred does: even sys.exit() in an application must not end the
            # server.
            asker.refuseWith(Failure(), self.mount)
            return
        answer = fail(answer) if isinstance(answer, Failure) else toDeferred(answer)
        self._answer = answer
        answer.addBoth(self._answered)
        answer.addCallback(asker.accept, self)
        answer.addErrback(asker.refuseWith, self.mount)
        if self._answer is not None:
            asker.waitForAnswer()

    def _build(self) -> Any:
        """
        Have the application build its protocol. If a login is required, the client has
        logged in.
        """
        mount, request = self.mount, self.request
        authenticator = self._admittance.authenticator
        if authenticator is None or not mount.auth:
            return mount.application.buildProtocol(request)
        self.session = Session(
            self._context,
            self._admittance,
            authenticator,
            mount,
            request,
            self._asker,
        )
        return self.session.begin()

    def _answered(self, result: Any) -> Any:
        if self._answer is None:
            # Too late: the peer is gone, or was refused.
            if isinstance(result, Failure):
                result.trap(CancelledError)
                # The traceback's frames keep the connection in memory.
                result.cleanFailure()
            return None
        self._answer = None
        self._asker.answerReceived()
        return result

    def refuseLate(self) -> None:
        """
        Refuse the handshake: the answer takes too long.
        """
        late = "no answer from the application"
        if self.session is not None and not self.session.isLoggedIn:
            late = "credentials not checked"
        seconds = self._context.settings.open_timeout
        self.refuse(
            HandshakeRefused(
                503, f"{late} in {seconds:g} seconds", setting="open-timeout"
            ),
            self.mount.name,
        )

    def refuse(self, refusal: HandshakeRefused, name: str = "") -> None:
        """
        Refuse the handshake instead of waiting for the answer.

        @param name: the name of the application, if it is the one that is late.
        """
        answer, self._answer = self._answer, None
        self._asker.refuse(refusal, name)
        cancel(answer)

    def lose(self) -> None:
        """
        Stop waiting for the answer, and log out: the client is gone.
        """
        answer, self._answer = self._answer, None
        cancel(answer)
        self.logOut()

    def logOut(self) -> None:
        """
        End the login, if there is one.
        """
        session, self.session = self.session, None
        if session is not None:
            session.end()


def receiveHandshake(
    asker: Asker,
    head: RequestHead,
    transport: Any,
    client: ClientInfo,
    *,
    context: ConnectionContext,
    admittance: Admittance,
    mounts: Mounts,
) -> PendingHandshake | HandshakeRefused:
    """
    Check a handshake, and find its application.

    @param asker: the connection that the handshake is for.
    @param client: what proxies say about the client.
    @return: the handshake that the application can be asked about, or the refusal.
    """
    upgrade = check_upgrade(head)
    if isinstance(upgrade, HandshakeRefused):
        return upgrade
    path = splitTarget(head.target)[0]
    segments = splitPath(path)
    found = mounts.find(segments)
    if found is None or not path.startswith(b"/"):
        return HandshakeRefused(404, "no application is at this path")
    mount, depth = found
    foreign = admittance.refusalOfOrigin(head, transport, client, mount)
    if foreign is not None:
        return foreign
    request = HandshakeRequest(
        head, transport, path, segments, depth, upgrade.subprotocols, client
    )
    return PendingHandshake(asker, context, admittance, mount, request, upgrade)


def chooseSubprotocol(request: HandshakeRequest, mount: Mount) -> str | None:
    """
    Return the subprotocol that the application has chosen, or else the one that the
    client prefers among those that the application speaks (RFC 6455 section 4.2.2).
    """
    if request.subprotocol is not None or not request.subprotocols:
        return request.subprotocol
    spoken = mount.spoken
    takesAny = ANY in spoken
    for name in request.subprotocols:
        if name in spoken or (takesAny and not name.startswith(_OWN)):
            return name
    return None


def logUnspoken(limit: LogLimit, client: IAddress, offered: int, mount: Mount) -> None:
    """
    Log that a client gets none of the subprotocols that it offers. Their names are left
    out, because some clients put a token there.

    @param limit: says whether the line is logged.
    @param offered: the number of subprotocols that the client offers.
    """
    if not limit.allows(client, "took no subprotocol"):
        return
    _log.info(
        "{peer} {application}: no subprotocol agreed: the client offers {offered}, "
        "and the application takes {spoken}; browsers close such a connection with "
        "1006 (subprotocols= of --app sets what it takes)",
        peer=nameOfAddress(client),
        application=mount.name,
        offered=offered,
        spoken=", ".join(mount.spoken) or "none",
    )
