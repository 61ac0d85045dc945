"""
Sends the server's own responses after the waiting bytes, and files in pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.guard.loglimit import LogLimit
from wsplug.networks import nameOfAddress
from wsplug.plain import FileBody
from wsplug.server.http.pageoutput import PageOutput

__all__ = ["PIECE", "CutOff", "ResponseSender", "logCutOff"]

_log = Logger(__name__)

PIECE: Final = 64 * 1024
"""
The bytes of a file that are read in one iteration of the reactor.
"""


class CutOff(Protocol):
    """
    Ends a connection in the middle of a response.
    """

    def __call__(
        self, reason: str, setting: str | None, failure: Failure | None = None, /
    ) -> object:
        """
        @param reason: for the log.
        @param setting: the setting behind the reason, if any.
        @param failure: the exception behind it, if that shows a bug.
        """


def logCutOff(
    limit: LogLimit,
    client: IAddress,
    reason: str,
    setting: str | None,
    failure: Failure | None = None,
) -> None:
    """
    Log that a client's connection was closed in the middle of a response.

    @param limit: says whether the line is logged.
    @param setting: the setting behind the reason, if any.
    @param failure: the exception behind it, which is logged with its traceback.
    """
    if limit.allows(client, "cut off", setting):
        if failure is not None:
            _log.failure("a file could not be sent completely", failure)
        _log.info(
            "{peer} cut off: {reason}",
            peer=nameOfAddress(client),
            reason=reason,
            setting=setting,
        )


@implementer(IPushProducer)
class ResponseSender:
    """
    Sends the responses of one connection, one after another.

    @ivar written: the bytes of responses so far.
    """

    def __init__(
        self,
        transport: Any,
        output: PageOutput,
        callLater: Callable[..., IDelayedCall],
        cutOff: CutOff,
    ) -> None:
        """
        @param output: the waiting bytes. L{stop} stops it, too.
        @param cutOff: called with the reason and the setting behind it, if the
            connection can't continue. It has to call L{stop}.
        """
        self._transport = transport
        self._output = output
        self._callLater = callLater
        self._cutOff: CutOff | None = cutOff
        self._call: IDelayedCall | None = None
        self._file: FileBody | None = None
        self._missing = 0
        self._whenSent: Callable[[], object] | None = None
        self.written = 0
        transport.registerProducer(self, True)

    @property
    def isEmpty(self) -> bool:
        """
        Whether the transport has all bytes, and room for more.
        """
        return self._file is None and self._output.isEmpty

    def send(self, data: bytes) -> None:
        """
        Send a complete response, or its head in front of a file.
        """
        self.written += len(data)
        self._output.write(data)

    def sendFile(self, body: FileBody, whenSent: Callable[[], object]) -> None:
        """
        Send a file and close it.

        @param whenSent: called when the whole file was written. If it can't be sent
            completely, C{cutOff} is called instead, so that the client notices it.
        """
        self._file, self._missing, self._whenSent = body, body.size, whenSent
        self._pump()

    def _pump(self) -> None:
        self._call = None
        body = self._file
        if body is None or self._output.blocked:
            return
        try:
            data = body.read(min(self._missing, PIECE))
        except OSError as error:
            self._fail(f"the file could not be read: {error.strerror or error}")
            return
        except BaseException:
            self._fail("the file could not be read", Failure())
            return
        if not data:
            self._fail("the file became shorter")
            return
        self._missing -= len(data)
        if self._missing:
            # Other connections come first.
            self._call = self._callLater(0, self._pump)
            self.send(data)
            return
        whenSent = self._whenSent
        self._closeFile()
        self.send(data)
        # Sending may have stopped this.
        if whenSent is not None and self._cutOff is not None:
            whenSent()

    def _fail(self, reason: str, failure: Failure | None = None) -> None:
        if self._cutOff is not None:
            self._cutOff(reason, None, failure)

    def _closeFile(self) -> None:
        body, self._file, self._whenSent = self._file, None, None
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if body is not None:
            body.close()

    def whenEmpty(self, call: Callable[[], object]) -> None:
        """
        Call a function as soon as L{isEmpty} is true, which can be at once.
        """
        self._output.whenEmpty(call)

    def watch(self, seconds: float) -> None:
        """
        Cut the connection off unless it is lost within the given seconds.
        """
        self._output.watch(seconds)

    def letGo(self) -> None:
        """
        Release the transport, for another user or for closing. Waiting bytes are still
        sent.
        """
        self._transport.unregisterProducer()

    def stop(self) -> None:
        """
        Send nothing more: the connection is lost or being closed.
        """
        self._cutOff = None
        self._closeFile()
        self._output.stop()

    # Called by the transport

    def pauseProducing(self) -> None:
        self._output.pause()

    def resumeProducing(self) -> None:
        self._output.resume()
        if self._file is not None and self._call is None and not self._output.blocked:
            self._call = self._callLater(0, self._pump)

    def stopProducing(self) -> None:
        """
        Do nothing: the protocol is told that the connection is lost.
        """
