"""
The plain HTTP of one connection: one request after another, each with its body and its
response.

L{wsplug.codec.HeadParser} has parsed the head of a request already. Where a path needs
a login, the client logs in before any of the body is read. The body is read here, and
only if the resource takes it. Then an L{IPlainResource} answers with a whole
L{Response}. The C{twisted.web} resources of applications get the whole request by
L{PageHandover}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.codec import RequestHead, body_too_large
from wsplug.codec.httpresponse import has_body
from wsplug.errors import HandshakeRefused
from wsplug.guard.proxies import UNNAMED, ClientInfo
from wsplug.interfaces import IPlainResource
from wsplug.plain import TEXT, FileBody, Response, notFound, refused
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.http.answers import PendingAnswer, askResource
from wsplug.server.http.bodies import outOfMemory
from wsplug.server.http.handover import PageHandover
from wsplug.server.http.idletimer import IdleTimer
from wsplug.server.http.login import RequestLogin
from wsplug.server.http.request import PlainRequest, isPersistent
from wsplug.server.http.requestinput import RequestInput
from wsplug.server.http.requestlog import logRequest
from wsplug.server.http.responses import ResponseOutput, encodeResponse
from wsplug.server.http.routes import Route
from wsplug.server.http.sending import ResponseSender, logCutOff
from wsplug.server.mounts import splitPath
from wsplug.server.request import splitTarget

__all__ = ["Exchange"]

_log = Logger(__name__)

_FOREIGN: Final = Route(None)


class ServerEnd(Protocol):
    """
    The server's end of the connection. It reads the heads of requests.
    """

    context: ConnectionContext
    content: Content
    transport: Any

    @property
    def hasBegunHead(self) -> bool:
        """Whether a part of the next request's head has arrived."""

    def refuse(self, refusal: HandshakeRefused) -> None:
        """Answer with an error, log it, and end the connection."""

    def answerLast(self, data: bytes) -> None:
        """Send a response and end the connection, whatever the client still sends."""

    def requestDone(self, behind: bytes) -> None:
        """Continue after a response, with the bytes that came behind its request."""

    def requestFailed(self, failure: Failure) -> None:
        """Log an exception that no response can report, and end the connection."""


