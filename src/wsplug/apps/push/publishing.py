"""
C{POST publish}: publications over HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET, Raw, UnsetType
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from wsplug.apps.push.application import Published, Push
from wsplug.apps.push.names import checkName
from wsplug.apps.push.tokens import Tokens
from wsplug.errors import BrokerError, PublicationTooLarge
from wsplug.failures import Failures
from wsplug.jsonmessages import ErrorMessage, RequestRefused, WirePosition, read
from wsplug.options import boolean

__all__ = ["PublishResource"]


class _Publication(msgspec.Struct, forbid_unknown_fields=True):
    """
    What is to be published, as JSON has it.
    """

    data: Raw
    channel: str | UnsetType = UNSET
    channels: list[str] | UnsetType = UNSET
    store: bool = True


_fromPublishers: Final = msgspec.json.Decoder(_Publication | list[_Publication])


class _Draft(NamedTuple):
    """
    What is to be published in one channel.
    """

    channel: str
    data: bytes
    store: bool


class _Result(msgspec.Struct, omit_defaults=True):
    """
    What has become of it.

    @ivar subscribers: how many of this server's connections it went to.
    @ivar position: where it is, if it was stored.
    @ivar error: why it wasn't published.
    """

    channel: str
    subscribers: int | UnsetType = UNSET
    position: WirePosition | UnsetType = UNSET
    error: str | UnsetType = UNSET


class _Answer(msgspec.Struct):
    """
    All that was to be published was.
    """

    published: list[_Result]


class _Failed(msgspec.Struct, tag_field="type", tag="error"):
    """
    Some of it wasn't.
    """

    code: str
    message: str
    published: list[_Result]


_STATUS: Final = {
    "unauthorized": 401,
    "off": 403,
    "method": 405,
    "too-large": 413,
    "unsupported": 415,
    "rate-limited": 429,
    "unavailable": 503,
}
"""
The HTTP status for what is wrong with a request: 400 unless it is here.
"""


class PublishResource(Resource):
    """
    Takes publications from whoever has a token.
    """

    _log = Logger()

    def __init__(
        self, push: Push, tokens: Tokens, maxPublications: int, failures: Failures
    ) -> None:
        """
        @param tokens: those that are right; without any, nothing is published.
        @param maxPublications: how many may be in a request.
        @param failures: counts wrong tokens.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._push = push
        self._tokens = tokens
        self._maxPublications = maxPublications
        self._failures = failures

    def getChild(self, path: bytes, request: Request) -> IResource:
        return notFound()

    def render(self, request: Request) -> Any:
        try:
            self._check(request)
            drafts = self._read(request)
        except RequestRefused as error:
            status = _STATUS.get(error.code, 400)
            answer = ErrorMessage(
                error.code, error.message, retry_after=error.retryAfter
            )
            return _prepare(request, status, answer)
        lost: list[Failure] = []
        finished: Deferred[None] = request.notifyFinish()
        finished.addErrback(lost.append)
        publishing = Deferred.fromCoroutine(self._publish(drafts))
        publishing.addErrback(self._failed)

        def respond(answer: _Answer | _Failed) -> None:
            if not lost:
                status = 200 if isinstance(answer, _Answer) else _STATUS[answer.code]
                request.write(_prepare(request, status, answer))
                request.finish()

        publishing.addCallback(respond)
        return NOT_DONE_YET

    # Reading

    def _check(self, request: Request) -> None:
        """
        Refuse who may not publish.
        """
        if request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            raise RequestRefused("method", "publications are sent by POST")
        if not self._tokens:
            raise RequestRefused(
                "off",
                "publishing over HTTP is off; start the server with token-file=PATH "
                "(or token=TOKEN) to switch it on",
            )
        values: Any = request.requestHeaders.getRawHeaders(b"Authorization", [])
        if not values or not self._isRight(request, values):
            request.setHeader(b"WWW-Authenticate", b'Bearer realm="publish"')
            problem = "this token is wrong" if values else "there is no token"
            raise RequestRefused(
                "unauthorized", f"{problem}; send Authorization: Bearer TOKEN"
            )

    def _isRight(self, request: Any, values: Sequence[bytes]) -> bool:
        """
        Judge a token, unless too many from there were wrong.

        @param values: of the C{Authorization} headers.
        """
        places = self._failures.placesOf(request.getClientAddress())
        excess = self._failures.count(places)
        if excess is not None:
            wait = math.ceil(excess.wait)
            request.setHeader(b"Retry-After", b"%d" % wait)
            raise RequestRefused(
                "rate-limited",
                f"too many wrong tokens came from here ({excess.setting})",
                retryAfter=wait,
            )
        isRight = len(values) == 1 and self._tokens.accept(values[0])
        if isRight:
            self._failures.discount(places)
        return isRight

    def _read(self, request: Request) -> list[_Draft]:
        content: Any = request.content
        body: bytes = content.read()
        header = request.getHeader(b"Content-Type") or b""
        kind = header.partition(b";")[0].strip().lower()
        if kind == b"application/json" or kind.endswith(b"+json"):
            drafts = self._readJSON(body)
        else:
            drafts = self._readBytes(request, body, kind)
        if len(drafts) > self._maxPublications:
            raise RequestRefused(
                "too-many",
                f"{len(drafts)} publications in one request; {self._maxPublications} "
                "may be, counted in each channel that they are for",
            )
        longest = self._push.limits.maxChannelLength
        for draft in drafts:
            checkName(draft.channel, longest)
        return drafts

    def _readJSON(self, body: bytes) -> list[_Draft]:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RequestRefused("not-json", f"this is no UTF-8: {error}") from None
        publications = read(_fromPublishers, text)
        if isinstance(publications, _Publication):
            publications = [publications]
        return [
            _Draft(channel, bytes(publication.data), publication.store)
            for publication in publications
            for channel in _channelsOf(publication)
        ]

    def _readBytes(self, request: Request, body: bytes, kind: bytes) -> list[_Draft]:
        """
        Read a body that is the publication.
        """
        # Not from request.args: there may be a part of the body in it.
        query = request.uri.partition(b"?")[2].decode("ascii", "replace")
        arguments = parse_qs(query, keep_blank_values=True)
        channels = dict.fromkeys(arguments.get("channel", ()))
        if not channels:
            shown = kind.decode("ascii", "replace") or "no Content-Type"
            raise RequestRefused(
                "unsupported",
                "name a channel, as in publish?channel=news, or send JSON with "
                f"Content-Type: application/json (this has {shown})",
            )
        try:
            store = all(boolean(value) for value in arguments.get("store", ()))
        except ValueError as error:
            raise RequestRefused("invalid", f"store: {error}") from None
        return [_Draft(channel, body, store) for channel in channels]

    # Publishing

    async def _publish(self, drafts: Sequence[_Draft]) -> _Answer | _Failed:
        # All are begun before the first is waited for: a broker that writes them down
        # can do so at once.
        begun = [self._push.publish(*draft) for draft in drafts]
        results = []
        tooLarge = 0
        for draft, publishing in zip(drafts, begun, strict=True):
            try:
                published = await publishing
            except BrokerError as error:
                tooLarge += isinstance(error, PublicationTooLarge)
                results.append(_Result(draft.channel, error=str(error)))
            else:
                results.append(_describe(draft.channel, published))
        failed = sum(result.error is not UNSET for result in results)
        if not failed:
            return _Answer(results)
        return _Failed(
            "too-large" if failed == tooLarge else "unavailable",
            f"{failed} of {len(results)} publications failed; 'published' says which",
            results,
        )

    def _failed(self, failure: Failure) -> _Failed:
        self._log.failure("publishing failed", failure)
        return _Failed("unavailable", "publishing failed; the server's log has why", [])


def _describe(channel: str, published: Published) -> _Result:
    result = _Result(channel, published.subscribers)
    if published.publication.isStored:
        result.position = WirePosition.of(published.publication.position)
    return result


def _channelsOf(publication: _Publication) -> list[str]:
    one, several = publication.channel, publication.channels
    if one is not UNSET and several is UNSET:
        return [one]
    if several is not UNSET and one is UNSET and several:
        return list(dict.fromkeys(several))
    raise RequestRefused("invalid", "a publication has either channel or channels")


def _prepare(request: Request, status: int, answer: msgspec.Struct) -> bytes:
    """
    Make a response.

    @return: its body.
    """
    body = msgspec.json.encode(answer) + b"\n"
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.setHeader(b"Cache-Control", b"no-store")
    return b"" if request.method == b"HEAD" else body
