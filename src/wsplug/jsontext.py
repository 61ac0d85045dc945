"""
JSON that others have written: what is JSON, and how deep it may be nested.

All that comes from clients and publishers is read here. A parser that recurses stops
at a depth that depends on how deep the stack is already, so the same text would be JSON
in one place and none in another. L{MAX_DEPTH} is one bound for all of them, far below.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final, TypeVar

import msgspec

__all__ = ["MAX_DEPTH", "NotJSON", "checkJSON", "decodeJSON"]

MAX_DEPTH: Final = 128
"""
How many arrays and objects may be open at one place of a text.
"""

_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OTHERS: Final = bytes(set(range(256)) - set(b"[{]}"))

_any: Final = msgspec.json.Decoder(msgspec.Raw)

_T = TypeVar("_T")


class NotJSON(msgspec.DecodeError):
    """
    A text isn't JSON, or is nested too deep. The message says what is wrong.
    """


def decodeJSON(decoder: msgspec.json.Decoder[_T], text: str | bytes) -> _T:
    """
    Read JSON.

    @param decoder: of what it has to be.
    @raise NotJSON: some of it, wherever, is no JSON, or is nested too deep.
    @raise msgspec.ValidationError: all of it is JSON, but something else.
    """
    if _isTooDeep(text):
        raise NotJSON(f"nested over {MAX_DEPTH} deep")
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        # The decoder has stopped there: what follows may be anything.
        checkJSON(text)
        raise
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJSON(str(error)) from None


def checkJSON(text: str | bytes) -> msgspec.Raw:
    """
    Check that a text is JSON, without building what it stands for.

    @return: the text, to be put into other JSON as it is.
    @raise NotJSON: it isn't, or is nested too deep.
    """
    return decodeJSON(_any, text)


def _isTooDeep(text: str | bytes) -> bool:
    if len(text) <= MAX_DEPTH:
        return False
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    # Without escaped quotes, every second part between quotes is outside of strings.
    unescaped = data.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    steps = memoryview(outside.translate(_STEPS, _OTHERS)).cast("b")
    return max(accumulate(steps), default=0) > MAX_DEPTH
