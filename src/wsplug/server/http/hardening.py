"""
What of a request is kept from C{twisted.web}, whose own code for it isn't made for
hostile clients: some headers that it fails at, forms, and what it makes of C{HEAD}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final
from weakref import ref

from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.error import UnsupportedMethod
from twisted.web.http import stringToDatetime
from twisted.web.resource import IResource

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
    "isPersistent",
]

FAILED: Final = "failed pages"
"""
What the log limit counts such lines as.
"""

_RANGE: Final = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})?")
"""
The one kind of range that is served: one, from a first byte on (RFC 9110 section
14.1.2). A server may ignore any other (section 14.2), and the whole file is a right
answer to it.
"""


_KEEPS_CONTENT: Final = (http.Request.gotLength, server.Request.gotLength)
"""
What Twisted's own requests do when they learn how large a body is: they make something
to keep it in, C{content}.
"""


def cleanHeaders(request: Any) -> None:
    """
    Take away the headers of a C{twisted.web} request that its code may fail at. Each
    has a right meaning when it isn't there.
    """
    headers = request.requestHeaders
    # The body is there already: nobody waits to be told to send it.
    headers.removeHeader(b"expect")
    ranges = headers.getRawHeaders(b"range", [])
    if ranges and (
        len(ranges) > 1
        or not _isServedRange(ranges[0])
        # What it compares isn't compared here (RFC 9110 section 13.1.5).
        or headers.hasHeader(b"if-range")
    ):
        headers.removeHeader(b"range")
    dates = headers.getRawHeaders(b"if-modified-since", [])
    if dates and (len(dates) > 1 or not _isDate(dates[0])):
        # RFC 9110 section 13.1.3: one that is no date is ignored.
        headers.removeHeader(b"if-modified-since")


def _isServedRange(value: bytes) -> bool:
    found = _RANGE.fullmatch(value)
    if found is None:
        return False
    first, last = found.groups()
    return last is None or int(first) <= int(last)


def _isDate(value: bytes) -> bool:
    try:
        stringToDatetime(value.partition(b";")[0])
    except Exception:
        # It raises whatever its steps do.
        return False
    return True


def isPersistent(request: Any, version: bytes) -> bool:
    """
    Say whether another request may follow this one on its connection: RFC 9112 section
    9.3.

    @param request: one of C{twisted.web}.
    @param version: of HTTP, as in the request's first line.
    """
    options = b",".join(request.requestHeaders.getRawHeaders(b"connection", []))
    tokens = {token.strip(b" \t").lower() for token in options.split(b",")}
    return version == b"HTTP/1.1" and b"close" not in tokens


class _Bodiless:
    """
    A resource as C{HEAD} sees it: what it answers to C{GET}, without the body. Twisted
    would log the whole request for each, with its query and the tokens in it.
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
    Have a C{HEAD} request answered without a word in the log but the site's own, and
    without a body, whatever the resource has to say to it.

    @param request: one of C{twisted.web}, of which nobody knows the method yet.
    """
    render = getattr(type(request), "render", None)
    if render is None:
        return  # it has no resources
    # No reference back: what is served isn't to wait for the collector.
    served = ref(request)

    def renderBodiless(resource: IResource) -> Any:
        request: Any = served()
        if request.method == b"HEAD":
            return render(request, _Bodiless(resource))
        return render(request, resource)

    request.render = renderBodiless


def guardContent(request: Any) -> None:
    """
    Have a request's body kept in memory. C{twisted.web} would keep one of 100,000 bytes
    in a temporary file.

    @param request: is about to be received. One that does something of its own when it
        learns how large its body is, or whose site does, is left alone.
    """
    if hasattr(request.channel.site, "getContentFile"):
        return
    if getattr(type(request), "gotLength", None) not in _KEEPS_CONTENT:
        return
    # No reference back: what is served isn't to wait for the collector.
    served = ref(request)

    def gotLength(length: int | None) -> None:
        request: Any = served()
        request.content = BytesIO()

    request.gotLength = gotLength


def guardFailures(request: Any, limit: LogLimit) -> None:
    """
    Have the failures of a resource that isn't done at once counted as lines about the
    client.

    @param request: is about to be received.
    """
    fail = getattr(type(request), "processingFailed", None)
    if fail is None:
        return  # it has no resources
    # No reference back: what is served isn't to wait for the collector.
    served = ref(request)

    def processingFailed(reason: Failure) -> Any:
        request: Any = served()
        with limit.blaming(request.channel.getPeer(), FAILED):
            return fail(request, reason)

    request.processingFailed = processingFailed


def guardForms(
    request: Any, parse: bool, refuse: Callable[[HandshakeRefused], object]
) -> None:
    """
    Have a request's body parsed as a form only where somebody wants that, and not by
    C{twisted.web}: its parser takes seconds for what a hostile client makes of a
    hundred kilobytes, and raises for other bodies.

    @param request: is about to be received.
    @param parse: whether the resource reads forms from C{request.args}. Others have the
        body in C{request.content}.
    @param refuse: is called when it is no right form: to answer so, and to end the
        connection.
    """
    kind = type(request)

    def requestReceived(command: bytes, path: bytes, version: bytes) -> None:
        headers = request.requestHeaders
        types = headers.getRawHeaders(b"content-type")
        if types is not None:
            # It reads no form without one.
            headers.removeHeader(b"content-type")

        def process() -> None:
            # No reference back: what is served isn't to wait for the collector.
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

    @raise ValueError: it is a broken one.
    """
    # Sites of Twisted 26 can be told to parse none; there is no public way to ask.
    if getattr(request, "_parsePOSTFormSubmission", True):
        form = readForm(contentType, request.content.read())
        request.content.seek(0)
        request.args.update(form)
