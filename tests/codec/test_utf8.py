"""UTF-8 is checked as it arrives (RFC 6455 section 8.1, RFC 3629)."""

from __future__ import annotations

import pytest

from wsplug.codec.utf8 import check_utf8
from wsplug.errors import ProtocolViolation

BAD: list[tuple[bytes, int]] = [
    (b"\x80", 1),
    (b"a\xbf", 2),
    (b"\xc0", 1),
    (b"\xc1", 1),
    (b"\xc2\x41", 2),
    (b"\xc2\xc2", 2),
    (b"\xe0\x80", 2),
    (b"\xe0\x9f", 2),
    (b"\xe1\x41", 2),
    (b"\xe1\x80\x41", 3),
    (b"\xed\xa0", 2),
    (b"\xed\xbf", 2),
    (b"\xed\xff", 2),
    (b"ab\xed\xa0\x80", 4),
    (b"\xf0\x80", 2),
    (b"\xf0\x8f", 2),
    (b"\xf0\x90\x80\x41", 4),
    (b"\xf4\x90", 2),
    (b"\xf4\x8f\xbf\xff", 4),
    (b"\xf5", 1),
    (b"\xf8", 1),
    (b"\xfc", 1),
    (b"\xfe", 1),
    (b"\xff", 1),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80", 13),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13),
]
"""Bytes that are no UTF-8, and with which of them that is certain (RFC 3629)."""

GOOD: list[bytes] = [
    b"",
    b"Hello",
    b"\x00\x7f",
    b"\xc2\x80\xdf\xbf",
    b"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
    b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    b"\xef\xbf\xbe\xef\xbb\xbf",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
]

CUT: list[bytes] = [
    b"\xc2",
    b"\xe0",
    b"\xe0\xa0",
    b"\xed",
    b"\xed\x9f",
    b"\xef\xbf",
    b"\xf0",
    b"\xf0\x90",
    b"\xf4\x8f",
    b"\xf0\x90\x80",
]
"""Right so far, but no text may end there."""


def fed(text: bytes, steps: int) -> tuple[bytearray, int]:
    """Check a text in pieces of a few bytes."""
    buffer = bytearray()
    known = 0
    for start in range(0, len(text), steps):
        buffer += text[start : start + steps]
        known = check_utf8(buffer, known, False)
    return buffer, known


@pytest.mark.parametrize(("text", "at"), BAD)
def test_refused_at_the_bad_byte(text: bytes, at: int) -> None:
    """The bytes before an invalid byte pass; the byte itself is refused at once."""
    buffer, known = fed(text[: at - 1], 1)
    buffer += text[at - 1 : at]
    with pytest.raises(ProtocolViolation, match="1007 text is not UTF-8"):
        check_utf8(buffer, known, False)


@pytest.mark.parametrize(("text", "at"), BAD)
def test_refused_in_one_piece(text: bytes, at: int) -> None:
    """Likewise in one piece up to the invalid byte, and as the end of a text."""
    for final in (False, True):
        with pytest.raises(ProtocolViolation, match="1007"):
            check_utf8(bytearray(text[:at]), 0, final)


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_good(text: bytes, steps: int) -> None:
    """Every valid character passes, wherever it is cut."""
    buffer, known = fed(text, steps)
    assert known == len(text)
    assert check_utf8(buffer, known, True) == len(text)


@pytest.mark.parametrize("text", CUT)
def test_cut(text: bytes) -> None:
    """A frame may end within a character, but a message may not."""
    buffer, known = fed(b"ab" + text, 1)
    assert known == 2
    with pytest.raises(ProtocolViolation, match="1007"):
        check_utf8(buffer, known, True)


def test_agrees_with_python() -> None:
    """All sequences of two bytes, and all of three after \\xe0, \\xed and \\xf4."""
    cases = [bytes([a, b]) for a in range(256) for b in range(256)]
    cases += [
        bytes([lead, a, b])
        for lead in (0xE0, 0xED, 0xF4)
        for a in range(0x70, 0xD0)
        for b in (0x7F, 0x80, 0xBF, 0xC0)
    ]
    for case in cases:
        try:
            case.decode("utf-8")
            good = True
        except UnicodeDecodeError:
            good = False
        try:
            buffer, known = fed(case, 1)
            check_utf8(buffer, known, True)
        except ProtocolViolation:
            assert not good, case
        else:
            assert good, case


def test_the_buffer_can_grow_afterwards() -> None:
    """No view of the buffer remains after the check, not even after a refusal."""
    buffer = bytearray(b"a\xff")
    with pytest.raises(ProtocolViolation):
        check_utf8(buffer, 0, False)
    buffer += b"more"
    assert buffer == b"a\xffmore"
