"""
Plain HTTP with C{twisted.web}, one request at a time.

Twisted's channel would parse a handshake as another request. So it gets each request
only after L{Exchange<wsplug.server.http.exchange.Exchange>} has received all of it, and
reports the end of the response. wsplug itself then parses the next request, which may
be a handshake: reverse proxies reuse connections in this way.

C{HTTPChannel} calls C{setLineMode}, a public method of C{LineReceiver}, when a response
is complete. L{PageChannel} overrides it; C{tests/server/http/test_pages.py} fails if
Twisted changes that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.interfaces import (
    IDelayedCall,
    IPullProducer,
    IPushProducer,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.server import Site
from zope.interface import implementer

from wsplug.auth.authenticator import Login
from wsplug.codec import RequestHead
from wsplug.codec.httpresponse import has_body
from wsplug.errors import HandshakeRefused
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.proxies import UNNAMED, ClientInfo
from wsplug.server.closing import endIdle
from wsplug.server.deadlines import Deadlines
from wsplug.server.http.hardening import (
    FAILED,
    cleanHeaders,
    guardContent,
    guardFailures,
    guardForms,
    guardHead,
)
from wsplug.server.http.pageoutput import PageOutput
from wsplug.server.http.request import isPersistent
from wsplug.server.http.sending import logCutOff
from wsplug.server.settings import Settings
from wsplug.server.verbose import VerboseLog
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["PageChannel"]

_PAUSE: Final = 0.25
"""
The seconds until a producer without data is asked again.
"""


_SIZELESS: Final = frozenset({204, 304})
"""
The statuses without C{Content-Length}. Twisted says 0 where RFC 9110 section 8.6 allows
only the size that the response to an unconditional C{GET} has, or none at all.
"""


class PageChannel(HTTPChannel):
    """
    Answers the requests of one connection that are for resources of C{twisted.web}.

    @ivar busy: whether a request is being answered.
    @ivar logLimit: says whether a line about the client is logged.
    @ivar verbose: the verbose log, if there is one.
    """

    def __init__(
        self,
        site: Site,
        clock: IReactorTime,
        *,
        settings: Settings,
        deadlines: Deadlines,
        sendBuffers: MemoryBudget,
        logLimit: LogLimit,
        verbose: VerboseLog | None = None,
        done: Callable[[], object],
        refuse: Callable[[HandshakeRefused], object],
        isIdle: Callable[[], bool],
    ) -> None:
        """
        @param site: answers the requests.
        @param sendBuffers: the server's memory budget for waiting bytes.
        @param logLimit: says whether a line about a client is logged.
        @param verbose: the verbose log, if there is one.
        @param done: called after each response.
        @param refuse: called with the refusal if a form is malformed. It has to answer
            and to close the connection.
        @param isIdle: returns whether nothing of a next request has arrived.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.site = site
        self.factory = site
        self.timeOut = site.timeOut  # type: ignore[assignment]
        self.callLater = clock.callLater  # type: ignore[method-assign, assignment]
        self.busy = False
        self.logLimit = logLimit
        self.verbose = verbose
        self._clock = clock
        self._puller: _Puller | None = None
        self._done: Callable[[], object] | None = done
        self._refuse = refuse
        self._isIdle = isIdle
        self._settings = settings
        self._deadlines = deadlines
        self._sendBuffers = sendBuffers
        self._output: PageOutput | None = None
        self._parsesForms = False
        self._method = b""
        self._client = UNNAMED
        self._login: Login | None = None
        self._isPersistent = True
        self._ends = False
        # The bytes that the current response still lacks of its Content-Length; None
        # if it has none.
        self._missing: int | None = None
        self._hasBody = True
        # The bytes of responses so far, and at the last call of isStalled.
        self.written = 0
        self._writtenBefore = 0

    def serve(
        self,
        head: RequestHead,
        content: bytes,
        parsesForms: bool,
        client: ClientInfo,
        login: Login | None = None,
    ) -> None:
        """
        Begin to answer a request.

        @param content: the complete body.
        @param parsesForms: whether a form is parsed.
        @param client: what a proxy says about the client.
        @param login: the client's login, which ends with the response.
        """
        self.busy = True
        self._client = client
        self._parsesForms = parsesForms
        self._login = login
        self._missing = None
        self._method = head.method
        self._isPersistent = isPersistent(head)
        raw = head.raw if head.body_size is not None else _withSize(head, len(content))
        # wsplug has already checked its own limits on the head.
        self.totalHeadersSize = self.MAX_LENGTH = len(raw)
        self.maxHeaders = len(head.headers)
        with self.logLimit.blaming(self.getPeer(), FAILED):
            self.dataReceived(raw)  # type: ignore[no-untyped-call]
            if content and self.busy:
                self.dataReceived(content)  # type: ignore[no-untyped-call]

    def getPeer(self) -> Any:
        """
        Return the client's address, for requests.
        """
        return self._client.address or super().getPeer()  # type: ignore[no-untyped-call]

    def isSecure(self) -> bool:
        """
        Say whether the client uses TLS, for requests.
        """
        if self._client.secure is not None:
            return self._client.secure
        return bool(super().isSecure())  # type: ignore[no-untyped-call]

    def requestFactory(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        """
        Make a request that keeps its body in memory, where the budget counts it. A file
        would take a descriptor that isn't counted.
        """
        request: Any = self.site.requestFactory(*arguments, **keywords)
        guardContent(request)
        guardForms(request, self._parsesForms, self._refuse)
        guardHead(request)
        guardFailures(request, self.logLimit)
        login, self._login = self._login, None
        if login is not None:
            request.avatar = login.avatar
            request.notifyFinish().addBoth(lambda _: login.end())
        return request

    def allHeadersReceived(self) -> None:
        cleanHeaders(self.requests[-1])
        super().allHeadersReceived()  # type: ignore[no-untyped-call]

    # Sending

    def makeConnection(self, transport: Any) -> None:
        self._output = PageOutput(
            transport,
            self._deadlines,
            self._settings.send_timeout,
            self._sendBuffers,
            self.cutOff,
        )
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def write(self, data: bytes) -> None:
        if self._missing is not None:
            if len(data) > self._missing:
                data = data[: self._missing]
                self._endForTooMuch()
            self._missing -= len(data)
        self.written += len(data)
        if self._output is not None:
            self._output.write(data)

    def isStalled(self) -> bool:
        """
        Say whether the response has written nothing since the last call, and nothing of
        it waits for the client.
        """
        before, self._writtenBefore = self._writtenBefore, self.written
        isSilent = self.written == before
        return isSilent and (self._output is None or self._output.isEmpty)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Any
    ) -> None:
        """
        Send a response's head after the waiting bytes. Requests call this.
        """
        if not isinstance(headers, Headers):
            pairs, headers = headers, Headers()
            for name, value in pairs:
                headers.addRawHeader(name, value)
        status = int(code)
        if status >= 200:
            self._missing = None
            self._hasBody = has_body(status, self._method)
        if status in _SIZELESS and headers.hasHeader(b"content-length"):
            headers = headers.copy()
            headers.removeHeader(b"content-length")
        lines = [b"%b %b %b\r\n" % (version, code, reason)]
        for name, values in headers.getAllRawHeaders():
            lines.extend(b"%b: %b\r\n" % (name, value) for value in values)
        self.writeSequence([*lines, b"\r\n"])
        if status >= 200:
            sizes = headers.getRawHeaders(b"content-length", [])
            self._missing = self._readSize(sizes) if self._hasBody else 0

    def _readSize(self, sizes: Sequence[bytes]) -> int | None:
        """
        Parse the size of a response. If it is malformed, the connection is closed after
        the response, so that the client finds its end.

        @param sizes: the values of C{Content-Length}.
        @return: the size in bytes; C{None} if it is unknown.
        """
        if not sizes:
            return None
        if len(sizes) == 1 and sizes[0].isdigit():
            return int(sizes[0])
        self.persistent = 0
        return None

    def _endForTooMuch(self) -> None:
        """
        Close the connection because a response exceeds its C{Content-Length}. Clients
        would take the rest for the next response.
        """
        if not self._hasBody or not self.persistent:
            return  # expected without a body; or the connection closes anyway
        self.persistent = 0
        reason = "the response is longer than its Content-Length"
        logCutOff(self.logLimit, self.getPeer(), reason, None)
        # Later, because the response is being written.
        self._clock.callLater(0, self._stopAndLose)

    def _stopAndLose(self) -> None:
        if self._done is not None:
            self.stopProducing()  # type: ignore[no-untyped-call]
            self.loseConnection()

    def requestDone(self, request: Any) -> None:
        """
        End a response. If it is shorter than its C{Content-Length}, the connection is
        closed, so that the client doesn't take the next response for the rest.
        """
        missing, self._missing = self._missing, None
        if missing:
            self.persistent = 0
            self.cutOff("the response is shorter than its Content-Length", None)
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def pauseProducing(self) -> None:
        if self._output is not None:
            self._output.pause()
        super().pauseProducing()  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:
        output = self._output
        if output is None:
            return
        output.resume()
        # This may have blocked the output again, or given the connection away.
        if self._output is not None and not output.blocked:
            super().resumeProducing()  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        if self._output is not None:
            self._output.whenEmpty(self._close)

    def _close(self) -> None:
        """
        Close the connection after the client has read the rest, or after a time limit.
        TLS clients needn't answer (RFC 8446 section 6.1), and some don't.
        """
        output, transport = self._output, self.transport
        super().loseConnection()  # type: ignore[no-untyped-call]
        endIdle(transport)
        if output is not None:
            output.watch(self._settings.send_timeout)

    def cutOff(self, reason: str, setting: str | None) -> None:
        """
        Abort a connection in the middle of a response.
        """
        transport: Any = self.transport
        self._stopOutput()
        logCutOff(self.logLimit, self.getPeer(), reason, setting)
        # Later, because a response may be being written.
        self._clock.callLater(0, transport.abortConnection)

    def _stopOutput(self) -> None:
        output, self._output = self._output, None
        if output is not None:
            output.stop()

    def timeoutConnection(self) -> None:
        """
        Close an idle connection, without a log line: persistent connections usually end
        in this way.
        """
        if self._isIdle():
            self.loseConnection()

    def setLineMode(self, extra: bytes = b"") -> Any:
        super().setLineMode()  # type: ignore[no-untyped-call]
        output = self._output
        if output is None or output.isEmpty:
            self._goOn()
            return
        # Read nothing until the client has read this response, so that neither
        # responses nor requests pile up.
        idle = self.setTimeout(None)  # type: ignore[no-untyped-call]
        transport: Any = self.transport
        transport.pauseProducing()
        output.whenEmpty(partial(self._sent, idle))

    def _sent(self, idle: int | None) -> None:
        self.setTimeout(idle)  # type: ignore[no-untyped-call]
        transport: Any = self.transport
        transport.resumeProducing()
        self._goOn()

    def _goOn(self) -> None:
        self.busy = False
        if self._done is not None:
            self._done()

    def end(self) -> None:
        """
        Close the connection after the current response, or else after the next one.
        """
        self._ends = True
        if self.busy:
            self.persistent = 0
            for request in self.requests:
                request.responseHeaders.setRawHeaders(b"connection", [b"close"])

    def checkPersistence(self, request: Any, version: bytes) -> Any:
        """
        Say whether another request may follow, and set the response's C{Connection}
        header if not.
        """
        if self._isPersistent and not self._ends:
            return True
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Send a producer's response. Files come from pull producers, for which Twisted
        would use the global reactor.
        """
        seconds = self._settings.send_timeout
        puller = None if streaming else _Puller(producer, self, self._clock, seconds)
        super().registerProducer(puller or producer, True)  # type: ignore[no-untyped-call]
        self._puller = puller
        if puller is not None and not (self._output and self._output.blocked):
            puller.resumeProducing()

    def unregisterProducer(self) -> None:
        puller, self._puller = self._puller, None
        if puller is not None:
            puller.stop()
        super().unregisterProducer()  # type: ignore[no-untyped-call]

    def release(self) -> None:
        """
        Release the connection, so that it can become a WebSocket connection.
        """
        self._done = None
        self._stopOutput()
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        transport: Any = self.transport
        transport.unregisterProducer()

    def lose(self, reason: Failure) -> None:
        """
        Tell the requests that the connection is lost.
        """
        self._done = None
        self._stopOutput()
        self.unregisterProducer()
        self.connectionLost(reason)  # type: ignore[no-untyped-call]


def _withSize(head: RequestHead, size: int) -> bytes:
    """
    Encode the head of a request whose chunked body was decoded (RFC 9112 section
    7.1.3).

    @param size: the size of the body, in bytes.
    """
    lines = [b"%b %b HTTP/%d.%d" % (head.method, head.target, *head.version)]
    lines += [
        b"%b: %b" % header
        for header in head.headers
        if header[0] not in (b"transfer-encoding", b"trailer")
    ]
    return b"\r\n".join([*lines, b"content-length: %d" % size, b"", b""])


@implementer(IPushProducer)
class _Puller:
    """
    Asks a pull producer for more data once in each iteration of the reactor, unless the
    transport has paused it. A producer without data is asked less often, for a limited
    time. Twisted's producer for a range has none if the file became shorter.
    """

    _log = Logger()

    def __init__(
        self,
        producer: IPullProducer,
        channel: PageChannel,
        clock: IReactorTime,
        seconds: float,
    ) -> None:
        """
        @param channel: the connection, which is aborted if the producer raises.
        @param seconds: the time in seconds that the producer may be without data; 0 for
            no limit.
        """
        self._producer: IPullProducer | None = producer
        self._channel: PageChannel | None = channel
        self._clock = clock
        self._seconds = seconds
        # The time since which the producer has had no data.
        self._since: float | None = None
        self._call: IDelayedCall | None = None

    def resumeProducing(self) -> None:
        if self._call is None and self._producer is not None:
            self._call = self._clock.callLater(0, self._pull)

    def pauseProducing(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def stopProducing(self) -> None:
        """
        Stop the producer: the connection is lost.
        """
        producer = self._producer
        self.stop()
        if producer is not None:
            producer.stopProducing()

    def stop(self) -> None:
        """
        Stop asking the producer.
        """
        self.pauseProducing()
        self._producer = self._channel = None

    def _pull(self) -> None:
        producer, channel = self._producer, self._channel
        assert producer is not None
        assert channel is not None
        # Before the producer is asked, because that may stop or pause this.
        self._call = self._clock.callLater(0, self._pull)
        written = channel.written
        try:
            producer.resumeProducing()
        except OSError as error:
            # Such as a file that was changed or removed. The log limit applies.
            self.stopProducing()
            reason = f"the response could not be read: {error.strerror or error}"
            channel.cutOff(reason, None)
            return
        except BaseException:
            # Stop the producer and abort the connection, so that the client sees that
            # the response is incomplete.
            self._log.failure("a response could not be sent completely")
            transport: Any = channel.transport
            try:
                self.stopProducing()
            finally:
                transport.abortConnection()
            return
        if channel.written != written:
            self._since = None
        elif self._call is not None:
            self._wait(channel)

    def _wait(self, channel: PageChannel) -> None:
        """
        Ask again after a while.
        """
        now = self._clock.seconds()
        if self._since is None:
            self._since = now
        self.pauseProducing()
        if self._seconds and now - self._since >= self._seconds:
            reason = f"the response had no more data for {self._seconds:g} seconds"
            channel.cutOff(reason, "send-timeout")
            return
        self._call = self._clock.callLater(_PAUSE, self._pull)
