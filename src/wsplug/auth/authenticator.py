"""
Logging in: credentials found, judged by a portal, and answered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Final

from twisted.cred.credentials import Anonymous, IAnonymous, IUsernamePassword
from twisted.cred.error import LoginFailed, Unauthorized
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
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

_UNSAID: Final = re.compile(r'[^ -~]|["\\]')
"""
What an C{error_description} can't have (RFC 6750 section 3).
"""

_NO_GOOD: Final = (LoginFailed, Unauthorized)
"""
What a portal fails with when credentials are no good.
"""


@dataclass(frozen=True)
class Login:
    """
    Somebody has logged in.

    @ivar avatar: what the realm gave.
    @ivar logout: to be called once, when the client is gone.
    @ivar lasts: seconds that it is good for; C{None} for no end.
    """

    avatar: object
    logout: Callable[[], object]
    lasts: float | None = None

    _log: ClassVar = Logger()

    @property
    def user(self) -> str | None:
        """
        The user's name; C{None} where nothing tells one user from another, as of those
        who needn't say who they are.
        """
        name = getattr(self.avatar, "name", None)
        return name if isinstance(name, str) else None

    @property
    def name(self) -> str:
        """
        Who it is, for the log.
        """
        if self.avatar is None:
            return "nobody"
        return type(self.avatar).__name__ if self.user is None else repr(self.user)

    def end(self) -> None:
        """
        Log out; what goes wrong then is for the log alone.
        """
        try:
            self.logout()
        except BaseException:
            self._log.failure("logging out failed")


class Authenticator:
    """
    Has clients log in.

    @ivar asksPages: whether pages ask for a password too.
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
        @param portal: judges C{IUsernamePassword}, L{IBearerToken} and C{IAnonymous},
            or some of these. Its realm is asked for an L{IAvatar}, with the request as
            mind.
        @param maxFailures: failed logins allowed to one client per minute.
        @param maxFailuresTotal: that all may have with passwords, which can be guessed.
        @param cookie: the name of the cookie that may have a token; none where empty.
        @param firstMessage: who may send a token as the first message: C{"browsers"},
            which can't set headers, C{"yes"} for anybody, or C{"no"}.
        @param realm: what browsers show when they ask for a password, in ASCII.
        """
        self._portal = portal
        interfaces = portal.listCredentialsInterfaces()
        self._takesPasswords = takes(interfaces, IUsernamePassword)
        self._takesTokens = takes(interfaces, IBearerToken)
        self._takesNobody = takes(interfaces, IAnonymous)
        self.asksPages = self._takesPasswords
        self._cookie = cookie.encode("ascii")
        self._firstMessage = firstMessage
        self._realm = realm.encode("ascii")
        self._failures = Failures(clock, maxFailures, maxFailuresTotal)

    # Finding credentials

    def find(self, request: Any, trusted: bool, cookies: bool = True) -> Any:
        """
        Find the credentials in a request. What a browser sends by itself, whatever page
        makes it, counts only where that page is trusted for.

        @param request: an L{wsplug.interfaces.IHandshakeRequest} or a request of
            C{twisted.web}.
        @param trusted: whether the page that it comes from, by its C{Origin}, is the
            server's own or named.
        @param cookies: whether cookies count at all.
        @return: C{ICredentials}; C{None} where there are none.
        @raise HandshakeRefused: they are malformed.
        """
        headers = request.requestHeaders.getRawHeaders(b"authorization", [])
        if len(headers) > 1:
            raise HandshakeRefused(400, "two Authorization headers", setting="auth")
        try:
            found = readAuthorization(headers[0]) if headers else None
            if self._isTaken(found, request, trusted):
                return found
            if self._cookie and self._takesTokens and trusted and cookies:
                value = request.getCookie(self._cookie)
                if value is not None:
                    return readToken(value)
        except LoginRefused as error:
            raise self._refuse(error.reason, isInvalid=True) from None
        return Anonymous() if self._takesNobody else None

    def _isTaken(self, found: object, request: Any, trusted: bool) -> bool:
        if isinstance(found, UsernamePassword):
            mayBeSent = trusted or request.getHeader(b"origin") is None
            return self._takesPasswords and mayBeSent
        return isinstance(found, BearerToken) and self._takesTokens

    def awaitsMessage(self, request: Any) -> bool:
        """
        Tell whether a client without credentials may send them as its first message.
        """
        if self._firstMessage == "browsers":
            return self._takesTokens and request.getHeader(b"origin") is not None
        return self._takesTokens and self._firstMessage == "yes"

    def refuseNobody(self) -> HandshakeRefused:
        """
        Give the answer to a request without credentials.
        """
        return self._refuse("log in first")

    # Judging them

    async def logIn(self, credentials: Any, request: Any) -> Login:
        """
        Have the portal judge credentials.

        @param request: what they came with.
        @raise HandshakeRefused: they are no good, or too many weren't.
        """
        if IAnonymous.providedBy(credentials):
            return await self._judge(credentials, request)
        # Nobody guesses a token from many addresses, so that those of others aren't in
        # the way of a right one.
        isPassword = IUsernamePassword.providedBy(credentials)
        counters = self._failures.countersOf(request.getClientAddress(), isPassword)
        self._count(counters)
        try:
            login = await self._judge(credentials, request)
        except BaseException as error:
            if not isinstance(error, HandshakeRefused) or error.status != 401:
                self._discount(counters)
            raise
        self._discount(counters)
        return login

    async def _judge(self, credentials: Any, request: Any) -> Login:
        try:
            judged: Any = self._portal.login(credentials, request, IAvatar)
            result: Any = await judged.addErrback(_clean)
        except _NO_GOOD as error:
            # Once more: Twisted has raised it anew.
            error.__traceback__ = None
            reason = "wrong name or password"
            if isinstance(error, LoginRefused):
                reason = error.reason
            elif IBearerToken.providedBy(credentials):
                reason = "the token is not known"
            raise self._refuse(reason, isInvalid=True) from None
        except (CancelledError, GeneratorExit):
            raise
        except BaseException:
            # Not even a checker's sys.exit() is for the caller.
            raise self._cannotJudge() from None
        return self._enter(credentials, result)

    def _enter(self, credentials: Any, result: Any) -> Login:
        """
        Take what a portal gave, as far as it is a login that is good for some time.

        @raise HandshakeRefused: it isn't. Whoever was logged in is logged out again.
        """
        login = None
        try:
            _, avatar, logout = result
            login = Login(avatar, logout)
            lasts = _readEnd(getattr(credentials, "lasts", None))
        except BaseException:
            if login is not None:
                login.end()
            raise self._cannotJudge() from None
        if lasts is not None and lasts <= 0.0:
            login.end()
            raise self._refuse("the token has expired", isInvalid=True)
        return replace(login, lasts=lasts)

    def _cannotJudge(self) -> HandshakeRefused:
        """
        Log that what judges credentials failed, and make the refusal for it.
        """
        self._log.failure("credentials could not be checked")
        return HandshakeRefused(500, "credentials can't be checked", setting="auth")

    async def logInWith(self, message: FirstMessage, request: Any) -> Login:
        """
        Do the same with a first message.
        """
        try:
            # What isn't ASCII is no token.
            credentials = readToken(message.token.encode("utf-8", "replace"))
        except LoginRefused as error:
            raise self._refuse(error.reason, isInvalid=True) from None
        return await self.logIn(credentials, request)

    def _count(self, counters: Counters) -> None:
        """
        Count a failure, before it is known whether it is one.
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
        Make a refusal with the challenges (RFC 9110 section 11.6.1).

        @param isInvalid: whether credentials came: then it says what is wrong with
            them (RFC 6750 section 3).
        """
        # Other people's checkers may say anything.
        reason = _UNSAID.sub("?", reason)
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
    Forget the frames that have found credentials no good: they refer to the failure
    again, so that what they know would stay until a collection.
    """
    if failure.check(*_NO_GOOD):
        failure.cleanFailure()
    return failure


def _readEnd(lasts: Any) -> float | None:
    """
    Read for how many seconds a checker says that credentials are good.

    @return: at most a century's; C{None} for no end.
    @raise TypeError: it is no number.
    """
    if lasts is None:
        return None
    # A truth value is a number to Python, and what is no number isn't itself.
    if not isinstance(lasts, Real) or isinstance(lasts, bool) or lasts != lasts:
        raise TypeError(f"credentials.lasts is {lasts!r}, and no number of seconds")
    return float(lasts) if lasts < CENTURY else CENTURY
