"""
The session of a client that has to log in: from its handshake or its first message to
its logout.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.auth.credentials import (
    MAX_FIRST_MESSAGE_SIZE,
    LoginRefused,
    readFirstMessage,
)
from wsplug.awaiting import maybeAwait
from wsplug.codec import CloseCode
from wsplug.errors import HandshakeRefused, Side
from wsplug.guard.admission import Account
from wsplug.guard.origins import OWN_ORIGIN
from wsplug.guard.proxies import claimsTLS
from wsplug.interfaces import IWebSocketProtocol
from wsplug.networks import nameOfAddress
from wsplug.server.admittance import Admittance
from wsplug.server.cancelling import cancel
from wsplug.server.connection import Connection
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.mounts import Mount
from wsplug.server.request import HandshakeRequest

__all__ = ["EXPIRED", "Session"]

# Not an attribute of the class: then each log event would refer to its session.
_log = Logger(__name__)

EXPIRED: Final = 3000
"""
The close code for an expired login: "Unauthorized" in IANA's registry of WebSocket
close codes. It tells clients that they may reconnect with a new token, unlike 1008.
"""


class AccountHolder(Protocol):
    """
    The connection that an account belongs to.
    """

    @property
    def account(self) -> Account | None:
        """The account; C{None} if no limit applies."""

    def changeAccount(self, account: Account) -> None:
        """Move to another account."""


class Session:
    """
    One client's login. L{end} is called in every case when the client is gone.

    @ivar isLoggedIn: whether the client has logged in.
    """

    def __init__(
        self,
        context: ConnectionContext,
        admittance: Admittance,
        authenticator: Authenticator,
        mount: Mount,
        request: HandshakeRequest,
        holder: AccountHolder,
    ) -> None:
        """
        @param holder: the connection. It is on the account of the client's address
            until the user is known.
        """
        self._context = context
        self._admittance = admittance
        self._authenticator = authenticator
        self._mount = mount
        self._request = request
        self._holder: AccountHolder | None = holder
        self._connection: Connection | None = None
        self._login: Login | None = None
        self._expires = 0.0
        self._expiry: Deadline | None = None
        self._ended = False

    @property
    def isLoggedIn(self) -> bool:
        return self._login is not None

    # The handshake

    async def begin(self) -> Any:
        """
        Log in with the handshake's credentials, and build the protocol that serves the
        connection.

        @return: an L{IWebSocketProtocol}: the application's protocol, or one that waits
            for a token.
        @raise HandshakeRefused: the client is refused.
        """
        request, authenticator = self._request, self._authenticator
        origin, host = request.getHeader(b"origin"), request.getHeader(b"host")
        secure = request.isSecure() or claimsTLS(
            lambda name: request.requestHeaders.getRawHeaders(name, [])
        )
        rules = self._admittance.origins
        # Browsers send a cookie to all ports of a host, but a password to one only.
        credentials = authenticator.find(
            request,
            OWN_ORIGIN.isTrusted(origin, host, secure) or rules.isNamed(origin),
            rules.isTrusted(origin, host, secure),
        )
        if credentials is None:
            if authenticator.awaitsMessage(request):
                return _TokenProtocol(self, self._context)
            raise authenticator.refusalWithoutLogin()
        allows = self._context.logLimit.allows
        self._take(await authenticator.logIn(credentials, request, allows))
        return await self._build()

    async def logInWith(self, text: str) -> tuple[IWebSocketProtocol, str]:
        """
        Log in with the first message.

        @return: the application's protocol, and the answer to the message.
        @raise LoginRefused: the message contains no valid token.
        @raise HandshakeRefused: the client is refused.
        """
        message = readFirstMessage(text)
        allows = self._context.logLimit.allows
        self._take(await self._authenticator.logInWith(message, self._request, allows))
        protocol = await self._build()
        if protocol is None:
            raise HandshakeRefused(403, "the application refuses the connection")
        answer: dict[str, object] = {"type": "auth", "ok": True}
        if message.request is not None:
            answer["request"] = message.request
        return protocol, msgspec.json.encode(answer).decode("utf-8")

    def _take(self, login: Login) -> None:
        self._login = login
        if self._ended:
            # The client is gone, but the checker couldn't be cancelled.
            login.end()
            raise CancelledError
        if self._connection is not None and not self._connection.isOpen:
            raise CancelledError  # too late: it is being closed
        self._changeAccount(login)
        self._request.avatar = login.avatar
        if login.lasts is not None:
            self._expires = self._context.deadlines.now() + login.lasts
        client = self._request.getClientAddress()
        if self._context.logLimit.allows(client, "logged in"):
            _log.info(
                "{peer} {application}: logged in as {name}",
                peer=nameOfAddress(client),
                application=self._mount.name,
                name=login.name,
            )

    def _changeAccount(self, login: Login) -> None:
        """
        Move the connection from its address's account to the user's. Users without a
        name stay on the accounts of their addresses: otherwise they would all share
        one.

        @raise HandshakeRefused: the user has too many connections.
        """
        if login.user is None:
            return
        holder = self._holder
        assert holder is not None
        admission = self._admittance.admission
        account = admission.enterAs(login.user, self._request.getClientAddress())
        if account is not None:
            if holder.account is not None:
                admission.leave(holder.account)
            holder.changeAccount(account)

    async def _build(self) -> Any:
        return await maybeAwait(self._mount.application.buildProtocol, self._request)

    # The connection

    def attach(self, connection: Connection) -> None:
        """
        Attach the login to the connection that the handshake has opened.
        """
        self._holder = connection.limits
        self._connection = connection
        self.watch()

    def watch(self) -> None:
        """
        Close the connection when the login expires.
        """
        if self._login is not None and self._login.lasts is not None:
            deadlines = self._context.deadlines
            seconds = max(0.0, self._expires - deadlines.now())
            self._expiry = deadlines.set(seconds, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        if self._connection is not None:
            self._connection.close(
                EXPIRED, "the token has expired", Side.SERVER, "auth"
            )

    def end(self) -> None:
        """
        Log out, because the client is gone.
        """
        if self._ended:
            return
        self._ended = True
        self._connection = self._holder = None
        self._context.deadlines.clear(self._expiry)
        self._expiry = None
        if self._login is not None:
            self._login.end()


@implementer(IWebSocketProtocol)
class _TokenProtocol:
    """
    Serves a connection until the client has logged in: the first message must contain a
    token. Later messages wait, and go to the application.
    """

    # No message is delivered before the client is known.
    handlersOverlap = False

    # The verbose log hides what comes.
    readsCredentials = True

    _transport: Connection

    def __init__(self, session: Session, context: ConnectionContext) -> None:
        self._session = session
        self._context = context
        self._deadline: Deadline | None = None
        self._judging: Deferred[None] | None = None

    def negotiationStarted(self, transport: Any) -> None:
        self._transport = transport
        transport.limitMessages(MAX_FIRST_MESSAGE_SIZE)
        seconds = self._context.settings.open_timeout
        if seconds:
            self._deadline = self._context.deadlines.set(seconds, self._timedOut)

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> Deferred[None]:
        self._judging = Deferred.fromCoroutine(self._judge(message))
        return self._judging

    def bytesMessageReceived(self, data: bytes) -> None:
        self._refuse("the first message must contain a token")

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self._clearDeadline()
        cancel(self._judging)

    async def _judge(self, message: str) -> None:
        try:
            protocol, answer = await self._session.logInWith(message)
        except CancelledError:
            if self._transport.isOpen:
                raise  # cancelled by the application
            return  # the client is gone, or was refused
        except LoginRefused as error:
            self._refuse(error.reason)
            return
        except HandshakeRefused as refusal:
            self._close(refusal)
            return
        finally:
            self._clearDeadline()
        self._session.watch()
        await maybeAwait(self._transport.switchProtocol, protocol, answer)

    def _close(self, refusal: HandshakeRefused) -> None:
        """
        Close with the close code that corresponds to an HTTP status.
        """
        code = CloseCode.POLICY_VIOLATION
        if refusal.status in (429, 503):
            code = CloseCode.TRY_AGAIN_LATER
        elif refusal.status >= 500:
            code = CloseCode.INTERNAL_ERROR
        side = Side.SERVER if refusal.setting else Side.APPLICATION
        self._transport.close(code, refusal.reason, side, refusal.setting)

    def _refuse(self, reason: str) -> None:
        self._transport.close(CloseCode.POLICY_VIOLATION, reason, Side.SERVER, "auth")

    def _timedOut(self) -> None:
        self._deadline = None
        seconds = f"{self._context.settings.open_timeout:g} seconds"
        if self._judging is None:
            code, reason = CloseCode.POLICY_VIOLATION, f"no token in {seconds}"
        elif self._session.isLoggedIn:
            code = CloseCode.TRY_AGAIN_LATER
            reason = f"no answer from the application in {seconds}"
        else:
            code = CloseCode.TRY_AGAIN_LATER
            reason = f"the token was not checked in {seconds}"
        self._transport.close(code, reason, Side.SERVER, "open-timeout")
        cancel(self._judging)

    def _clearDeadline(self) -> None:
        self._context.deadlines.clear(self._deadline)
        self._deadline = None
