"""
What may be sent: text and bytes-like objects are messages, and whole numbers are close
codes. Anything else is a mistake that is told to whoever makes it, before anything
changes, and never guessed at.
"""

from __future__ import annotations

import operator
from typing import Any

from wsplug.codec.closecodes import CloseCode, may_be_sent

__all__ = ["toBytes", "toClose", "toMessage", "toText"]


def toText(message: object) -> str:
    """
    Give a message's text.

    @param message: a C{str}, or an instance of a subclass, as an C{Enum}'s member or a
        template's safe string.
    @return: a plain C{str}.
    @raise TypeError: it is no text.
    """
    if isinstance(message, str):
        return str.__str__(message)
    raise TypeError(
        f"a text message is a str, not {type(message).__name__}; "
        "json.dumps() makes text of other objects"
    )


def toBytes(
    message: object,
    what: str = "a binary message",
    wanted: str = "bytes or another bytes-like object",
    hint: str = "; json.dumps() makes text of other objects",
) -> bytes:
    """
    Give a message's bytes.

    @param message: C{bytes}, or another object that has a buffer: a C{bytearray}, a
        C{memoryview}, an C{array}. It is copied.
    @param what: what the error message calls it.
    @param wanted: what the error message says that it is to be.
    @param hint: what the error message has at its end.
    @raise TypeError: it is no such object. A number is none: C{bytes(5)} would be five
        zeros.
    """
    try:
        return memoryview(message).tobytes()  # type: ignore[arg-type]
    except TypeError:
        kind = type(message).__name__
        raise TypeError(f"{what} is {wanted}, not {kind}{hint}") from None


def toMessage(message: object) -> str | bytes:
    """
    Give a message of either kind.

    @return: a plain C{str} for a text message, C{bytes} for a binary one.
    @raise TypeError: it is neither text nor bytes-like.
    """
    if isinstance(message, str):
        return str.__str__(message)
    return toBytes(message, "a message", "a str, or bytes or another bytes-like object")


def toClose(code: Any, reason: object) -> tuple[int, str]:
    """
    Give what a close frame is made of.

    @param code: C{None} for none.
    @param reason: C{None} for none.
    @return: the code, 1005 for none, and the reason as a plain C{str}.
    @raise TypeError: the code is no whole number, or the reason no text.
    @raise ValueError: the code may not be sent (RFC 6455 section 7.4), or there is a
        reason without one (section 5.5.1).
    """
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"a close reason is a str, not {type(reason).__name__}")
    text = "" if reason is None else str.__str__(reason)
    if code is None:
        if text:
            raise ValueError("a reason needs a close code (RFC 6455 section 5.5.1)")
        return int(CloseCode.NO_STATUS), text
    try:
        number = operator.index(code)
    except TypeError:
        kind = type(code).__name__
        raise TypeError(
            f"a close code is a whole number like 1000, not {kind}"
        ) from None
    if not may_be_sent(number):
        raise ValueError(f"close code {number} may not be sent (RFC 6455 section 7.4)")
    return number, text