class Exchange:
    """
    Answers the requests of one connection.

    @ivar busy: whether a request is being read or answered.
    """

    def __init__(self, end: ServerEnd) -> None:
        """
        @param end: receives the requests. L{release} and L{lose} drop the reference.
        """
        self._end: ServerEnd | None = end
        self._context = end.context
        self._content = end.content
        self._transport: Any = end.transport
        self.busy = False
        self._request: PlainRequest | None = None
        self._client: ClientInfo = UNNAMED
        self._route = _FOREIGN
        self._resource: IPlainResource | None = None
        self._input = RequestInput(self, end.context, end.transport)
        self._login: RequestLogin | None = None
        self._output = ResponseOutput(end.context, end.transport)
        self._pages = PageHandover(end.context, end.content, end.transport)
        self._idle: IdleTimer | None = None
        self._isInside = False
        # Whether the connection ends with the next response; whether it has ended.
        self._isLast = False
        self._isOver = False

    # What the server's end calls

    def serve(self, head: RequestHead, rest: bytes, client: ClientInfo) -> bytes:
        """
        Begin to answer a request.

        @param rest: the bytes that came behind its head.
        @param client: what proxies say about the client.
        @return: as from L{feed}.
        """
        self.busy = True
        self._client = client
        self._input.begin(head, rest)
        return self._run(self._begin, head)

    def feed(self, data: bytes) -> bytes:
        """
        Take bytes that come while a request is being read or answered.

        @return: the bytes behind the request, if the request is done now. If not,
            nothing: C{requestDone} gets them later.
        """
        if self._isOver:
            return b""
        if self._input.take(data):
            return self._run(self._input.readBody)
        return b""

    @property
    def awaitsBody(self) -> bool:
        """
        Whether a part of the current request's body is still to come.
        """
        return self._input.awaitsBody

    @property
    def isStarted(self) -> bool:
        """
        Whether a part of a response may be sent already.
        """
        return self._pages.busy

    def isStalled(self) -> bool:
        """
        Return whether nothing of a response has come since the last call, and nothing
        of it waits for the client.
        """
        if self._pages.isOpen:
            return self._pages.isStalled()
        return self._output.isStalled()

    def end(self) -> None:
        """
        End the connection with the current response, or else with the next one.
        """
        self._isLast = True
        self._pages.end()

    def loseConnection(self) -> None:
        """
        End the connection once the output is sent.
        """
        if self._pages.isOpen:
            self._isOver = True
            self._pages.loseConnection()
        else:
            self._close()

    def release(self) -> None:
        """
        Release the connection, so that it can become a WebSocket connection, or end.
        """
        self._stop()
        self._input.resumeReading()
        self._pages.release()
        self._output.release()

    def lose(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        self._stop()
        self._output.lose()
        self._pages.lose(reason)

    def _stop(self) -> None:
        self._end = None
        self._isOver = True
        self._input.stop()
        if self._idle is not None:
            idle, self._idle = self._idle, None
            idle.stop()
        self._endRequest()

    def _endRequest(self) -> None:
        self._request = self._resource = None
        self._input.requestDone()
        self._pages.requestDone()
        if self._login is not None:
            login, self._login = self._login, None
            login.stop()

    # The steps of a request

    def _run(self, step: Callable[..., object], *arguments: Any) -> bytes:
        """
        Take a step, and those that follow it at once.

        @return: the bytes behind the request, if the request is done now.
        """
        self._isInside = True
        try:
            step(*arguments)
        except BaseException:
            # An exception in an application's code ends this connection only.
            self._fail(Failure())
        finally:
            self._isInside = False
        if self.busy or self._isOver:
            self._input.count()
            return b""
        return self._input.takeRest()

    def runLater(self, step: Callable[[], object]) -> None:
        """
        Take a step after an asynchronous wait.
        """
        ahead = self._run(step)
        if self.busy or self._isOver:
            return
        if self._end is not None:
            self._end.requestDone(ahead)
        # Not before what is here already is used up.
        if not self.busy and not self._isOver:
            self._input.resumeReading()

    def _goOn(self, step: Callable[[], object]) -> None:
        if self._isInside:
            step()
        else:
            self.runLater(step)

    def _fail(self, failure: Failure) -> None:
        if self._end is not None:
            self._end.requestFailed(failure)

    def refuse(self, refusal: HandshakeRefused) -> None:
        """
        Answer with an error, and end the connection.
        """
        if self._end is not None:
            self._end.refuse(refusal)

    def _begin(self, head: RequestHead) -> None:
        path = splitTarget(head.target)[0]
        segments = splitPath(path)
        site: Any = self._content.site
        find = getattr(site, "route", None)
        self._route = route = _FOREIGN if find is None else find(path, segments)
        self._request = PlainRequest(
            head, self._transport, path, segments, route.depth, self._client
        )
        if route.authenticator is None:
            self._enter()
            return
        self._login = RequestLogin(
            self._context,
            self._request,
            loggedIn=self._loggedIn,
            notLoggedIn=self._notLoggedIn,
            refuse=self.refuse,
            fail=self._fail,
        )
        self._login.begin(route.authenticator)

    def _loggedIn(self) -> None:
        self._goOn(self._enter)

    def _notLoggedIn(self, failure: Failure) -> None:
        answer = self._answerTo(failure)
        failure.cleanFailure()
        self._goOn(lambda: self._answer(answer))

    def _enter(self) -> None:
        """
        Find the resource, and read the body if it takes one.
        """
        request, route = self._request, self._route
        assert request is not None
        if route.resource is None:
            refusal = self._pages.refusal(request)
            if refusal is None:
                self._awaitBody(self._pages.maxBodySize(request))
            else:
                self.refuse(refusal)
            return
        answer: Response | None
        try:
            self._resource = resource = route.resource.find(request)
            answer = notFound() if resource is None else resource.judge(request)
        except BaseException:
            answer = self._answerTo(Failure())
        if answer is not None:
            self._answer(answer)
        elif resource is not None:
            self._awaitBody(resource.maxBodySize)

    def _awaitBody(self, limit: int) -> None:
        request = self._request
        assert request is not None
        head = request.head
        size = head.body_size
        if size == 0:
            self.bodyReceived(b"")
            return
        # A chunked body may turn out to be empty, but not with Expect (RFC 9110 section
        # 10.1.1).
        least = size if size is not None else bool(head.all(b"expect"))
        if least > limit:
            self.refuse(body_too_large(limit))
            return
        content = self._input.popBody(head)
        if content is not None:
            self.bodyReceived(content)
            return
        # RFC 9110 section 10.1.1. HTTP/1.0 clients don't know this status.
        if head.version == (1, 1) and head.lists(b"expect", b"100-continue"):
            self._open().send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._input.awaitBody(limit)

    def bodyReceived(self, content: bytes) -> None:
        """
        Have a whole request answered.
        """
        request, resource = self._request, self._resource
        assert request is not None
        # Also a body that came in one read may have to wait in an application.
        if len(content) > self._context.incompleteMessages.claimable:
            self.refuse(outOfMemory("unanswered requests"))
            return
        if resource is None:
            self._passOn(request, content)
            return
        request.content = content
        try:
            answer = askResource(resource, request)
            if isinstance(answer, Response):
                self._answer(answer)
                return
        except BaseException:
            self._answer(self._answerTo(Failure()))
            return
        pending = PendingAnswer(
            self._context, content, lambda: self._answerMissing(request)
        )
        answer.addErrback(self._answerTo)
        answer.addCallback(self._answerLater, request, pending)
        answer.addErrback(self._fail)

    def _answerMissing(self, request: PlainRequest) -> None:
        if self._request is request:
            seconds = self._context.settings.handler_timeout
            reason = f"no answer from the application in {seconds:g} seconds"
            self.refuse(HandshakeRefused(503, reason, setting="handler-timeout"))

    def _answerLater(
        self, answer: Response, request: PlainRequest, pending: PendingAnswer
    ) -> None:
        pending.arrived()
        if self._request is not request:
            # The client is gone already.
            if isinstance(answer.body, FileBody):
                answer.body.close()
        else:
            self._goOn(lambda: self._answer(answer))

    def _passOn(self, request: PlainRequest, content: bytes) -> None:
        """
        Have C{twisted.web} answer.
        """
        if not self._pages.isOpen:
            self._output.release()
            if self._idle is not None:
                self._idle.stop()  # pages have a timeout of their own
            self._pages.open(self._pageDone, self.refuse, self._isIdle)
        if self._isLast:
            self._pages.end()
        login = None if self._login is None else self._login.take()
        self._pages.serve(request, content, self._client, login)

    def _pageDone(self) -> None:
        self._goOn(self._pageFinished)

    def _pageFinished(self) -> None:
        self._endRequest()
        self._finish()

    # The response

    def _answerTo(self, failure: Failure) -> Response:
        """
        Turn an exception into a response. The log of failures is limited for each
        address, so that a client can't fill it.
        """
        if isinstance(failure.value, HandshakeRefused):
            return refused(failure.value)
        client = self._client.address or self._transport.getPeer()
        if self._context.logLimit.allows(client, "failed requests"):
            _log.failure("a request could not be answered", failure)
        return Response(500, [TEXT], b"the server failed\n")

    def _open(self) -> ResponseSender:
        """
        Take the transport for wsplug's own responses.
        """
        self._pages.release()
        return self._output.open(self._cutOff)

    def _answer(self, answer: Response) -> None:
        """
        Send a response.
        """
        request, route = self._request, self._route
        assert request is not None
        method = request.head.method
        if self._input.isUnread:
            # No resource takes the body. If it is here, it is dropped, so that the
            # connection can stay open.
            self._input.popBody(request.head)
        isUnread = self._input.isUnread
        closes = isUnread or self._isLast or not isPersistent(request.head)
        data, file = encodeResponse(
            self._context.clock, method, answer, route.headers, closes
        )
        if route.isLogged:
            client = request.getClientAddress()
            limit = self._context.logLimit
            logRequest(limit, client, method, request.path, answer.status)
            if self._context.verbose is not None:
                self._context.verbose.served(client, method, request.uri, answer.status)
        if file is not None:
            hasBody = has_body(answer.status, method)
            self._answerWithFile(data, file, hasBody, closes)
            return
        if isUnread and self._end is not None:
            # No resource takes the body, so nobody waits for it.
            self._end.answerLast(data)
            return
        self._open().send(data)
        self._sent(closes)

    def _answerWithFile(
        self, data: bytes, body: FileBody, hasBody: bool, closes: bool
    ) -> None:
        sender = self._open()
        sender.send(data)
        if not hasBody:
            body.close()
            self._sent(closes)
            return
        sender.sendFile(body, lambda: self._goOn(lambda: self._sent(closes)))

    def _sent(self, closes: bool) -> None:
        """
        The response is sent, or waits for the client.
        """
        self._endRequest()
        if closes:
            self._close()
        elif self._output.isEmpty:
            self._finish()
        else:
            # Until the client has read this response, no other one is made and no
            # request is collected.
            self._input.pause()
            self._output.whenEmpty(lambda: self._goOn(self._finish))

    def _finish(self) -> None:
        """
        Get ready for the next request. One that is here already waits for its turn: a
        client that pipelines requests doesn't hold up the others.
        """
        if self._input.hasMore and not self._endsNow:
            self._context.scheduler.add(self)
        else:
            self._ready()

    def resume(self) -> None:
        """
        Go on with the next request. The scheduler calls it.
        """
        if not self._isOver:
            self.runLater(self._ready)

    @property
    def _endsNow(self) -> bool:
        """
        Whether L{end} was called when the head of the last response was out.
        C{twisted.web} ends its connections itself.
        """
        return self._isLast and not self._pages.isOpen

    def _ready(self) -> None:
        if self._endsNow:
            self._close()
            return
        self.busy = False
        if self._pages.isOpen:
            return
        if self._idle is None:
            deadlines = self._context.deadlines
            self._idle = IdleTimer(deadlines, self._isIdle, self._close)
        self._idle.start()

    def _isIdle(self) -> bool:
        """
        Whether nothing of a next request has arrived. A head that has begun has a
        deadline of its own.
        """
        end = self._end
        return not self.busy and end is not None and not end.hasBegunHead

    def _close(self) -> None:
        self.busy = self._isOver = True
        self._output.close()

    def _cutOff(
        self, reason: str, setting: str | None, failure: Failure | None = None, /
    ) -> None:
        """
        End a connection because the client, or the response, takes too long.
        """
        client = self._client.address or self._transport.getPeer()
        self._isOver = True
        self._output.stop()
        logCutOff(self._context.logLimit, client, reason, setting, failure)
        # Later, because the caller may be in the middle of a response.
        self._context.clock.callLater(0, self._transport.abortConnection)
