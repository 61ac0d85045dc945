"""
The plain HTTP of one connection: request after request, each with its body, and what
answers them.

The head of a request has been parsed already, once, by L{wsplug.codec.HeadParser}. What
isn't open to everybody is for who logs in, before anything of a body is taken. The
body is read here, and only where somebody wants it. Then an L{IPlainResource} answers,
which gives the whole response back; or, for what others bring, C{twisted.web} by
L{PageChannel}, which is given the whole request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from time import time
from types import CoroutineType
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.clocks import timeOfDay
from wsplug.codec import RequestHead, body_too_large, format_date
from wsplug.codec.httpresponse import encode_response_head, has_body
from wsplug.errors import HandshakeRefused
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.origins import OWN_ORIGIN
from wsplug.guard.proxies import UNNAMED, ClientInfo
from wsplug.interfaces import IPlainResource
from wsplug.networks import nameOfAddress
from wsplug.plain import TEXT, FileBody, Response, notFound, refused
from wsplug.server.cancelling import cancel
from wsplug.server.closing import endIdle, logRefusal
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.http.bodies import BodyReader, PendingBody
from wsplug.server.http.pageoutput import PageOutput
from wsplug.server.http.pages import PageChannel
from wsplug.server.http.request import PlainRequest, isPersistent
from wsplug.server.http.routes import Route
from wsplug.server.http.sending import PIECE, ResponseSender, logCutOff
from wsplug.server.mounts import splitPath
from wsplug.server.request import splitTarget

__all__ = ["Exchange", "logRequest"]

_log = Logger(__name__)

_IDLE: Final = 60.0
"""
Seconds for which a connection is kept that no request comes on.
"""

_AHEAD: Final = 16 * 1024
"""
Bytes of later requests that are kept while one is answered. Then nothing is read.
"""

_LONGEST: Final = 200
"""
Bytes of a path that are logged: whoever asks for what isn't here may ask at length.
"""

_FOREIGN: Final = Route(None)

_dateOf = lru_cache(4)(format_date)


def logRequest(
    limit: LogLimit, client: IAddress, method: bytes, path: bytes, status: int
) -> None:
    """
    Log that a request was answered: nothing of its query or another header, for there
    may be secrets in those. The event is given to the observer, as C{Logger.info}
    would, which does more for each than answering takes.

    @param limit: says whether it is for the log.
    """
    if not limit.allows(client, "requests"):
        return
    _log.observer(
        {
            "log_logger": _log,
            "log_level": LogLevel.info,
            "log_namespace": _log.namespace,
            "log_source": None,
            "log_format": "{peer} {method} {path}: {status}",
            "log_time": time(),
            "peer": nameOfAddress(client),
            "method": method.decode("ascii", "backslashreplace"),
            "path": path[:_LONGEST].decode("ascii", "backslashreplace"),
            "status": status,
        }
    )


class ServerEnd(Protocol):
    """
    The server's end of the connection, which reads the heads.
    """

    context: ConnectionContext
    content: Content
    transport: Any

    def refuse(self, refusal: HandshakeRefused) -> None:
        """Answer with an error, log it, and end the connection."""

    def answerLast(self, data: bytes) -> None:
        """Send an answer, and end the connection behind it, whatever still comes."""

    def requestDone(self, behind: bytes) -> None:
        """Go on with what has come behind a request: its response has been sent."""

    def requestFailed(self, failure: Failure) -> None:
        """Log what was raised, which is nobody's answer, and end the connection."""


