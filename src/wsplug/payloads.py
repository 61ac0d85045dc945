"""
Checks of what applications send: messages are text or bytes-like objects, and close
codes are integers. Anything else raises an error before anything is sent; nothing is
converted by guessing.
"""

from __future__ import annotations

import operator
from typing import Any

from wsplug.codec.closecodes import CloseCode, may_be_sent

__all__ = ["toBytes", "toClose", "toMessage", "toText"]


def toText(message: object) -> str:
    """
    Return a message's text.

    @param message: a C{str}, or an instance of a subclass, such as a member of an
        C{Enum} or a template's safe string.
    @return: a plain C{str}.
    @raise TypeError: the message isn't a C{str}.
    """
    if isinstance(message, str):
        return str.__str__(message)
    raise TypeError(
        f"a text message must be a str, not {type(message).__name__}; "
        "json.dumps() makes text of other objects"
    )


def toBytes(
    message: object,
    what: str = "a binary message",
    wanted: str = "bytes or another bytes-like object",
    hint: str = "; json.dumps() makes text of other objects",
) -> bytes:
    """
    Return a message's bytes.

    @param message: C{bytes}, or another object with a buffer: a C{bytearray}, a
        C{memoryview}, an C{array}. It is copied.
    @param what: the message's name in the error.
    @param wanted: the accepted types in the error.
    @param hint: the end of the error.
    @raise TypeError: the message is something else, such as a number: C{bytes(5)} would
        be five zeros.
    """
    try:
        return memoryview(message).tobytes()  # type: ignore[arg-type]
    except TypeError:
        kind = type(message).__name__
        raise TypeError(f"{what} must be {wanted}, not {kind}{hint}") from None


def toMessage(message: object) -> str | bytes:
    """
    Return a message of either kind.

    @return: a plain C{str} for a text message, C{bytes} for a binary one.
    @raise TypeError: the message is neither a C{str} nor bytes-like.
    """
    if isinstance(message, str):
        return str.__str__(message)
    return toBytes(message, "a message", "a str, or bytes or another bytes-like object")


def toClose(code: Any, reason: object) -> tuple[int, str]:
    """
    Check a close code and a close reason.

    @param code: C{None} for none.
    @param reason: C{None} for none.
    @return: the code, 1005 for none, and the reason as a plain C{str}.
    @raise TypeError: the code isn't an integer, or the reason isn't a C{str}.
    @raise ValueError: the code may not be sent (RFC 6455 section 7.4), or there is a
        reason without a code (section 5.5.1).
    """
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"a close reason must be a str, not {type(reason).__name__}")
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
            f"a close code must be an integer like 1000, not {kind}"
        ) from None
    if not may_be_sent(number):
        raise ValueError(f"close code {number} may not be sent (RFC 6455 section 7.4)")
    return number, text
