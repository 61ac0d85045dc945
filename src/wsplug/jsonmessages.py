"""
JSON messages, as the bundled applications use them: how they are read and written, and
how errors are answered.

Each message is an object with a C{type}. A message that asks for something may have a
C{request}, a number or a short text of the client's choice. The answer repeats it.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar

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
    "decoderOf",
    "read",
    "refusal",
    "write",
]

RequestId = int | Annotated[str, msgspec.Meta(max_length=64)] | None
"""
The client's own identifier for a request.
"""


class WirePosition(msgspec.Struct, frozen=True):
    """
    A L{Position} in JSON.
    """

    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    epoch: Annotated[str, msgspec.Meta(max_length=64)]

    @classmethod
    def of(cls, position: Position) -> WirePosition:
        """
        Convert a broker's position.
        """
        return cls(position.offset, position.epoch)

    def position(self) -> Position:
        """
        Convert to a broker's position.
        """
        return Position(self.offset, self.epoch)


class ErrorMessage(
    msgspec.Struct, tag_field="type", tag="error", omit_defaults=True, frozen=True
):
    """
    The answer to a request that failed. The connection stays open.
    """

    code: str
    message: str
    request: RequestId = None
    retry_after: float | None = None


class RequestRefused(Exception):
    """
    A client's message is invalid, or its request can't be fulfilled.

    @ivar code: the error code, for programs: C{"too-long"}.
    @ivar message: what is wrong, for people.
    @ivar request: the client's identifier for its request.
    @ivar retryAfter: seconds after which the client may try again, if known.
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


@lru_cache(maxsize=256)
def decoderOf(type: Any) -> msgspec.json.Decoder[Any]:
    """
    Return the decoder for a type.

    @param type: a type that msgspec knows, such as a C{Struct}, or a union of C{Struct}
        types with tags.
    @raise TypeError: msgspec can't tell the types of the union apart.
    """
    return msgspec.json.Decoder(type)


def read(decoder: msgspec.json.Decoder[_T], message: str | bytes) -> _T:
    """
    Read a client's message.

    @param decoder: a decoder for the messages that clients may send.
    @param message: a text message. Binary ones are refused.
    @raise RequestRefused: the message is none of those. The error has the client's
        identifier for its request where one can be found.
    """
    if not isinstance(message, str):
        raise RequestRefused(
            "not-json", "binary messages aren't supported; send JSON as text"
        )
    try:
        return _read(decoder, message)
    except RequestRefused as error:
        if error.request is None:
            error.request = _requestOf(message)
        raise


def _read(decoder: msgspec.json.Decoder[_T], text: str) -> _T:
    try:
        return decodeJSON(decoder, text)
    except msgspec.ValidationError as error:
        problem = str(error)
    except NotJSON as error:
        raise RequestRefused("not-json", f"invalid JSON: {error}") from None
    try:
        request = _anyRequest.decode(text).request
    except msgspec.ValidationError:
        request = None
    raise RequestRefused(_codeOf(problem), _explain(problem), request)


def write(message: object) -> str:
    """
    Encode a message: a C{Struct}, or whatever msgspec can encode.

    @raise TypeError: it can't.
    """
    return _encoder.encode(message).decode()


def refusal(error: RequestRefused | BrokerError, request: RequestId = None) -> str:
    """
    Encode the answer to a refused request.

    @param error: an error of the broker's is answered as L{brokerRefused} says.
    @param request: the client's identifier for its request, used where the error has
        none.
    """
    if isinstance(error, BrokerError):
        error = brokerRefused(error)
    identifier = request if error.request is None else error.request
    return write(ErrorMessage(error.code, error.message, identifier, error.retryAfter))


def brokerRefused(error: BrokerError, request: RequestId = None) -> RequestRefused:
    """
    Convert a broker's error to the error that the client gets.
    """
    if isinstance(error, PublicationTooLarge):
        problem = f"{error.size} bytes; a stored message has at most {error.most}"
        return RequestRefused("too-long", problem, request)
    return RequestRefused("unavailable", str(error), request)


def _codeOf(problem: str) -> str:
    if "`$.type`" in problem or problem.endswith("required field `type`"):
        return "unknown-type"
    return "too-long" if "length <=" in problem else "invalid"


def _explain(problem: str) -> str:
    """
    Reword an error of msgspec: C{Expected `str`, got `int` - at `$.name`} becomes
    C{name: expected `str`, got `int`}.
    """
    problem, _, location = problem.partition(" - at ")
    location = re.sub(r"^`\$\.?|`$", "", location)
    text = problem[:1].lower() + problem[1:]
    return f"{location}: {text}" if location else text


def _requestOf(text: str) -> RequestId:
    """
    Find the request's identifier in a message that msgspec can't decode. An example is
    half of a surrogate pair in a string: JSON and JavaScript allow it, UTF-8 doesn't.
    """
    try:
        message = json.loads(text)
        identifier = message.get("request") if isinstance(message, dict) else None
        decoded = _anyRequest.decode(_encoder.encode({"request": identifier}))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return decoded.request
