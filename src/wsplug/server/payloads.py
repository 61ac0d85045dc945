"""
What may be sent as a message: text, and bytes-like objects. Anything else is a mistake
that is told to whoever makes it, and never guessed at.
"""

from __future__ import annotations

__all__ = ["toBytes", "toText"]


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


def toBytes(message: object) -> bytes:
    """
    Give a message's bytes.

    @param message: C{bytes}, or another object that has a buffer: a C{bytearray}, a
        C{memoryview}, an C{array}. It is copied.
    @raise TypeError: it is no such object. A number is none: C{bytes(5)} would be five
        zeros.
    """
    try:
        return memoryview(message).tobytes()  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            "a binary message is bytes or another bytes-like object, not "
            f"{type(message).__name__}; json.dumps() makes text of other objects"
        ) from None
