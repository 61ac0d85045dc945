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
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.apps.push.feeds import Feeds, Published
from wsplug.apps.push.names import checkName
from wsplug.apps.push.tokens import Tokens
from wsplug.errors import BrokerError, PublicationTooLarge
from wsplug.failures import Failures
from wsplug.interfaces import IPlainRequest
from wsplug.jsonmessages import ErrorMessage, RequestRefused, WirePosition, read
from wsplug.options import boolean
from wsplug.plain import PlainResource, Response

__all__ = ["PublishResource"]


class _Publication(msgspec.Struct, forbid_unknown_fields=True):
    """
    The JSON of a request to publish.
    """

    data: Raw
    channel: str | UnsetType = UNSET
    channels: list[str] | UnsetType = UNSET
    store: bool = True


_fromPublishers: Final = msgspec.json.Decoder(_Publication | list[_Publication])


class _Draft(NamedTuple):
    """
    A publication for one channel.
    """

    channel: str
    data: bytes
    store: bool


class _Result(msgspec.Struct, omit_defaults=True):
    """
    What has become of it.

    @ivar subscribers: how many of this server's connections it went to.
    @ivar position: its position in the channel, if it was stored.
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


class PublishResource(PlainResource):
    """
    Takes publications from whoever has a token.

    @ivar maxBodySize: bytes that the body of a request may have.
    """

    _log = Logger()

    def __init__(
        self,
        feeds: Feeds,
        tokens: Tokens,
        maxBodySize: int,
        maxPublications: int,
        failures: Failures,
    ) -> None:
        """
        @param tokens: those that are right; without any, nothing is published.
        @param maxPublications: how many may be in a request.
        @param failures: counts wrong tokens.
        """
        self.maxBodySize = maxBodySize
        self._feeds = feeds
        self._tokens = tokens
        self._maxPublications = maxPublications
        self._failures = failures

    def judge(self, request: IPlainRequest) -> Response | None:
        headers: list[tuple[bytes, bytes]] = []
        try:
            self._check(request, headers)
        except RequestRefused as error:
            return _refuse(error, headers)
        return None

    def respond(self, request: IPlainRequest) -> Response | Deferred[Response]:
        try:
            drafts = self._read(request)
        except RequestRefused as error:
            return _refuse(error)
        # All are begun before the first is waited for: a broker that writes them down
        # can do so at once.
        begun = [self._feeds.publish(*draft) for draft in drafts]
        outcomes: list[Published | Failure] = []
        for publishing in begun:
            if not publishing.called or publishing.paused:
                break
            publishing.addBoth(outcomes.append)
        else:
            # As with nearly every broker, there is nothing to wait for.
            return self._tell(drafts, outcomes)
        del begun[: len(outcomes)]
        done: list[Any] = [(True, each) for each in outcomes]
        waiting: Deferred[Any] = DeferredList(begun, consumeErrors=True)
        waiting.addCallback(lambda ends: [*done, *ends])
        waiting.addCallback(lambda ends: self._tell(drafts, [end for _, end in ends]))
        return waiting

    # Reading

    def _check(
        self, request: IPlainRequest, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """
        Refuse who may not publish.

        @param headers: gets those that go with the refusal.
        """
        if request.method != b"POST":
            headers.append((b"Allow", b"POST"))
            raise RequestRefused("method", "publications are sent by POST")
        if not self._tokens:
            raise RequestRefused(
                "off",
                "publishing over HTTP is off; start the server with token-file=PATH "
                "(or token=TOKEN) to switch it on",
            )
        values = request.getHeaders(b"authorization")
        if not values or not self._isRight(request, values, headers):
            headers.append((b"WWW-Authenticate", b'Bearer realm="publish"'))
            problem = "this token is wrong" if values else "there is no token"
            raise RequestRefused(
                "unauthorized", f"{problem}; send Authorization: Bearer TOKEN"
            )

    def _isRight(
        self,
        request: IPlainRequest,
        values: Sequence[bytes],
        headers: list[tuple[bytes, bytes]],
    ) -> bool:
        """
        Judge a token, unless too many from there were wrong.

        @param values: of the C{Authorization} headers.
        @param headers: gets those that go with a refusal.
        """
        counters = self._failures.countersOf(request.getClientAddress())
        excess = self._failures.count(counters)
        if excess is not None:
            wait = math.ceil(excess.wait)
            headers.append((b"Retry-After", b"%d" % wait))
            raise RequestRefused(
                "rate-limited",
                f"too many wrong tokens came from here ({excess.setting})",
                retryAfter=wait,
            )
        isRight = len(values) == 1 and self._tokens.accept(values[0])
        if isRight:
            self._failures.discount(counters)
        return isRight

    def _read(self, request: IPlainRequest) -> list[_Draft]:
        body = request.content
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
                "are allowed, and one for several channels counts for each",
            )
        longest = self._feeds.limits.maxChannelLength
        for draft in drafts:
            checkName(draft.channel, longest)
        return drafts

    def _readJSON(self, body: bytes) -> list[_Draft]:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RequestRefused("not-json", f"the body isn't UTF-8: {error}") from None
        publications = read(_fromPublishers, text)
        if isinstance(publications, _Publication):
            publications = [publications]
        return [
            _Draft(channel, bytes(publication.data), publication.store)
            for publication in publications
            for channel in _channelsOf(publication)
        ]

    def _readBytes(
        self, request: IPlainRequest, body: bytes, kind: bytes
    ) -> list[_Draft]:
        """
        Read a body that is the publication.
        """
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

    def _tell(
        self, drafts: Sequence[_Draft], outcomes: Sequence[Published | Failure]
    ) -> Response:
        """
        Answer with the results of publications.
        """
        results = []
        failed = tooLarge = 0
        for draft, outcome in zip(drafts, outcomes, strict=True):
            if not isinstance(outcome, Failure):
                results.append(_describe(draft.channel, outcome))
                continue
            error = outcome.value
            if not isinstance(error, BrokerError):
                self._log.failure("publishing failed", outcome)
                message = "publishing failed; the server's log has why"
                return _encode(503, _Failed("unavailable", message, []))
            failed += 1
            tooLarge += isinstance(error, PublicationTooLarge)
            results.append(_Result(draft.channel, error=str(error)))
        if not failed:
            return _encode(200, _Answer(results))
        code = "too-large" if failed == tooLarge else "unavailable"
        message = (
            f"{failed} of {len(results)} publications failed; 'published' says which"
        )
        return _encode(_STATUS[code], _Failed(code, message, results))


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


_HEADERS: Final = (
    (b"Content-Type", b"application/json"),
    (b"Cache-Control", b"no-store"),
)


def _encode(
    status: int,
    answer: msgspec.Struct,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Response:
    """
    Make a response.
    """
    body = msgspec.json.encode(answer) + b"\n"
    return Response(status, (*headers, *_HEADERS), body)


def _refuse(
    error: RequestRefused, headers: Sequence[tuple[bytes, bytes]] = ()
) -> Response:
    """
    Return the response to a request that is refused.
    """
    answer = ErrorMessage(error.code, error.message, retry_after=error.retryAfter)
    return _encode(_STATUS.get(error.code, 400), answer, headers)
