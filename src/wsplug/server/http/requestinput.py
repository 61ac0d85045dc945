"""
The bytes that arrive during a plain HTTP request: its body, and later requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from wsplug.codec import RequestHead
from wsplug.errors import HandshakeRefused
from wsplug.server.context import ConnectionContext
from wsplug.server.http.bodies import BodyReader, outOfMemory

__all__ = ["InputOwner", "RequestInput"]

_AHEAD: Final = 16 * 1024
"""
Bytes of later requests that are kept during a response. Then reading pauses.
"""

_UNCOUNTED: Final = 4096
"""
Bytes of later requests that aren't worth counting for C{max-incomplete-total}.
"""


class InputOwner(Protocol):
    """
    Answers the requests.
    """

    def bodyReceived(self, content: bytes) -> None:
        """The body that L{RequestInput.awaitBody} waits for is complete."""

    def runLater(self, step: Callable[[], object]) -> None:
        """Take a step after an asynchronous wait."""

    def refuse(self, refusal: HandshakeRefused) -> None:
        """Answer with an error, end the connection, and call L{RequestInput.stop}."""

    def end(self) -> None:
        """End the connection with the current response."""


class RequestInput:
    """
    Keeps what arrives on one connection while a request is being answered, within the
    memory budget, and reads the body from it.

    @ivar isUnread: whether the current request has a body that nothing has read.
    """

    __slots__ = (
        "_ahead",
        "_body",
        "_context",
        "_counted",
        "_isPaused",
        "_owner",
        "_size",
        "_transport",
        "_yields",
        "isUnread",
    )

    def __init__(
        self, owner: InputOwner, context: ConnectionContext, transport: Any
    ) -> None:
        """
        @param owner: is referred to until L{stop}.
        """
        self._owner: InputOwner | None = owner
        self._context = context
        self._transport = transport
        # The bytes behind the head, and how many of them the memory budget knows of.
        self._ahead = b""
        self._counted = 0
        self._isPaused = False
        self._size: int | None = 0
        self.isUnread = False
        self._body: BodyReader | None = None
        # Whether the body waits for its turn.
        self._yields = False

    def begin(self, head: RequestHead, rest: bytes) -> None:
        """
        Begin with a request.

        @param rest: the bytes behind its head.
        """
        self._ahead = rest
        self._size = head.body_size
        self.isUnread = head.body_size != 0

    def take(self, data: bytes) -> bool:
        """
        Keep bytes that arrive during a request.

        @return: whether the owner has to call L{readBody}.
        """
        self._ahead = self._ahead + data if self._ahead else data
        if self._body is not None and not self._yields:
            return True
        if len(self._ahead) > _AHEAD:
            self.pause()
        self.count()
        return False

    def takeRest(self) -> bytes:
        """
        Return the bytes behind the request, which is done.
        """
        ahead, self._ahead = self._ahead, b""
        if self._counted:
            self.count()
        return ahead

    @property
    def hasMore(self) -> bool:
        """
        Whether there are bytes behind the request.
        """
        return bool(self._ahead)

    def count(self) -> None:
        """
        Tell the memory budget how many bytes wait for the end of the current request.
        """
        size = len(self._ahead)
        if size <= _UNCOUNTED or self._owner is None:
            size = 0
        if size != self._counted:
            self._counted = size
            self._context.incompleteMessages.reserve(self, size)

    def shed(self, used: int) -> None:
        """
        Release the bytes that wait: the budget is exceeded, and these are its largest
        part. If they are a body, the request is refused. If they are later requests,
        the connection ends with the current response.
        """
        self._ahead = b""
        self.count()
        owner = self._owner
        if owner is None:
            return
        if self.awaitsBody:
            owner.refuse(outOfMemory("incomplete messages"))
        else:
            owner.end()

    # Bodies

    @property
    def awaitsBody(self) -> bool:
        """
        Whether a part of the current request's body is still to come.
        """
        if self._body is not None:
            return True
        size = self._size
        return self.isUnread and (size is None or len(self._ahead) < size)

    def popBody(self, head: RequestHead) -> bytes | None:
        """
        Take the body off the bytes that are here. Nearly every body arrives with its
        head.

        @return: C{None} if the body is still to come. A client that sends C{Expect} may
            leave it out.
        """
        size, ahead = head.body_size, self._ahead
        if size is None or len(ahead) < size or head.all(b"expect"):
            return None
        self.isUnread = False
        self._ahead = ahead[size:]
        return ahead[:size]

    def awaitBody(self, limit: int) -> None:
        """
        Read the body, and call C{bodyReceived} once it is complete.

        @param limit: the limit on the body, in bytes.
        """
        context, owner = self._context, self._owner
        assert owner is not None
        self.isUnread = False
        self._body = BodyReader(
            self._size,
            limit,
            deadlines=context.deadlines,
            seconds=context.settings.open_timeout,
            budget=context.incompleteMessages,
            refuse=owner.refuse,
        )
        self.readBody()

    def readBody(self) -> None:
        """
        Read as much of the body as is here.
        """
        body = self._body
        assert body is not None
        data, self._ahead = self._ahead, b""
        content = body.feed(data)
        if self._body is None:
            return  # refused
        self._ahead = body.rest
        if content is None and self._ahead:
            # Many small chunks are as much work as large ones.
            self._yields = True
            self.pause()
            self._context.scheduler.add(self)
            return
        if content is not None:
            self._body = None
        self.resumeReading()
        if content is not None and self._owner is not None:
            self._owner.bodyReceived(content)

    def resume(self) -> None:
        """
        Go on with the body. The scheduler calls it after other connections had their
        turn.
        """
        self._yields = False
        if self._owner is not None and self._body is not None:
            self._owner.runLater(self.readBody)

    # Reading

    def pause(self) -> None:
        """
        Read nothing from the network, until L{resumeReading}.
        """
        if not self._isPaused:
            self._isPaused = True
            self._transport.pauseProducing()

    def resumeReading(self) -> None:
        """
        Read from the network again, if L{pause} was called.
        """
        if self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()

    # Ends

    def requestDone(self) -> None:
        """
        The current request is answered, or is over. Its body isn't read any further.
        """
        self.isUnread = False
        if self._body is not None:
            body, self._body = self._body, None
            body.stop()

    def stop(self) -> None:
        """
        Release the owner: the connection is over, or has another user.
        """
        self._owner = None
        self.count()
