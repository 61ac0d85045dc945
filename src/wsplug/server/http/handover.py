"""
Requests that C{twisted.web} answers: for the C{twisted.web} resources of applications.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from wsplug.auth.authenticator import Login
from wsplug.errors import HandshakeRefused
from wsplug.guard.proxies import ClientInfo
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.http.bodies import PendingBody
from wsplug.server.http.pages import PageChannel
from wsplug.server.http.request import PlainRequest
from wsplug.server.mounts import splitPath

__all__ = ["PageHandover"]


class PageHandover:
    """
    Hands the requests of one connection over to C{twisted.web}, each with its whole
    body.
    """

    def __init__(
        self,
        context: ConnectionContext,
        content: Content,
        transport: Any,
    ) -> None:
        self._context = context
        self._content = content
        self._transport = transport
        self._channel: PageChannel | None = None
        self._pending: PendingBody | None = None

    @property
    def isOpen(self) -> bool:
        """
        Whether C{twisted.web} has the transport.
        """
        return self._channel is not None

    @property
    def busy(self) -> bool:
        """
        Whether a request is being answered.
        """
        return self._channel is not None and self._channel.busy

    def isStalled(self) -> bool:
        """
        Return whether nothing of a response has come since the last call, and nothing
        of it waits for the client.
        """
        return self._channel is None or self._channel.isStalled()

    def refusal(self, request: PlainRequest) -> HandshakeRefused | None:
        """
        Return the answer to a request where no application has pages.

        @return: C{None} where C{twisted.web} answers.
        """
        if self._content.site is not None:
            return None
        if self._content.mounts.find(splitPath(request.path)) is None:
            return HandshakeRefused(404, "nothing is here")
        return HandshakeRefused(
            426, "this is a WebSocket server", headers=[(b"Upgrade", b"websocket")]
        )

    def maxBodySize(self, request: PlainRequest) -> int:
        """
        Return how many bytes the body of a request may have.
        """
        limit: int = getattr(
            self._pagesFor(request), "maxBodySize", self._content.maxBodySize
        )
        return limit

    def _parsesForms(self, request: PlainRequest) -> bool:
        """
        Return whether C{twisted.web} parses a form in the body. Other sites than
        wsplug's expect that.
        """
        siteParses: bool = getattr(self._content.site, "parsesForms", True)
        return getattr(self._pagesFor(request), "parsesForms", siteParses)

    def _pagesFor(self, request: PlainRequest) -> Any:
        found = self._content.mounts.find(splitPath(request.path))
        return None if found is None else found[0].pages

    def open(
        self,
        done: Callable[[], object],
        refuse: Callable[[HandshakeRefused], object],
        isIdle: Callable[[], bool],
    ) -> None:
        """
        Give the transport to C{twisted.web}.

        @param done: is called after each response. It calls L{requestDone}.
        @param refuse: is called when a form can't be parsed. It answers, and ends the
            connection.
        @param isIdle: returns whether the connection still waits for a request.
        """
        context, site = self._context, self._content.site
        assert site is not None
        self._channel = PageChannel(
            site,
            context.clock,
            settings=context.settings,
            deadlines=context.deadlines,
            sendBuffers=context.sendBuffers,
            logLimit=context.logLimit,
            verbose=context.verbose,
            done=done,
            refuse=refuse,
            isIdle=isIdle,
        )
        self._channel.makeConnection(self._transport)

    def serve(
        self,
        request: PlainRequest,
        content: bytes,
        client: ClientInfo,
        login: Login | None,
    ) -> None:
        """
        Have C{twisted.web} answer a request.

        @param content: the whole body. It counts towards the memory budget until
            L{requestDone}.
        @param client: what proxies say about the client.
        @param login: ends with the response.
        """
        channel = self._channel
        assert channel is not None
        self._pending = PendingBody(self._context.incompleteMessages, content)
        forms = self._parsesForms(request)
        channel.serve(request.head, content, forms, client, login)

    def requestDone(self) -> None:
        """
        The request is answered, or the connection is gone.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.letGo()

    def end(self) -> None:
        """
        End the connection with the current response, or else with the next one.
        """
        if self._channel is not None:
            self._channel.end()

    def loseConnection(self) -> None:
        """
        End the connection once the output is sent.
        """
        if self._channel is not None:
            self._channel.loseConnection()

    def release(self) -> None:
        """
        Take the transport back.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.release()

    def lose(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.lose(reason)
