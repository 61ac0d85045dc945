"""
UTF-8, checked while it arrives (RFC 6455 section 8.1).
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
    Check the part of a text that has come since the last check.

    A byte that can't continue the text is refused at once, not when the message ends.
    The cost is that of the new bytes: at most three are looked at twice.

    @param buffer: the text so far; not kept.
    @param start: how much of it is known to be whole, right characters.
    @param final: whether the text ends here, so that a character may not be cut.
    @param what: what the violation calls it.
    @return: how much is known now.
    @raise ProtocolViolation: it is no UTF-8 (1007).
    """
    known = known_utf8(buffer, start, final)
    if known < 0:
        raise ProtocolViolation(CloseCode.INVALID_DATA, f"{what} is not UTF-8")
    return known


def known_utf8(buffer: bytearray | memoryview, start: int, final: bool) -> int:
    """
    Do what L{check_utf8} does, but for the violation.

    @return: how much is known now; -1 where it is no UTF-8.
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
