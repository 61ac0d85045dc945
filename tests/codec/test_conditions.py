"""Ranges and dates of requests (RFC 9110 sections 5.6.7, 13 and 14)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsplug.codec import format_date, read_date, read_range


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (b"bytes=0-0", (0, 1)),
        (b"bytes=0-", (0, 10)),
        (b"bytes=9-", (9, 10)),
        (b"bytes=3-5", (3, 6)),
        (b"bytes=3-999", (3, 10)),
        (b"bytes=10-", (10, 10)),
        (b"bytes=999-9999", (10, 10)),
        (b"bytes=5-3", None),
        (b"bytes=-3", None),
        (b"bytes=0-1,3-4", None),
        (b"bytes=" + b"9" * 19 + b"-", None),
        (b"bytes=\xff-", None),
        (b"Bytes=0-1", None),
        (b"bytes = 0-1", None),
        (b"lines=0-1", None),
        (b"", None),
    ],
)
def test_range(value: bytes, part: tuple[int, int] | None) -> None:
    """One kind of range is understood; all others are ignored (section 14.2)."""
    assert read_range([value], 10) == part


def test_ranges() -> None:
    """No header and several are no range; of nothing, there is no part."""
    assert read_range([], 10) is None
    assert read_range([b"bytes=0-1"] * 2, 10) is None
    assert read_range([b"bytes=0-"], 0) == (0, 0)


@pytest.mark.parametrize(
    "value",
    [
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
    ],
)
def test_date(value: bytes) -> None:
    """The three forms of section 5.6.7."""
    assert read_date([value]) == 784111777


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b";", b"0", b"Sun, 06 Nov 1994", b";" * 9000, b"\xff"),
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 32 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 06 Xxx 1994 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun Nov 00 08:49:37 1994",
        b"Sun, 06 Nov 1994 08:49:37 GMT;",
    ],
)
def test_no_date(value: bytes) -> None:
    """What is no date is none (section 13.1.3)."""
    assert read_date([value]) is None


def test_dates() -> None:
    """No header and several are no date."""
    assert read_date([]) is None
    assert read_date([b"Sun, 06 Nov 1994 08:49:37 GMT"] * 2) is None


@given(st.integers(0, 250_000_000_000))
def test_written_dates(seconds: int) -> None:
    """What is written is read as the same, and is what the C library writes."""
    written = format_date(seconds)
    assert read_date([written]) == seconds
    form = "%a, %d %b %Y %H:%M:%S GMT"
    assert time.strftime(form, time.gmtime(seconds)).encode() == written


@given(st.binary(max_size=40))
def test_anything(value: bytes) -> None:
    """Nothing raises."""
    read_date([value])
    part = read_range([value], 10)
    assert part is None or 0 <= part[0] <= part[1] <= 10
