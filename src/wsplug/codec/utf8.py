"""
Checks UTF-8 while it arrives (RFC 6455 section 8.1).
"""

from __future__ import annotations

from codecs import utf_8_decode

from wsplug.build import COMPILED
from wsplug.codec.closecodes import CloseCode
from wsplug.errors import ProtocolViolation

__all__ = ["check_utf8", "known_utf8"]


def check_utf8(
    buffer: bytearray | memoryview, start: int, final: bool, what: str = "text"
) -> int:
    """
    Check the part of a text that has arrived since the last check.

    A byte that can't continue the text is refused at once, not at the end of the
    message. Only new bytes are checked, and at most three old ones.

    @param buffer: the text so far; not kept.
    @param start: the size of the valid, whole characters at its beginning.
    @param final: whether the text ends here, so that a cut character is an error.
    @param what: the text's name in the violation.
    @return: the new size of the valid, whole characters.
    @raise ProtocolViolation: the text isn't UTF-8 (1007).
    """
    known = known_utf8(buffer, start, final)
    if known < 0:
        raise ProtocolViolation(CloseCode.INVALID_DATA, f"{what} is not UTF-8")
    return known


def known_utf8(buffer: bytearray | memoryview, start: int, final: bool) -> int:
    """
    Do the same as L{check_utf8}, without raising.

    @return: the new size of the valid, whole characters; -1 if the text isn't UTF-8.
    """
    with memoryview(buffer) as view, view[start:] as tail:
        try:
            known = start + utf_8_decode(tail, "strict", final)[1]
        except UnicodeDecodeError:
            return -1
    # Python waits for the third byte before it refuses a surrogate's first two.
    if known + 1 < len(buffer) and buffer[known] == 0xED and buffer[known + 1] > 0x9F:
        return -1
    return known


if COMPILED:
    from wsplug.codec._utf8 import known_utf8
