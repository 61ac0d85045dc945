"""
The answer of a resource: given at once, or later.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from wsplug.awaiting import LATER, toDeferred
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import Response
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.http.bodies import PendingBody

__all__ = ["PendingAnswer", "askResource"]


def askResource(
    resource: IPlainResource, request: IPlainRequest
) -> Response | Deferred[Response]:
    """
    Have a resource answer a request.

    @raise TypeError: its answer is of another type. A C{Deferred} fails with it.
    """
    answer = resource.respond(request)
    if isinstance(answer, LATER):
        return toDeferred(answer).addCallback(_checked)
    return _checked(answer)


def _checked(answer: object) -> Response:
    if isinstance(answer, Response):
        return answer
    kind = type(answer).__name__
    raise TypeError(f"a resource has to answer with a Response, not {kind}")


class PendingAnswer:
    """
    An answer that is still to come. The body of its request counts towards the memory
    budget until then.
    """

    __slots__ = ("_body", "_deadline", "_deadlines", "_missing")

    def __init__(
        self,
        context: ConnectionContext,
        content: bytes,
        missing: Callable[[], object],
    ) -> None:
        """
        @param content: the request's body.
        @param missing: is called when C{handler-timeout} has passed without an answer.
        """
        self._deadlines = context.deadlines
        self._missing = missing
        self._body = PendingBody(context.incompleteMessages, content)
        self._deadline: Deadline | None = None
        seconds = context.settings.handler_timeout
        if seconds:
            self._deadline = context.deadlines.set(seconds, self._timedOut)

    def arrived(self) -> None:
        """
        The answer is here.
        """
        self._deadlines.clear(self._deadline)
        self._deadline = None
        self._body.letGo()

    def _timedOut(self) -> None:
        """
        Stop waiting. The application isn't cancelled: it may have done a part of its
        work already.
        """
        self._deadline = None
        self._body.letGo()
        self._missing()
