"""
Plain HTTP for what others bring: C{twisted.web} answers, one request at a time.

Twisted's channel reads requests by itself, and would read a handshake as one more. So
it is given each request only once L{Exchange<wsplug.server.http.exchange.Exchange>} has
read all of it, and tells when it is done with the request: what comes then is parsed by
wsplug again, and may be a handshake. Reverse proxies use connections like that.

C{HTTPChannel} calls its C{setLineMode}, a public method of C{LineReceiver}, when the
response to a request is complete. That is the place to step in;
C{tests/server/http/test_pages.py} fails if Twisted changes it.
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
    isPersistent,
)
from wsplug.server.http.pageoutput import PageOutput
from wsplug.server.http.sending import logCutOff
from wsplug.server.settings import Settings
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["PageChannel"]

_PAUSE: Final = 0.25
"""
Seconds after which a producer that had nothing is asked again.
"""


class PageChannel(HTTPChannel):
    """
    Answers the requests of one connection that are for resources of others.

    @ivar busy: whether a request is being answered.
    @ivar logLimit: says whether a line about the client is for the log.
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
        done: Callable[[], object],
        refuse: Callable[[HandshakeRefused], object],
    ) -> None:
        """
        @param site: answers the requests.
        @param sendBuffers: over what waits to be sent in the whole server.
        @param logLimit: says whether a line about a client is for the log.
        @param done: is called after each response.
        @param refuse: is called when a body turns out to be no right form: to answer
            so, and to end the connection.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.site = site
        self.factory = site
        self.timeOut = site.timeOut  # type: ignore[assignment]
        self.callLater = clock.callLater  # type: ignore[method-assign, assignment]
        self.busy = False
        self.logLimit = logLimit
        self._clock = clock
        self._puller: _Puller | None = None
        self._done: Callable[[], object] | None = done
        self._refuse = refuse
        self._settings = settings
        self._deadlines = deadlines
        self._sendBuffers = sendBuffers
        self._output: PageOutput | None = None
        self._parsesForms = False
        self._method = b""
        self._client = UNNAMED
        self._login: Login | None = None
        self._ends = False
        # Bytes that are missing of what a response says that it has; None where it
        # says nothing of it.
        self._missing: int | None = None
        self._hasBody = True
        # Bytes of responses so far, and when isStalled was asked last.
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

        @param content: its whole body.
        @param parsesForms: whether a form in it is to be parsed.
        @param client: what is known of the client besides what the transport says.
        @param login: the client's, which ends with the response.
        """
        self.busy = True
        self._client = client
        self._parsesForms = parsesForms
        self._login = login
        self._missing = None
        self._method = head.method
        raw = head.raw if head.body_size is not None else _withSize(head, len(content))
        # The head is within wsplug's own limits already.
        self.totalHeadersSize = self.MAX_LENGTH = len(raw)
        self.maxHeaders = len(head.headers)
        with self.logLimit.blaming(self.getPeer(), FAILED):
            self.dataReceived(raw)  # type: ignore[no-untyped-call]
            if content and self.busy:
                self.dataReceived(content)  # type: ignore[no-untyped-call]

    def getPeer(self) -> Any:
        """
        Give the address of whom the request is from. Requests ask for it.
        """
        return self._client.address or super().getPeer()  # type: ignore[no-untyped-call]

    def isSecure(self) -> bool:
        """
        Tell whether that client used TLS. Requests ask for it.
        """
        if self._client.secure is not None:
            return self._client.secure
        return bool(super().isSecure())  # type: ignore[no-untyped-call]

    def requestFactory(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        """
        Make a request that keeps its body in memory, where there is room for it: a file
        would take a descriptor that nobody counts.
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

    # What is sent

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
        Say whether nothing of a response has come since this was asked before, and
        nothing of it waits for the client.
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
        Send a response's head, behind what waits. Requests call it.
        """
        if not isinstance(headers, Headers):
            pairs, headers = headers, Headers()
            for name, value in pairs:
                headers.addRawHeader(name, value)
        status = int(code)
        if status >= 200:
            self._missing = None
            self._hasBody = has_body(status, self._method)
        lines = [b"%b %b %b\r\n" % (version, code, reason)]
        for name, values in headers.getAllRawHeaders():
            lines.extend(b"%b: %b\r\n" % (name, value) for value in values)
        self.writeSequence([*lines, b"\r\n"])
        if status >= 200:
            sizes = headers.getRawHeaders(b"content-length", [])
            self._missing = self._readSize(sizes) if self._hasBody else 0

    def _readSize(self, sizes: Sequence[bytes]) -> int | None:
        """
        Read how many bytes a response says that it has. Where that is no number, nobody
        can tell where it ends but by the connection's end.

        @param sizes: the values of C{Content-Length}.
        """
        if not sizes:
            return None
        if len(sizes) == 1 and sizes[0].isdigit():
            return int(sizes[0])
        self.persistent = 0
        return None

    def _endForTooMuch(self) -> None:
        """
        Give nobody what a response has more than it says, which would be read as the
        next one.
        """
        if not self._hasBody or not self.persistent:
            return  # nothing else is expected; or it is the end anyway
        self.persistent = 0
        reason = "its page has more bytes than it says"
        logCutOff(self.logLimit, self.getPeer(), reason, None)
        # Not now: it is in the midst of the response.
        self._clock.callLater(0, self._stopAndLose)

    def _stopAndLose(self) -> None:
        if self._done is not None:
            self.stopProducing()  # type: ignore[no-untyped-call]
            self.loseConnection()

    def requestDone(self, request: Any) -> None:
        """
        A response is complete, as far as the resource is concerned. One that isn't what
        it says ends the connection, so that the next one isn't taken for the rest.
        """
        missing, self._missing = self._missing, None
        if missing:
            self.persistent = 0
            self.cutOff("its page has fewer bytes than it says", None)
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
        # It may have got enough again, or the connection be somebody else's.
        if self._output is not None and not output.blocked:
            super().resumeProducing()  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        if self._output is not None:
            self._output.whenEmpty(self._close)

    def _close(self) -> None:
        """
        End the connection once the client has read the rest, or the time for that is
        over. TLS clients needn't answer (RFC 8446 section 6.1), and some don't.
        """
        output, transport = self._output, self.transport
        super().loseConnection()  # type: ignore[no-untyped-call]
        endIdle(transport)
        if output is not None:
            output.watch(self._settings.send_timeout)

    def cutOff(self, reason: str, setting: str | None) -> None:
        """
        End a connection whose client, or whose response, takes too long.
        """
        transport: Any = self.transport
        self._stopOutput()
        logCutOff(self.logLimit, self.getPeer(), reason, setting)
        # Not now: it may be in the midst of a response.
        self._clock.callLater(0, transport.abortConnection)

    def _stopOutput(self) -> None:
        output, self._output = self._output, None
        if output is not None:
            output.stop()

    def timeoutConnection(self) -> None:
        """
        End a connection that nothing came on for a while, without a word in the log:
        that is how kept connections end.
        """
        self.loseConnection()

    def setLineMode(self, extra: bytes = b"") -> Any:
        super().setLineMode()  # type: ignore[no-untyped-call]
        output = self._output
        if output is None or output.isEmpty:
            self._goOn()
            return
        # The next response isn't to wait behind this one, nor are requests to be
        # collected meanwhile: nothing more is read.
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
        Have the connection end with the response that is under way, or else with the
        next one.
        """
        self._ends = True
        if self.busy:
            self.persistent = 0
            for request in self.requests:
                request.responseHeaders.setRawHeaders(b"connection", [b"close"])

    def checkPersistence(self, request: Any, version: bytes) -> Any:
        """
        Say whether another request may follow this one, and have the response say so.
        """
        if not self._ends and isPersistent(request, version):
            return True
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Take a response from a producer. Files come from pull producers, which Twisted
        would ask by the global reactor.
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
        Let go of the connection, so that it can become a WebSocket's.
        """
        self._done = None
        self._stopOutput()
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        transport: Any = self.transport
        transport.unregisterProducer()

    def lose(self, reason: Failure) -> None:
        """
        Pass on that the connection is gone.
        """
        self._done = None
        self._stopOutput()
        self.unregisterProducer()
        self.connectionLost(reason)  # type: ignore[no-untyped-call]


def _withSize(head: RequestHead, size: int) -> bytes:
    """
    Write a request's head down as it is once its body is no more in chunks: RFC 9112
    section 7.1.3.

    @param size: of the body.
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
    Asks a pull producer for more, once in each turn of the reactor, unless the
    transport has enough. One that had nothing is asked less often, and not for ever: as
    Twisted's for a part of a file, when the file has become shorter.
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
        @param channel: ends the connection if the producer raises.
        @param seconds: that the producer may have nothing, 0 for any time.
        """
        self._producer: IPullProducer | None = producer
        self._channel: PageChannel | None = channel
        self._clock = clock
        self._seconds = seconds
        # Since when it has been asked in vain.
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
        The connection is gone.
        """
        producer = self._producer
        self.stop()
        if producer is not None:
            producer.stopProducing()

    def stop(self) -> None:
        """
        Ask no more.
        """
        self.pauseProducing()
        self._producer = self._channel = None

    def _pull(self) -> None:
        producer, channel = self._producer, self._channel
        assert producer is not None
        assert channel is not None
        # Before it is asked: that may be the last time, or more than can be sent.
        self._call = self._clock.callLater(0, self._pull)
        written = channel.written
        try:
            producer.resumeProducing()
        except BaseException:
            # It is asked no more, and told so: this is the end of the response, and of
            # the connection, on which nobody could tell where it was to end.
            self._log.failure("a page could not be sent whole")
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
            reason = f"its page had nothing more for {self._seconds:g} seconds"
            channel.cutOff(reason, "send-timeout")
            return
        self._call = self._clock.callLater(_PAUSE, self._pull)
