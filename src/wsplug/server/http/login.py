"""
The login that a plain HTTP request needs before its body is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.errors import HandshakeRefused
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.origins import OWN_ORIGIN
from wsplug.server.cancelling import cancel
from wsplug.server.closing import logRefusal
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.http.request import PlainRequest

__all__ = ["RequestLogin"]

_log = Logger(__name__)


class RequestLogin:
    """
    Logs the client of one request in. The login lasts as long as the request.
    """

    def __init__(
        self,
        context: ConnectionContext,
        request: PlainRequest,
        *,
        loggedIn: Callable[[], object],
        notLoggedIn: Callable[[Failure], object],
        refuse: Callable[[HandshakeRefused], object],
        fail: Callable[[Failure], object],
    ) -> None:
        """
        @param loggedIn: is called when the client is logged in.
        @param notLoggedIn: is called when the login is refused or fails.
        @param refuse: is called when the login takes too long. It answers, ends the
            connection, and calls L{stop}.
        @param fail: is called with an exception that one of these raises.
        """
        self._context = context
        self._whenLoggedIn = loggedIn
        self._whenNotLoggedIn = notLoggedIn
        self._refuse = refuse
        self._fail = fail
        self._request: PlainRequest | None = request
        self._loggingIn: Deferred[Any] | None = None
        self._deadline: Deadline | None = None
        self._login: Login | None = None

    def begin(self, authenticator: Authenticator) -> None:
        """
        Check the credentials in the request.
        """
        request = self._request
        assert request is not None
        loggingIn = Deferred.fromCoroutine(
            _logIn(authenticator, request, self._context.logLimit)
        )
        self._loggingIn = loggingIn
        loggingIn.addCallbacks(self._loggedIn, self._notLoggedIn)
        loggingIn.addErrback(self._fail)
        seconds = self._context.settings.open_timeout
        if self._loggingIn is not None and seconds:
            self._deadline = self._context.deadlines.set(seconds, self._timedOut)

    def take(self) -> Login | None:
        """
        Give the login away. The caller ends it.
        """
        login, self._login = self._login, None
        return login

    def stop(self) -> None:
        """
        End the login: the request is answered, or the client is gone.
        """
        self._request = None
        if self._loggingIn is not None:
            cancel(self._endLoggingIn())
        if self._login is not None:
            login, self._login = self._login, None
            login.end()

    def _endLoggingIn(self) -> Deferred[Any] | None:
        self._context.deadlines.clear(self._deadline)
        self._deadline = None
        loggingIn, self._loggingIn = self._loggingIn, None
        return loggingIn

    def _loggedIn(self, login: Login) -> None:
        if self._request is None:
            login.end()  # the client is gone already
            return
        self._endLoggingIn()
        self._login = login
        self._request.avatar = login.avatar
        self._whenLoggedIn()

    def _notLoggedIn(self, failure: Failure) -> None:
        self._endLoggingIn()
        request = self._request
        if failure.check(CancelledError) is not None or request is None:
            return
        if failure.check(HandshakeRefused) is not None:
            refusal: Any = failure.value
            client = request.getClientAddress()
            logRefusal(_log, self._context.logLimit, client, refusal)
        self._whenNotLoggedIn(failure)

    def _timedOut(self) -> None:
        self._deadline = None
        seconds = self._context.settings.open_timeout
        reason = f"credentials not checked in {seconds:g} seconds"
        # The refusal calls stop(), which cancels the check.
        self._refuse(HandshakeRefused(503, reason, setting="open-timeout"))


async def _logIn(
    authenticator: Authenticator, request: PlainRequest, limit: LogLimit
) -> Login:
    """
    Check the client's password, which browsers ask for, or its token.
    """
    # Browsers add a password to the forms and scripts of other sites, too. Cookies
    # don't count: the request for a picture need not say which site it comes from.
    origin, host = request.getHeader(b"origin"), request.getHeader(b"host")
    trusted = OWN_ORIGIN.isTrusted(origin, host, request.isSecure())
    credentials = authenticator.find(request, trusted, cookies=False)
    if credentials is None:
        raise authenticator.refusalWithoutLogin()
    return await authenticator.logIn(credentials, request, limit.allows)
