"""
Logging in: find credentials, check them with a portal, and answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Final

from twisted.cred.credentials import Anonymous, IAnonymous, IUsernamePassword
from twisted.cred.error import LoginFailed, Unauthorized
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.auth.checkers import takes
from wsplug.auth.credentials import (
    BearerToken,
    FirstMessage,
    LoginRefused,
    UsernamePassword,
    readAuthorization,
    readToken,
)
from wsplug.clocks import CENTURY
from wsplug.errors import HandshakeRefused
from wsplug.failures import Counters, Failures
from wsplug.interfaces import IAvatar, IBearerToken

__all__ = ["Authenticator", "Login"]

_UNPRINTABLE: Final = re.compile(r'[^ -~]|["\\]')
"""
The characters that an C{error_description} can't contain (RFC 6750 section 3).
"""

_WRONG: Final = (LoginFailed, Unauthorized)
"""
The errors of a portal for wrong credentials.
"""

_Allows = Callable[[IAddress, str], bool]
"""
Says whether a line about a client is logged; see
L{wsplug.guard.loglimit.LogLimit.allows}.
"""


@dataclass(frozen=True)
class Login:
    """
    A successful login.

    @ivar avatar: from the realm.
    @ivar logout: to be called once, when the connection has ended.
    @ivar lasts: seconds until it expires; C{None} for never.
    @ivar mayLog: says whether an error of C{logout} is logged.
    """

    avatar: object
    logout: Callable[[], object]
    lasts: float | None = None
    mayLog: Callable[[], bool] = field(default=lambda: True, compare=False)

    _log: ClassVar = Logger()

    @property
    def user(self) -> str | None:
        """
        The user's name; C{None} if the avatar has none, as for anonymous clients.
        """
        name = getattr(self.avatar, "name", None)
        return name if isinstance(name, str) else None

    @property
    def name(self) -> str:
        """
        The user, for the log.
        """
        if self.avatar is None:
            return "nobody"
        return type(self.avatar).__name__ if self.user is None else repr(self.user)

    def end(self) -> None:
        """
        Log out. Errors are logged, if the client's lines aren't too many.
        """
        try:
            self.logout()
        except BaseException:
            if self.mayLog():
                self._log.failure("logging out failed")


class Authenticator:
    """
    Logs clients in.

    @ivar asksPages: whether pages need a password, too.
    @ivar isOptional: whether clients without credentials may come in.
    """

    _log = Logger()

    def __init__(
        self,
        portal: Portal,
        clock: IReactorTime,
        *,
        maxFailures: int = 10,
        maxFailuresTotal: int = 1000,
        cookie: str = "",
        firstMessage: str = "browsers",
        realm: str = "wsplug",
    ) -> None:
        """
        @param portal: checks C{IUsernamePassword}, L{IBearerToken} and C{IAnonymous},
            or some of these. Its realm is asked for an L{IAvatar}, with the request as
            the mind.
        @param maxFailures: failed logins allowed to one client per minute.
        @param maxFailuresTotal: failed logins with passwords allowed to all clients
            per minute.
        @param cookie: the name of a cookie that may contain a token; empty for none.
        @param firstMessage: who may send a token as the first message: C{"browsers"},
            which can't set headers, C{"yes"} for everybody, or C{"no"}.
        @param realm: the name that browsers show when they ask for a password, in
            ASCII.
        """
        self._portal = portal
        interfaces = portal.listCredentialsInterfaces()
        self._takesPasswords = takes(interfaces, IUsernamePassword)
        self._takesTokens = takes(interfaces, IBearerToken)
        self._allowsAnonymous = takes(interfaces, IAnonymous)
        self.asksPages = self._takesPasswords
        self.isOptional = self._allowsAnonymous
        self._cookie = cookie.encode("ascii")
        self._firstMessage = firstMessage
        self._realm = realm.encode("ascii")
        self._failures = Failures(clock, maxFailures, maxFailuresTotal)

    # Finding credentials

    def find(self, request: Any, passwords: bool, cookies: bool) -> Any:
        """
        Find the credentials in a request. Credentials that browsers send by themselves
        count only for trusted pages, or if no page sends the request.

        @param request: an L{wsplug.interfaces.IHandshakeRequest} or a request of
            C{twisted.web}.
        @param passwords: whether the page's C{Origin} is the server's own, or named by
            a rule.
        @param cookies: whether cookies count: the page is one of those, or on another
            port of the server's host.
        @return: C{ICredentials}; C{None} if there are none.
        @raise HandshakeRefused: they are malformed.
        """
        headers = request.requestHeaders.getRawHeaders(b"authorization", [])
        if len(headers) > 1:
            raise HandshakeRefused(400, "two Authorization headers", setting="auth")
        try:
            found = readAuthorization(headers[0]) if headers else None
            if self._isTaken(found, request, passwords):
                return found
            if self._cookie and self._takesTokens and cookies:
                value = request.getCookie(self._cookie)
                if value is not None:
                    return readToken(value)
        except LoginRefused as error:
            raise self._refuse(error.reason, isInvalid=True) from None
        return Anonymous() if self._allowsAnonymous else None

    def _isTaken(self, found: object, request: Any, passwords: bool) -> bool:
        if isinstance(found, UsernamePassword):
            mayBeSent = passwords or request.getHeader(b"origin") is None
            return self._takesPasswords and mayBeSent
        return isinstance(found, BearerToken) and self._takesTokens

    def awaitsMessage(self, request: Any) -> bool:
        """
        Return whether a client without credentials may send them in its first message.
        """
        if self._firstMessage == "browsers":
            return self._takesTokens and request.getHeader(b"origin") is not None
        return self._takesTokens and self._firstMessage == "yes"

    def refusalWithoutLogin(self) -> HandshakeRefused:
        """
        Return the refusal for a request without credentials.
        """
        return self._refuse("log in first")

    # Checking them

    async def logIn(self, credentials: Any, request: Any, allows: _Allows) -> Login:
        """
        Log in with the portal.

        @param request: the request with the credentials.
        @param allows: says whether an error of a checker or a realm is logged.
        @raise HandshakeRefused: they are wrong, or there were too many failures.
        """
        if IAnonymous.providedBy(credentials):
            return await self._judge(credentials, request, allows)
        # Tokens can't be guessed, even from many addresses. So only passwords have a
        # limit for all clients, which would lock out those with a right token.
        isPassword = IUsernamePassword.providedBy(credentials)
        counters = self._failures.countersOf(request.getClientAddress(), isPassword)
        self._count(counters)
        try:
            login = await self._judge(credentials, request, allows)
        except BaseException as error:
            if not isinstance(error, HandshakeRefused) or error.status != 401:
                self._discount(counters)
            raise
        self._discount(counters)
        return login

    async def _judge(self, credentials: Any, request: Any, allows: _Allows) -> Login:
        client = request.getClientAddress()
        try:
            judged: Any = self._portal.login(credentials, request, IAvatar)
            result: Any = await judged.addErrback(_clean)
        except _WRONG as error:
            # Again, because Twisted has raised it again.
            error.__traceback__ = None
            reason = "wrong name or password"
            if isinstance(error, LoginRefused):
                reason = error.reason
            elif IBearerToken.providedBy(credentials):
                reason = "the token is unknown"
            raise self._refuse(reason, isInvalid=True) from None
        except (CancelledError, GeneratorExit):
            raise
        except BaseException:
            # Not even a checker's sys.exit() reaches the caller.
            raise self._cannotJudge(client, allows) from None
        return self._enter(credentials, result, client, allows)

    def _enter(
        self, credentials: Any, result: Any, client: IAddress, allows: _Allows
    ) -> Login:
        """
        Accept a portal's result if it is a valid login that hasn't expired.

        @raise HandshakeRefused: it isn't. The avatar is logged out again.
        """
        login = None
        try:
            _, avatar, logout = result
            mayLog = partial(allows, client, "failed logouts")
            login = Login(avatar, logout, mayLog=mayLog)
            lasts = _readEnd(getattr(credentials, "lasts", None))
        except BaseException:
            if login is not None:
                login.end()
            raise self._cannotJudge(client, allows) from None
        if lasts is not None and lasts <= 0.0:
            login.end()
            raise self._refuse("the token has expired", isInvalid=True)
        return replace(login, lasts=lasts)

    def _cannotJudge(self, client: IAddress, allows: _Allows) -> HandshakeRefused:
        """
        Log an error of a checker or a realm, and make the refusal for it.
        """
        if allows(client, "failed logins"):
            self._log.failure("credentials could not be checked")
        return HandshakeRefused(500, "credentials can't be checked", setting="auth")

    async def logInWith(
        self, message: FirstMessage, request: Any, allows: _Allows
    ) -> Login:
        """
        Log in with the token of a first message; see L{logIn}.
        """
        try:
            # Replacement characters aren't valid in a token.
            credentials = readToken(message.token.encode("utf-8", "replace"))
        except LoginRefused as error:
            raise self._refuse(error.reason, isInvalid=True) from None
        return await self.logIn(credentials, request, allows)

    def _count(self, counters: Counters) -> None:
        """
        Count a failure before the credentials are checked.
        """
        excess = self._failures.count(counters)
        if excess is not None:
            raise HandshakeRefused(
                429,
                "too many failed logins",
                headers=[(b"Retry-After", b"%d" % math.ceil(excess.wait))],
                setting=excess.setting,
            )

    def _discount(self, counters: Counters) -> None:
        self._failures.discount(counters)

    # Answering

    def _refuse(self, reason: str, isInvalid: bool = False) -> HandshakeRefused:
        """
        Make a refusal with challenges (RFC 9110 section 11.6.1).

        @param isInvalid: whether there were credentials: then the challenge says what
            is wrong with them (RFC 6750 section 3).
        """
        # Third-party checkers may give any reason.
        reason = _UNPRINTABLE.sub("?", reason)
        challenges = []
        if self._takesPasswords:
            challenges.append(b'Basic realm="%s", charset="UTF-8"' % self._realm)
        if self._takesTokens:
            challenge = b'Bearer realm="%s"' % self._realm
            if isInvalid:
                words = reason.encode("ascii")
                challenge += b', error="invalid_token", error_description="%s"' % words
            challenges.append(challenge)
        return HandshakeRefused(
            401,
            reason,
            headers=[(b"WWW-Authenticate", challenge) for challenge in challenges],
            setting="auth",
        )


def _clean(failure: Failure) -> Failure:
    """
    Drop the traceback of a failed login. Its frames refer to the failure again, so that
    the credentials would stay in memory until a garbage collection.
    """
    if failure.check(*_WRONG):
        failure.cleanFailure()
    return failure


def _readEnd(lasts: Any) -> float | None:
    """
    Check the seconds until credentials expire, as set by a checker.

    @return: at most a century; C{None} for never.
    @raise TypeError: the value isn't a number.
    """
    if lasts is None:
        return None
    # Booleans are numbers in Python. NaN is unequal to itself.
    if not isinstance(lasts, Real) or isinstance(lasts, bool) or lasts != lasts:
        raise TypeError(f"credentials.lasts must be a number of seconds, not {lasts!r}")
    return float(lasts) if lasts < CENTURY else CENTURY
