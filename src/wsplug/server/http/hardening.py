"""
Protects C{twisted.web} from hostile requests: from headers that its code fails at, from
forms, and from its handling of C{HEAD}.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from time import time
from typing import Any, Final
from weakref import ref

from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.error import UnsupportedMethod
from twisted.web.http import stringToDatetime
from twisted.web.resource import IResource

from wsplug.codec import read_date, read_range
from wsplug.errors import HandshakeRefused
from wsplug.guard.loglimit import LogLimit
from wsplug.server.http.forms import readForm

__all__ = [
    "FAILED",
    "cleanHeaders",
    "guardContent",
    "guardFailures",
    "guardForms",
    "guardHead",
]

FAILED: Final = "failed pages"
"""
The category of these lines for the log limit.
"""

_KEEPS_CONTENT: Final = (http.Request.gotLength, server.Request.gotLength)
"""
The methods in which Twisted's own requests create C{content} for the body.
"""


def cleanHeaders(request: Any) -> None:
    """
    Remove the headers of a C{twisted.web} request that its code may fail at. The
    request is valid without each of them.
    """
    headers = request.requestHeaders
    # The body has arrived already, so the client isn't waiting for 100 Continue.
    headers.removeHeader(b"expect")
    ranges = headers.getRawHeaders(b"range", [])
    # Whether a range is supported doesn't depend on the file's size. If-Range isn't
    # (RFC 9110 section 13.1.5).
    if ranges and (read_range(ranges, 1) is None or headers.hasHeader(b"if-range")):
        headers.removeHeader(b"range")
    dates = headers.getRawHeaders(b"if-modified-since", [])
    if dates and (read_date(dates, time()) is None or not _isDate(dates[0])):
        # Invalid dates are ignored (RFC 9110 section 13.1.3).
        headers.removeHeader(b"if-modified-since")


def _isDate(value: bytes) -> bool:
    try:
        stringToDatetime(value.partition(b";")[0])
    except Exception:
        # It raises errors of many kinds.
        return False
    return True


def _override(request: Any, name: str, method: Callable[..., Any]) -> None:
    """
    Replace a method of one request.

    @param method: takes the request and the method's arguments.
    """
    # A weak reference, so that the request is freed without the garbage collector.
    served = ref(request)
    setattr(request, name, lambda *arguments: method(served(), *arguments))


class _Bodiless:
    """
    Answers C{HEAD} like C{GET}, without the body. Twisted itself would log the whole
    request, including tokens in its query.
    """

    def __init__(self, resource: IResource) -> None:
        self._resource = resource

    def render(self, request: Any) -> Any:
        try:
            body = self._resource.render(request)
        except UnsupportedMethod as error:
            if b"GET" not in error.allowedMethods:
                request.setResponseCode(405)
                request.setHeader(b"Allow", b", ".join(error.allowedMethods))
                return b""
            request.method = b"GET"
            try:
                body = self._resource.render(request)
            finally:
                request.method = b"HEAD"
        if isinstance(body, bytes) and body:
            request.setHeader(b"Content-Length", b"%d" % len(body))
            return b""
        return body


def guardHead(request: Any) -> None:
    """
    Answer a C{HEAD} request without a body, whatever the resource returns, and without
    log lines other than the site's.

    @param request: a request of C{twisted.web} whose method isn't known yet.
    """
    render = getattr(type(request), "render", None)
    if render is None:
        return  # it has no resources

    def renderBodiless(request: Any, resource: IResource) -> Any:
        if request.method == b"HEAD":
            return render(request, _Bodiless(resource))
        return render(request, resource)

    _override(request, "render", renderBodiless)


def guardContent(request: Any) -> None:
    """
    Keep a request's body in memory. C{twisted.web} would write one of 100,000 bytes to
    a temporary file.

    @param request: a request that is about to be received. It isn't changed if its
        class has its own C{gotLength}, or its site its own C{getContentFile}.
    """
    if hasattr(request.channel.site, "getContentFile"):
        return
    if getattr(type(request), "gotLength", None) not in _KEEPS_CONTENT:
        return
    _override(request, "gotLength", _createContent)


def _createContent(request: Any, length: int | None) -> None:
    request.content = BytesIO()


def guardFailures(request: Any, limit: LogLimit) -> None:
    """
    Count the logged failures of an asynchronous resource as lines about the client.

    @param request: a request that is about to be received.
    """
    fail = getattr(type(request), "processingFailed", None)
    if fail is None:
        return  # it has no resources

    def processingFailed(request: Any, reason: Failure) -> Any:
        with limit.blaming(request.channel.getPeer(), FAILED):
            return fail(request, reason)

    _override(request, "processingFailed", processingFailed)


def guardForms(
    request: Any, parse: bool, refuse: Callable[[HandshakeRefused], object]
) -> None:
    """
    Parse a request's body as a form only if the resource wants it, and not with
    C{twisted.web}'s parser. That one can take seconds for a hostile body of 100 KB, and
    raises errors for other bodies.

    @param request: a request that is about to be received.
    @param parse: whether the resource reads forms from C{request.args}. In any case,
        the body is in C{request.content}.
    @param refuse: called with the refusal if the form is malformed. It has to answer
        and to close the connection.
    """
    kind = type(request)

    def requestReceived(command: bytes, path: bytes, version: bytes) -> None:
        headers = request.requestHeaders
        types = headers.getRawHeaders(b"content-type")
        if types is not None:
            # Without it, Twisted parses no form.
            headers.removeHeader(b"content-type")

        def process() -> None:
            # Break the reference cycle, so that the request is freed at once.
            del request.process, request.requestReceived
            if types is not None:
                headers.setRawHeaders(b"content-type", types)
                if parse and command == b"POST":
                    try:
                        _addForm(request, types[0])
                    except ValueError as error:
                        request.content.close()
                        refuse(HandshakeRefused(400, str(error)))
                        return
            request.process()

        if "process" not in vars(request):
            request.process = process
        kind.requestReceived(request, command, path, version)

    request.requestReceived = requestReceived


def _addForm(request: Any, contentType: bytes) -> None:
    """
    Add the fields of a form to a request's arguments.

    @raise ValueError: the form is malformed.
    """
    # Sites of Twisted 26 can turn parsing off, without a public way to ask for it.
    if getattr(request, "_parsePOSTFormSubmission", True):
        form = readForm(contentType, request.content.read())
        request.content.seek(0)
        request.args.update(form)
