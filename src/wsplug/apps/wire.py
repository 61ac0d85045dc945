"""
What the bundled applications' JSON has in common: how it is read, and what is said of
what can't be.

Each message is an object with a C{type}. One that asks for something may have a
C{request}, a number or a short text of the client's: the answer has the same.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Final, TypeVar

import msgspec

from wsplug.broker import Position
from wsplug.errors import BrokerError, PublicationTooLarge
from wsplug.jsontext import NotJSON, decodeJSON

__all__ = [
    "ErrorMessage",
    "RequestId",
    "RequestRefused",
    "WirePosition",
    "brokerRefused",
    "read",
    "refusal",
    "write",
]

RequestId = int | Annotated[str, msgspec.Meta(max_length=64)] | None
"""
What a client calls a request of its own.
"""


class WirePosition(msgspec.Struct, frozen=True):
    """
    A L{Position}, as clients have it.
    """

    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    epoch: Annotated[str, msgspec.Meta(max_length=64)]

    @classmethod
    def of(cls, position: Position) -> WirePosition:
        """
        Make one that can be sent.
        """
        return cls(position.offset, position.epoch)

    def position(self) -> Position:
        """
        Give what a broker understands.
        """
        return Position(self.offset, self.epoch)


class ErrorMessage(
    msgspec.Struct, tag_field="type", tag="error", omit_defaults=True, frozen=True
):
    """
    What a client is told that did something wrong. Its connection stays.
    """

    code: str
    message: str
    request: RequestId = None
    retry_after: float | None = None


class RequestRefused(Exception):
    """
    A client's message can't be read, or what it asks for can't be done.

    @ivar code: one word for programs: C{"too-long"}.
    @ivar message: what is wrong, for people.
    @ivar request: the client's name for its request.
    @ivar retryAfter: seconds after which it could be done, where that is known.
    """

    def __init__(
        self,
        code: str,
        message: str,
        request: RequestId = None,
        retryAfter: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request = request
        self.retryAfter = retryAfter


class _AnyRequest(msgspec.Struct):
    request: RequestId = None


_anyRequest: Final = msgspec.json.Decoder(_AnyRequest)
_encoder: Final = msgspec.json.Encoder()

_T = TypeVar("_T")


def read(decoder: msgspec.json.Decoder[_T], text: str) -> _T:
    """
    Read a client's message.

    @param decoder: of the messages that may come.
    @raise RequestRefused: it is none of them; it has the client's name for its request
        where one can be made out.
    """
    try:
        return _read(decoder, text)
    except RequestRefused as error:
        if error.request is None:
            error.request = _requestOf(text)
        raise


def _read(decoder: msgspec.json.Decoder[_T], text: str) -> _T:
    """
    Read a client's message.

    @param decoder: of the messages that may come.
    @raise RequestRefused: it is none of them.
    """
    try:
        return decodeJSON(decoder, text)
    except msgspec.ValidationError as error:
        problem = str(error)
    except NotJSON as error:
        raise RequestRefused("not-json", f"this is no JSON: {error}") from None
    try:
        request = _anyRequest.decode(text).request
    except msgspec.ValidationError:
        request = None
    raise RequestRefused(_codeOf(problem), _explain(problem), request)


def write(message: msgspec.Struct) -> str:
    """
    Make the text of a message.
    """
    return _encoder.encode(message).decode()


def refusal(error: RequestRefused, request: RequestId = None) -> str:
    """
    Make the answer to what was refused.

    @param request: the client's name for its request, where the error has none.
    """
    name = request if error.request is None else error.request
    return write(ErrorMessage(error.code, error.message, name, error.retryAfter))


def brokerRefused(error: BrokerError, request: RequestId = None) -> RequestRefused:
    """
    Say what a client did, or what happened, that a broker hasn't done something.
    """
    if isinstance(error, PublicationTooLarge):
        problem = f"{error.size} bytes to be kept; {error.most} are the most"
        return RequestRefused("too-long", problem, request)
    return RequestRefused("unavailable", str(error), request)


def _codeOf(problem: str) -> str:
    if "`$.type`" in problem or problem.endswith("required field `type`"):
        return "unknown-type"
    return "too-long" if "length <=" in problem else "invalid"


def _explain(problem: str) -> str:
    """
    Put msgspec's words in ours: C{Expected `str`, got `int` - at `$.name`} is
    C{name: expected `str`, got `int`}.
    """
    problem, _, place = problem.partition(" - at ")
    place = re.sub(r"^`\$\.?|`$", "", place)
    text = problem[:1].lower() + problem[1:]
    return f"{place}: {text}" if place else text


def _requestOf(text: str) -> RequestId:
    """
    Find a request's name in what can't be read: half of a surrogate pair in a string,
    which JavaScript has and UTF-8 hasn't, is what a grammar of JSON lets pass.
    """
    try:
        asked = json.loads(text)
        name = asked.get("request") if isinstance(asked, dict) else None
        decoded = _anyRequest.decode(_encoder.encode({"request": name}))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return decoded.request
