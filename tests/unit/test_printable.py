"""
Text that is safe to print.
"""

from __future__ import annotations

from wsplug.printable import escapeUnprintable, oneLine


def test_escapes() -> None:
    """
    Control characters, line breaks of Unicode and lone surrogates become visible, and
    everything else stays.
    """
    assert escapeUnprintable("Zoë ✓") == "Zoë ✓"
    assert escapeUnprintable("a\x1b[2J\r\n\u2028\udc80b") == (
        "a\\x1b[2J\\r\\n\\u2028\\udc80b"
    )


def test_keeps() -> None:
    """
    Characters that are wanted stay.
    """
    assert escapeUnprintable("a\tb\nc", keep="\t") == "a\tb\\nc"


def test_one_line() -> None:
    """
    An error is one line, even if it has no text.
    """
    assert oneLine(ValueError("a\n  b")) == "a b"
    assert oneLine(AssertionError()) == "AssertionError"
