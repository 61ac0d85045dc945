"""
Text that is safe to print.
"""

from __future__ import annotations

from wsplug.printable import escapeUnprintable, oneLine


def test_escapes() -> None:
    """Control characters, Unicode line breaks and lone surrogates are escaped; all
    other characters stay.
    """
    assert escapeUnprintable("Zoë ✓") == "Zoë ✓"
    assert escapeUnprintable("a\x1b[2J\r\n\u2028\udc80b") == (
        "a\\x1b[2J\\r\\n\\u2028\\udc80b"
    )


def test_keeps() -> None:
    """Characters that the caller allows stay."""
    assert escapeUnprintable("a\tb\nc", keep="\t") == "a\tb\\nc"


def test_one_line() -> None:
    """An error becomes one line, even if it has no text."""
    assert oneLine(ValueError("a\n  b")) == "a b"
    assert oneLine(AssertionError()) == "AssertionError"