class Exchange:
    """
    Answers the requests of one connection.

    @ivar busy: whether a request is being read or answered.
    """

    def __init__(self, end: ServerEnd) -> None:
        """
        @param end: whose requests they are. It is let go of by L{release} and L{lose}.
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
        self._body: BodyReader | None = None
        self._isUnread = False
        # What C{twisted.web} has of a body.
        self._pending: PendingBody | None = None
        self._login: Login | None = None
        self._loggingIn: Deferred[Any] | None = None
        self._loginDeadline: Deadline | None = None
        self._sender: ResponseSender | None = None
        self._channel: PageChannel | None = None
        self._idle: Deadline | None = None
        self._idleSince = 0.0
        # What has come behind the request, and whether that was too much.
        self._ahead = b""
        self._isPaused = False
        self._isInside = False
        # Whether the connection ends with the next response; whether it has ended.
        self._isLast = False
        self._isOver = False
        self._dateSecond = -1
        self._dateNow = b""
        self._writtenBefore = 0

    # What the server's end calls

    def serve(self, head: RequestHead, rest: bytes, client: ClientInfo) -> bytes:
        """
        Begin to answer a request.

        @param rest: what has come behind its head.
        @param client: what is known of the client besides what the transport says.
        @return: as from L{feed}.
        """
        self.busy = True
        self._client = client
        self._ahead = rest
        self._isUnread = head.body_size != 0
        return self._run(self._begin, head)

    def feed(self, data: bytes) -> bytes:
        """
        Take what comes while a request is being read or answered.

        @return: what of it is behind the request, if that is done with now; else
            nothing, and C{requestDone} gets it later.
        """
        if self._isOver:
            return b""
        self._ahead = self._ahead + data if self._ahead else data
        if self._body is not None:
            return self._run(self._readBody)
        if len(self._ahead) > _AHEAD and not self._isPaused:
            self._isPaused = True
            self._transport.pauseProducing()
        return b""

    @property
    def awaitsBody(self) -> bool:
        """
        Whether a part of a request that is wanted is still to come.
        """
        if self._body is not None:
            return True
        request = self._request
        if not self._isUnread or request is None:
            return False
        size = request.head.body_size
        return size is None or len(self._ahead) < size

    @property
    def isStarted(self) -> bool:
        """
        Whether something of a response may be out already.
        """
        return self._channel is not None and self._channel.busy

    def isStalled(self) -> bool:
        """
        Say whether nothing of a response has come since this was asked before, and
        nothing of it waits for the client.
        """
        if self._channel is not None:
            return self._channel.isStalled()
        sender = self._sender
        if sender is None:
            return True
        before, self._writtenBefore = self._writtenBefore, sender.written
        return sender.written == before and sender.isEmpty

    def end(self) -> None:
        """
        Have the connection end with the response that is under way, or else with the
        next one.
        """
        self._isLast = True
        if self._channel is not None:
            self._channel.end()

    def loseConnection(self) -> None:
        """
        End the connection, once what was sent is out.
        """
        if self._channel is not None:
            self._isOver = True
            self._channel.loseConnection()
        else:
            self._close()

    def release(self) -> None:
        """
        Let go of the connection, so that it can become a WebSocket's, or end.
        """
        self._stop()
        channel, self._channel = self._channel, None
        sender, self._sender = self._sender, None
        if channel is not None:
            channel.release()
        if sender is not None:
            sender.stop()
            sender.letGo()

    def lose(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        self._stop()
        channel, self._channel = self._channel, None
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.stop()
        if channel is not None:
            channel.lose(reason)

    def _stop(self) -> None:
        self._end = None
        self._isOver = True
        self._context.deadlines.clear(self._idle)
        self._idle = None
        self._endRequest()

    def _endRequest(self) -> None:
        self._request = self._resource = None
        if self._body is not None:
            body, self._body = self._body, None
            body.stop()
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.letGo()
        if self._loggingIn is not None:
            cancel(self._endLoggingIn())
        if self._login is not None:
            login, self._login = self._login, None
            login.end()

    # The way of a request

    def _run(self, step: Callable[..., object], *arguments: Any) -> bytes:
        """
        Take a step, and perhaps all that follow.

        @return: what has come behind the request, if it is done with now.
        """
        self._isInside = True
        try:
            step(*arguments)
        except BaseException:
            # As what an application raises in its own code, this ends nothing else.
            self._fail(Failure())
        finally:
            self._isInside = False
        if self.busy or self._isOver:
            return b""
        ahead, self._ahead = self._ahead, b""
        return ahead

    def _runLater(self, step: Callable[[], object]) -> None:
        """
        Take a step that something had to be waited for.
        """
        ahead = self._run(step)
        if not self.busy and not self._isOver:
            self._goOnReading()
            if self._end is not None:
                self._end.requestDone(ahead)

    def _goOnReading(self) -> None:
        if self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()

    def _fail(self, failure: Failure) -> None:
        if self._end is not None:
            self._end.requestFailed(failure)

    def _refuse(self, refusal: HandshakeRefused) -> None:
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
        authenticator = route.authenticator
        if authenticator is None:
            self._enter()
            return
        loggingIn = Deferred.fromCoroutine(self._logIn(authenticator))
        self._loggingIn = loggingIn
        loggingIn.addCallbacks(self._loggedIn, self._notLoggedIn)
        loggingIn.addErrback(self._fail)
        seconds = self._context.settings.open_timeout
        if self._loggingIn is not None and seconds:
            deadlines = self._context.deadlines
            self._loginDeadline = deadlines.set(seconds, self._loginTimedOut)

    def _loginTimedOut(self) -> None:
        self._loginDeadline = None
        seconds = self._context.settings.open_timeout
        reason = f"credentials not checked in {seconds:g} seconds"
        # Whoever checks them is told that by release().
        self._refuse(HandshakeRefused(503, reason, setting="open-timeout"))

    def _enter(self) -> None:
        """
        Find who answers, and take the body that it wants.
        """
        request, route = self._request, self._route
        assert request is not None
        if route.resource is None:
            if self._content.site is None:
                self._refuse(self._refusePage(request))
            else:
                self._awaitBody(self._foreignLimit(request))
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

    def _foreignLimit(self, request: PlainRequest) -> int:
        """
        Say how large a body for C{twisted.web} may be.
        """
        found = self._content.mounts.find(splitPath(request.path))
        pages = None if found is None else found[0].application.pages
        limit: int = getattr(pages, "maxBodySize", self._content.maxBodySize)
        return limit

    def _awaitBody(self, limit: int) -> None:
        request = self._request
        assert request is not None
        head = request.head
        size = head.body_size
        if size == 0:
            self._take(b"")
            return
        if not limit or (size is not None and size > limit):
            self._refuse(body_too_large(limit))
            return
        self._isUnread = False
        ahead = self._ahead
        if size is not None and len(ahead) >= size and not head.all(b"expect"):
            # Nearly every body comes with its head.
            self._ahead = ahead[size:]
            self._take(ahead[:size] if self._ahead else ahead)
            return
        # RFC 9110 section 10.1.1. Those of HTTP/1.0 don't know it.
        expected = head.items(b"expect") if head.version == (1, 1) else []
        if b"100-continue" in [each.lower() for each in expected]:
            self._open().send(b"HTTP/1.1 100 Continue\r\n\r\n")
        context = self._context
        self._body = BodyReader(
            size,
            limit,
            deadlines=context.deadlines,
            seconds=context.settings.open_timeout,
            budget=context.incompleteMessages,
            refuse=self._refuse,
        )
        self._goOnReading()
        self._readBody()

    def _readBody(self) -> None:
        body = self._body
        assert body is not None
        data, self._ahead = self._ahead, b""
        content = body.feed(data)
        if content is not None:
            self._body = None
            self._ahead = body.rest
            self._take(content)

    def _take(self, content: bytes) -> None:
        """
        Have a whole request answered.
        """
        request, resource = self._request, self._resource
        assert request is not None
        if resource is None:
            self._passOn(request, content)
            return
        request.content = content
        try:
            answer = resource.respond(request)
            if isinstance(answer, Response):
                self._answer(answer)
                return
            if isinstance(answer, CoroutineType):
                answer = Deferred.fromCoroutine(answer)
            if not isinstance(answer, Deferred):
                kind = type(answer).__name__
                raise TypeError(f"a resource has to answer with a Response, not {kind}")
        except BaseException:
            self._answer(self._answerTo(Failure()))
            return
        context = self._context
        pending = PendingBody(context.incompleteMessages, content)
        seconds = context.settings.handler_timeout
        deadline = None
        if seconds:
            deadline = context.deadlines.set(
                seconds, lambda: self._answerMissing(request, pending)
            )
        answer.addErrback(self._answerTo)
        answer.addCallback(self._answerLater, request, pending, deadline)
        answer.addErrback(self._fail)

    def _answerMissing(self, request: PlainRequest, pending: PendingBody) -> None:
        """
        Wait no longer for an answer. It isn't cancelled: what the request asks for may
        have been done in part.
        """
        pending.letGo()
        if self._request is request:
            seconds = self._context.settings.handler_timeout
            reason = f"no answer from the application in {seconds:g} seconds"
            self._refuse(HandshakeRefused(503, reason, setting="handler-timeout"))

    def _answerLater(
        self,
        answer: Response,
        request: PlainRequest,
        pending: PendingBody,
        deadline: Deadline | None,
    ) -> None:
        self._context.deadlines.clear(deadline)
        pending.letGo()
        if self._request is not request:
            # The client has gone meanwhile.
            if isinstance(answer.body, FileBody):
                answer.body.close()
        else:
            self._goOn(lambda: self._answer(answer))

    # Logging in

    async def _logIn(self, authenticator: Authenticator) -> Login:
        """
        Have the client log in: by a password, so that browsers ask for one, or a token.
        """
        request = self._request
        assert request is not None
        # A password comes with other sites' forms and scripts too. No cookie counts:
        # what asks for one, as a picture, needn't say where it is from.
        origin, host = request.getHeader(b"origin"), request.getHeader(b"host")
        trusted = OWN_ORIGIN.isTrusted(origin, host)
        credentials = authenticator.find(request, trusted, cookies=False)
        if credentials is None:
            raise authenticator.refuseNobody()
        return await authenticator.logIn(credentials, request)

    def _endLoggingIn(self) -> Deferred[Any] | None:
        self._context.deadlines.clear(self._loginDeadline)
        self._loginDeadline = None
        loggingIn, self._loggingIn = self._loggingIn, None
        return loggingIn

    def _loggedIn(self, login: Login) -> None:
        if self._request is None:
            login.end()  # the client has gone meanwhile
            return
        self._endLoggingIn()
        self._login = login
        self._request.avatar = login.avatar
        self._goOn(self._enter)

    def _notLoggedIn(self, failure: Failure) -> None:
        self._endLoggingIn()
        request = self._request
        if failure.check(CancelledError) is not None or request is None:
            return
        answer = self._answerTo(failure)
        if failure.check(HandshakeRefused) is not None:
            refusal: Any = failure.value
            client = request.getClientAddress()
            logRefusal(_log, self._context.logLimit, client, refusal)
        failure.cleanFailure()
        self._goOn(lambda: self._answer(answer))

    def _goOn(self, step: Callable[[], object]) -> None:
        if self._isInside:
            step()
        else:
            self._runLater(step)

    # Answering

    def _answerTo(self, failure: Failure) -> Response:
        """
        Answer where something was raised. A client that can provoke it doesn't fill the
        log with it.
        """
        if isinstance(failure.value, HandshakeRefused):
            return refused(failure.value)
        client = self._client.address or self._transport.getPeer()
        if self._context.logLimit.allows(client, "failed requests"):
            _log.failure("a request could not be answered", failure)
        return Response(500, [TEXT], b"the server failed\n")

    def _open(self) -> ResponseSender:
        """
        Have the transport be for responses of the server's own.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.release()
        if self._sender is None:
            context = self._context
            output = PageOutput(
                self._transport,
                context.deadlines,
                context.settings.send_timeout,
                context.sendBuffers,
                self._cutOff,
            )
            self._sender = ResponseSender(
                self._transport, output, context.clock.callLater, self._cutOff
            )
        return self._sender

    def _answer(self, answer: Response) -> None:
        """
        Send a response.
        """
        request, route = self._request, self._route
        assert request is not None
        method = request.head.method
        headers = answer.headers
        if route.headers:
            present = {name.lower() for name, _ in headers}
            headers += [
                each for each in route.headers if each[0].lower() not in present
            ]
        if self._isUnread:
            self._dropBody(request.head)
        hasBody = has_body(answer.status, method)
        body = _readSmall(answer.body) if hasBody else answer.body
        closes = self._isUnread or self._isLast or not isPersistent(request.head)
        data = encode_response_head(
            answer.status,
            headers,
            len(body) if isinstance(body, bytes) else body.size,
            self._date(),
            closes,
        )
        if route.isLogged:
            client = request.getClientAddress()
            limit = self._context.logLimit
            logRequest(limit, client, method, request.path, answer.status)
        if isinstance(body, FileBody):
            self._answerWithFile(data, body, hasBody, closes)
            return
        if hasBody:
            data += body
        if self._isUnread and self._end is not None:
            # What isn't wanted isn't read for its own sake.
            self._end.answerLast(data)
            return
        self._open().send(data)
        self._sent(closes)

    def _dropBody(self, head: RequestHead) -> None:
        """
        Drop a body that nobody wants, if all of it is here already: the connection can
        be kept then. A client that expects to be told to go on may have left it out.
        """
        size = head.body_size
        ahead = self._ahead
        if size is not None and len(ahead) >= size and not head.all(b"expect"):
            self._ahead = ahead[size:]
            self._isUnread = False

    def _date(self) -> bytes:
        """
        Give the date of a response, which is looked up once a second.
        """
        second = int(self._context.deadlines.now())
        if second != self._dateSecond:
            self._dateSecond = second
            self._dateNow = _dateOf(int(timeOfDay(self._context.clock)))
        return self._dateNow

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
        The response is out, or waits for the client.
        """
        self._endRequest()
        sender = self._sender
        if closes:
            self._close()
        elif sender is None or sender.isEmpty:
            self._finish()
        else:
            # The next response isn't to wait behind this one, nor are requests to be
            # collected meanwhile.
            self._isPaused = True
            self._transport.pauseProducing()
            sender.whenEmpty(lambda: self._goOn(self._finish))

    def _finish(self) -> None:
        """
        Be ready for the next request.
        """
        self.busy = False
        deadlines = self._context.deadlines
        self._idleSince = deadlines.now()
        if self._idle is None and self._channel is None:
            self._idle = deadlines.set(_IDLE, self._idled)

    def _idled(self) -> None:
        """
        End a connection that nothing came on for a while, without a word in the log:
        that is how kept connections end.
        """
        self._idle = None
        if self.busy or self._channel is not None or self._isOver:
            return
        deadlines = self._context.deadlines
        left = self._idleSince + _IDLE - deadlines.now()
        if left > 0:
            self._idle = deadlines.set(left, self._idled)
        else:
            self._close()

    def _close(self) -> None:
        self.busy = self._isOver = True
        if self._sender is None:
            endIdle(self._transport)
        else:
            self._sender.whenEmpty(self._closeNow)

    def _closeNow(self) -> None:
        """
        End the connection once the client has read the rest, or the time for that is
        over. TLS clients needn't answer (RFC 8446 section 6.1), and some don't.
        """
        sender = self._sender
        if sender is not None:
            sender.letGo()
            endIdle(self._transport)
            sender.watch(self._context.settings.send_timeout)

    def _cutOff(self, reason: str, setting: str | None) -> None:
        """
        End a connection whose client, or whose response, takes too long.
        """
        client = self._client.address or self._transport.getPeer()
        self._isOver = True
        if self._sender is not None:
            self._sender.stop()
        logCutOff(self._context.logLimit, client, reason, setting)
        # Not now: it may be in the midst of a response.
        self._context.clock.callLater(0, self._transport.abortConnection)

    # What others bring

    def _passOn(self, request: PlainRequest, content: bytes) -> None:
        """
        Have C{twisted.web} answer.
        """
        context = self._context
        site = self._content.site
        assert site is not None
        self._pending = PendingBody(context.incompleteMessages, content)
        channel = self._channel
        if channel is None:
            sender, self._sender = self._sender, None
            if sender is not None:
                sender.stop()
                sender.letGo()
            channel = self._channel = PageChannel(
                site,
                context.clock,
                settings=context.settings,
                deadlines=context.deadlines,
                sendBuffers=context.sendBuffers,
                logLimit=context.logLimit,
                done=self._channelDone,
                refuse=self._refuse,
            )
            channel.makeConnection(self._transport)
        if self._isLast:
            channel.end()
        login, self._login = self._login, None
        forms = self._parsesForms(request)
        channel.serve(request.head, content, forms, self._client, login)

    def _parsesForms(self, request: PlainRequest) -> bool:
        """
        Say whether C{twisted.web} is to parse a body if it is a form. A site that isn't
        wsplug's expects that.
        """
        found = self._content.mounts.find(splitPath(request.path))
        pages = None if found is None else found[0].application.pages
        siteParses: bool = getattr(self._content.site, "parsesForms", True)
        return getattr(pages, "parsesForms", siteParses)

    def _refusePage(self, request: PlainRequest) -> HandshakeRefused:
        """
        Answer a request for a page where nobody has pages.
        """
        if self._content.mounts.find(splitPath(request.path)) is None:
            return HandshakeRefused(404, "nothing is here")
        return HandshakeRefused(
            426, "this is a WebSocket server", headers=[(b"Upgrade", b"websocket")]
        )

    def _channelDone(self) -> None:
        self._goOn(self._channelFinished)

    def _channelFinished(self) -> None:
        self._endRequest()
        self._finish()


def _readSmall(body: bytes | FileBody) -> bytes | FileBody:
    """
    Read a file that is sent at once; it may have become shorter meanwhile.
    """
    if isinstance(body, bytes) or body.size > PIECE:
        return body
    try:
        return body.read(body.size)
    finally:
        body.close()
