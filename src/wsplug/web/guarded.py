"""
Pages for those who log in: HTTP Basic (RFC 7617), so that browsers ask for a password,
and send it with the WebSocket of the same origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request

from wsplug.auth.authenticator import Authenticator
from wsplug.errors import HandshakeRefused
from wsplug.guard.origins import OWN_ORIGIN
from wsplug.server.cancelling import cancel
from wsplug.server.closing import logRefusal
from wsplug.server.mounts import Mounts

__all__ = ["GuardedPages"]


class GuardedPages(Resource):
    """
    The root in front of another: lets those through that have logged in. What belongs
    to a mount without C{auth} is for everybody, and what tells of the server has a
    guard of its own.
    """

    def __init__(
        self,
        pages: IResource,
        mounts: Mounts,
        authenticator: Authenticator,
        isOpen: Callable[[list[bytes]], bool],
    ) -> None:
        """
        @param pages: the root behind it.
        @param isOpen: is called with a path's segments, and says whether it is for
            everybody.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._pages = pages
        self._mounts = mounts
        self._authenticator = authenticator
        self._isOpen = isOpen

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        prepath: Any = request.prepath
        postpath: Any = request.postpath
        postpath.insert(0, prepath.pop())
        found = self._mounts.find(postpath)
        if self._isOpen(postpath) or (found is not None and not found[0].auth):
            child: IResource = getChildForRequest(self._pages, request)
            return child
        return _Login(self._pages, self._authenticator)


class _Login(Resource):
    """
    Answers one request, once it is known whose it is.
    """

    isLeaf = True

    _log = Logger()

    def __init__(self, pages: IResource, authenticator: Authenticator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pages = pages
        self._authenticator = authenticator

    def render(self, request: Request) -> Any:
        serving = Deferred.fromCoroutine(self._serve(request))
        gone: Deferred[None] = request.notifyFinish()
        gone.addErrback(lambda _: cancel(serving))
        serving.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _serve(self, request: Any) -> None:
        authenticator = self._authenticator
        try:
            # A password comes with other sites' forms and scripts too. No cookie
            # counts: what asks for one, as a picture, needn't say where it is from.
            origin, host = request.getHeader(b"origin"), request.getHeader(b"host")
            vouched = OWN_ORIGIN.vouches(origin, host)
            credentials = authenticator.find(request, vouched, cookies=False)
            if credentials is None:
                raise authenticator.refuseNobody()
            login = await authenticator.logIn(credentials, request)
        except HandshakeRefused as refusal:
            self._refuse(request, refusal)
            return
        request.notifyFinish().addBoth(lambda _: login.end())
        request.avatar = login.avatar
        request.render(getChildForRequest(self._pages, request))

    def _refuse(self, request: Any, refusal: HandshakeRefused) -> None:
        limit = request.channel.logLimit
        logRefusal(self._log, limit, request.getClientAddress(), refusal)
        request.setResponseCode(refusal.status)
        for name, value in refusal.headers:
            request.responseHeaders.addRawHeader(name, value)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        request.write(refusal.reason.encode("utf-8") + b"\n")
        request.finish()

    def _failed(self, failure: Failure, request: Any) -> None:
        if failure.check(CancelledError) is None:
            request.processingFailed(failure)
