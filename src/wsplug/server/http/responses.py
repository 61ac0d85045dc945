"""
The responses that wsplug itself sends on a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from twisted.internet.interfaces import IReactorTime

from wsplug.clocks import timeOfDay
from wsplug.codec import format_date
from wsplug.codec.httpresponse import encode_response_head, has_body
from wsplug.plain import FileBody, Response
from wsplug.server.closing import endIdle
from wsplug.server.context import ConnectionContext
from wsplug.server.http.pageoutput import PageOutput
from wsplug.server.http.sending import PIECE, CutOff, ResponseSender

__all__ = ["ResponseOutput", "encodeResponse"]

# The date is formatted once a second.
_dateOf = lru_cache(4)(format_date)


def encodeResponse(
    clock: IReactorTime,
    method: bytes,
    response: Response,
    headers: Sequence[tuple[bytes, bytes]],
    closes: bool,
) -> tuple[bytes, FileBody | None]:
    """
    Encode a response as bytes. A small file is read and closed.

    @param clock: gives the date.
    @param method: the request's method.
    @param headers: are added unless the response sets them.
    @param closes: whether the connection ends with the response.
    @return: the bytes, and the file that comes after them. The caller sends the file if
        the response has a body, and closes it.
    """
    sent = response.headers
    if headers:
        # A copy: a resource may answer with the same response again.
        present = {name.lower() for name, _ in sent}
        added = [each for each in headers if each[0].lower() not in present]
        sent = sent + added
    hasBody = has_body(response.status, method)
    body = _readSmall(response.body) if hasBody else response.body
    data = encode_response_head(
        response.status,
        sent,
        len(body) if isinstance(body, bytes) else body.size,
        _dateOf(int(timeOfDay(clock))),
        closes,
    )
    if isinstance(body, FileBody):
        return data, body
    return (data + body if hasBody else data), None


class ResponseOutput:
    """
    Owns the transport while wsplug itself sends responses, and ends the connection once
    the client has read them.
    """

    def __init__(
        self,
        context: ConnectionContext,
        transport: Any,
    ) -> None:
        self._context = context
        self._transport = transport
        self._sender: ResponseSender | None = None
        self._writtenBefore = 0

    @property
    def isEmpty(self) -> bool:
        """
        Whether the transport has everything, and room for more.
        """
        return self._sender is None or self._sender.isEmpty

    def isStalled(self) -> bool:
        """
        Return whether nothing of a response has come since the last call, and nothing
        of it waits for the client.
        """
        sender = self._sender
        if sender is None:
            return True
        before, self._writtenBefore = self._writtenBefore, sender.written
        return sender.written == before and sender.isEmpty

    def open(self, cutOff: CutOff) -> ResponseSender:
        """
        Take the transport, unless that is done already.

        @param cutOff: is called with a reason, and the option behind it, when the
            client or the response takes too long. It calls L{stop}.
        """
        if self._sender is None:
            context = self._context
            output = PageOutput(
                self._transport,
                context.deadlines,
                context.settings.send_timeout,
                context.sendBuffers,
                cutOff,
            )
            self._sender = ResponseSender(
                self._transport, output, context.clock.callLater, cutOff
            )
        return self._sender

    def whenEmpty(self, call: Callable[[], object]) -> None:
        """
        Call a function once L{isEmpty} is true.
        """
        if self._sender is None:
            call()
        else:
            self._sender.whenEmpty(call)

    def close(self) -> None:
        """
        End the connection once the client has read everything.
        """
        if self._sender is None:
            endIdle(self._transport)
        else:
            self._sender.whenEmpty(self._closeNow)

    def _closeNow(self) -> None:
        """
        End the connection once the client has read the rest, or C{send-timeout} has
        passed. TLS clients need not answer (RFC 8446 section 6.1), and some don't.
        """
        sender = self._sender
        if sender is not None:
            sender.letGo()
            endIdle(self._transport)
            sender.watch(self._context.settings.send_timeout)

    def stop(self) -> None:
        """
        Send nothing more.
        """
        if self._sender is not None:
            self._sender.stop()

    def lose(self) -> None:
        """
        The connection is gone.
        """
        self.stop()
        self._sender = None

    def release(self) -> None:
        """
        Give the transport back.
        """
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.stop()
            sender.letGo()


def _readSmall(body: bytes | FileBody) -> bytes | FileBody:
    """
    Read a file that is sent in one piece. The file may be shorter than it was.
    """
    if isinstance(body, bytes) or body.size > PIECE:
        return body
    try:
        return body.read(body.size)
    finally:
        body.close()
