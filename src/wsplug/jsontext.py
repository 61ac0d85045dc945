"""
JSON from clients and publishers, with a limit on how deep it is nested.

A recursive parser fails at a depth that depends on the stack that it is called with, so
that the same text may be accepted in one call and refused in another. L{MAX_DEPTH} is
well below, and applies everywhere.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final, TypeVar

import msgspec

__all__ = ["MAX_DEPTH", "NotJSON", "checkJSON", "decodeJSON"]

MAX_DEPTH: Final = 128
"""
The maximum number of nested arrays and objects.
"""

_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OTHERS: Final = bytes(set(range(256)) - set(b"[{]}"))

_any: Final = msgspec.json.Decoder(msgspec.Raw)

_T = TypeVar("_T")


class NotJSON(msgspec.DecodeError):
    """
    A text isn't JSON, or is nested too deeply. The message says which.
    """


def decodeJSON(decoder: msgspec.json.Decoder[_T], text: str | bytes) -> _T:
    """
    Decode JSON.

    @param decoder: a decoder for the expected type.
    @raise NotJSON: the text isn't JSON, or is nested too deeply.
    @raise msgspec.ValidationError: the text is JSON, but not of the expected type.
    """
    if _isTooDeep(text):
        raise NotJSON(f"nested over {MAX_DEPTH} levels deep")
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        # The decoder has stopped there: the rest may not be JSON.
        checkJSON(text)
        raise
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJSON(str(error)) from None


def checkJSON(text: str | bytes) -> msgspec.Raw:
    """
    Check that a text is JSON, without building objects.

    @return: the text, to be embedded in other JSON.
    @raise NotJSON: the text isn't JSON, or is nested too deeply.
    """
    return decodeJSON(_any, text)


def _isTooDeep(text: str | bytes) -> bool:
    if len(text) <= MAX_DEPTH:
        return False
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    # Without escaped quotes, every second part between quotes is outside strings.
    unescaped = data.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    steps = memoryview(outside.translate(_STEPS, _OTHERS)).cast("b")
    return max(accumulate(steps), default=0) > MAX_DEPTH
