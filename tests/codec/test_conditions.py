"""Conditions, ranges and dates of requests (RFC 9110 sections 5.6.7, 13 and 14)."""

from __future__ import annotations

import time
from calendar import timegm
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsplug.codec import check_conditions, format_date, read_date, read_range

NOW = timegm((2026, 11, 28, 12, 0, 0))

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"

AT = 784111777
"""
L{DATE} in seconds since 1970.
"""


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
    """One kind of range is supported. All others are ignored (section 14.2)."""
    assert read_range([value], 10) == part


def test_ranges() -> None:
    """No header, or several, give no range. Of an empty file, there is no part."""
    assert read_range([], 10) is None
    assert read_range([b"bytes=0-1"] * 2, 10) is None
    assert read_range([b"bytes=0-"], 0) == (0, 0)


@pytest.mark.parametrize(
    "value",
    [DATE, b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
)
def test_date(value: bytes) -> None:
    """The three formats of section 5.6.7 are read."""
    assert read_date([value], NOW) == AT


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b";", b"0", b"Sun, 06 Nov 1994", b";" * 9000, b"\xff"),
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 32 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 06 Nov 1994 08:49:69 GMT",
        b"Sun, 06 Xxx 1994 08:49:37 GMT",
        b"Xxx, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06 Nov 1994 08:49:37 GMT",
        b"sun, 06 nov 1994 08:49:37 gmt",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 06 Nov 19941 08:49:37 GMT",
        b"Wed, 31 Feb 2024 08:49:37 GMT",
        b"Wed, 30 Feb 2024 08:49:37 GMT",
        b"Wed, 29 Feb 2023 08:49:37 GMT",
        b"Thu, 29 Feb 1900 08:49:37 GMT",
        b"Wed, 31 Apr 2024 08:49:37 GMT",
        b"Wednesday, 31-Feb-24 08:49:37 GMT",
        b"Monday, 29-Feb-99 08:49:37 GMT",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"Someday, 06-Nov-94 08:49:37 GMT",
        b"Sunday, 06-Nov-1994 08:49:37 GMT",
        b"Wed Feb 31 08:49:37 2024",
        b"Sun Nov 00 08:49:37 1994",
        b"Sun Nov 6 08:49:37 1994",
        b"Sun, 06 Nov 1994 08:49:37 GMT;",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_no_date(value: bytes) -> None:
    """Everything else, such as a day that its month doesn't have, is invalid (section
    5.6.7)."""
    assert read_date([value], NOW) is None


def test_dates() -> None:
    """No header, or several, give no date."""
    assert read_date([], NOW) is None
    assert read_date([DATE] * 2, NOW) is None


def test_leap_second() -> None:
    """Second 60 is valid (section 5.6.7)."""
    midnight = timegm((2017, 1, 1, 0, 0, 0))
    assert read_date([b"Sat, 31 Dec 2016 23:59:60 GMT"], NOW) == midnight
    assert read_date([b"Saturday, 31-Dec-16 23:59:60 GMT"], NOW) == midnight
    assert read_date([b"Sat Dec 31 23:59:60 2016"], NOW) == midnight


@pytest.mark.parametrize("year", [4, 1600, 1900 + 4, 2000, 2024, 9996])
def test_leap_day(year: int) -> None:
    """Leap years have 29 February."""
    value = b"Mon, 29 Feb %04d 00:00:00 GMT" % year
    assert read_date([value], NOW) == timegm((year, 2, 29, 0, 0, 0))


@pytest.mark.parametrize(
    ("now", "date", "year"),
    [
        ((2026, 11, 28), b"28-Nov-76", 2076),
        ((2026, 11, 28), b"29-Nov-76", 1976),
        ((2026, 11, 28), b"01-Jan-76", 2076),
        ((2026, 11, 28), b"01-Jan-77", 1977),
        ((2026, 11, 28), b"01-Jan-26", 2026),
        ((2026, 11, 28), b"01-Jan-27", 2027),
        ((2026, 11, 28), b"01-Jan-00", 2000),
        ((2049, 12, 31), b"31-Dec-99", 2099),
        ((2050, 1, 1), b"01-Jan-00", 2100),
        ((2050, 1, 1), b"02-Jan-00", 2000),
        ((2099, 6, 1), b"01-Jan-01", 2101),
        ((1999, 6, 1), b"01-Jan-49", 2049),
        ((1999, 6, 1), b"01-Jan-50", 1950),
    ],
)
def test_two_digits(now: tuple[int, int, int], date: bytes, year: int) -> None:
    """A date that seems more than 50 years ahead is in the previous century (section
    5.6.7)."""
    read = read_date([b"Sunday, %b 00:00:00 GMT" % date], timegm((*now, 0, 0, 0)))
    assert read is not None
    assert time.gmtime(read).tm_year == year


EARLIEST = timegm((1, 1, 1, 0, 0, 0))

LATEST = timegm((9999, 12, 31, 23, 59, 59))


@given(st.integers(EARLIEST, LATEST))
@example(EARLIEST)
@example(LATEST)
def test_written_dates(seconds: int) -> None:
    """A written date is read as the same time, and equals that of Python's own
    library."""
    written = format_date(seconds)
    assert read_date([written], NOW) == seconds
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    assert format_datetime(at, usegmt=True).encode() == written


@given(st.integers(NOW - 49 * 366 * 86400, NOW + 49 * 365 * 86400))
def test_obsolete_dates(seconds: int) -> None:
    """The two obsolete formats of a date mean the same as the current one."""
    at = time.gmtime(seconds)
    long = time.strftime("%A, %d-%b-%y %H:%M:%S GMT", at).encode()
    assert read_date([long], NOW) == seconds
    assert read_date([time.asctime(at).encode()], NOW) == seconds


@pytest.mark.parametrize("seconds", [2**62, 1e300, LATEST + 1])
def test_too_late(seconds: float) -> None:
    """A time after the year 9999 becomes the last possible date: years have four
    digits."""
    assert format_date(seconds) == b"Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.mark.parametrize("seconds", [-(2**62), -1e300, EARLIEST - 1])
def test_too_early(seconds: float) -> None:
    """Likewise, a time that is too early becomes the first possible date."""
    assert format_date(seconds) == b"Mon, 01 Jan 0001 00:00:00 GMT"


def test_before_1970() -> None:
    """Times before 1970 have dates, too."""
    assert format_date(-1) == b"Wed, 31 Dec 1969 23:59:59 GMT"


@given(st.binary(max_size=40))
def test_anything(value: bytes) -> None:
    """No input raises."""
    read_date([value], NOW)
    part = read_range([value], 10)
    assert part is None or 0 <= part[0] <= part[1] <= 10


PARTS = st.sampled_from(
    [
        *(b"Sun", b"Sunday", b"Xxx", b", ", b" ", b"-", b":", b" GMT", b"GMT"),
        *(b"0", b"00", b"06", b"31", b"60", b"69", b"94", b"1994", b"0000", b"Feb"),
        *(b"Nov", b"08:49:37", b"23:59:60", b" 6", b"\xff"),
    ]
)


@given(st.lists(PARTS, max_size=14).map(b"".join))
@example(b"Sun, 31 Feb 1994 08:49:37 GMT")
def test_almost_dates(value: bytes) -> None:
    """Combinations of parts of dates don't raise, either. A result is within the range
    of dates."""
    read = read_date([value], NOW)
    assert read is None or EARLIEST <= read <= LATEST + 1


# Conditions


BEFORE = format_date(AT - 1)
AFTER = format_date(AT + 1)


def verdict(*headers: tuple[str, bytes]) -> int | None:
    """Evaluate a request's conditions for a file that was modified at L{AT}."""

    def get(name: bytes) -> list[bytes]:
        return [value for key, value in headers if key.encode() == name]

    return check_conditions(get, AT, NOW)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"*", None),
        (b'"x"', 412),
        (b'W/"x"', 412),
        (b'"x", "y"', 412),
        (b"x", 412),
        (b"", 412),
        (b'*, "x"', 412),
    ],
)
def test_if_match(value: bytes, status: int | None) -> None:
    """Section 13.1.1: C{*} is true for whatever exists. A list of tags is false for a
    file without a tag."""
    assert verdict(("if-match", value)) == status


@pytest.mark.parametrize(
    ("value", "status"),
    [(BEFORE, 412), (DATE, None), (AFTER, None), (b"x", None), (b"", None)],
)
def test_if_unmodified_since(value: bytes, status: int | None) -> None:
    """Section 13.1.4: the condition is false if the file was modified later. An invalid
    date is ignored."""
    assert verdict(("if-unmodified-since", value)) == status


def test_two_dates() -> None:
    """Sections 13.1.3 and 13.1.4: a list of dates is ignored."""
    assert verdict(*[("if-unmodified-since", BEFORE)] * 2) is None
    assert verdict(*[("if-modified-since", AFTER)] * 2) is None


@pytest.mark.parametrize(
    ("value", "status"),
    [(b"*", 304), (b'"x"', None), (b'W/"x"', None), (b"x", None), (b"", None)],
)
def test_if_none_match(value: bytes, status: int | None) -> None:
    """Section 13.1.2: C{*} is false for whatever exists. A list of tags is true for a
    file without a tag."""
    assert verdict(("if-none-match", value)) == status


@pytest.mark.parametrize(
    ("value", "status"),
    [(BEFORE, None), (DATE, 304), (AFTER, 304), (b"x", None), (b"", None)],
)
def test_if_modified_since(value: bytes, status: int | None) -> None:
    """Section 13.1.3: the condition is false if the file wasn't modified later. An
    invalid date is ignored."""
    assert verdict(("if-modified-since", value)) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # Step 1, and not step 2 as well.
        ([("if-match", b'"x"'), ("if-unmodified-since", AFTER)], 412),
        ([("if-match", b"*"), ("if-unmodified-since", BEFORE)], None),
        # Steps 1 and 2 before steps 3 and 4.
        ([("if-match", b'"x"'), ("if-none-match", b"*")], 412),
        ([("if-match", b'"x"'), ("if-modified-since", AFTER)], 412),
        ([("if-unmodified-since", BEFORE), ("if-none-match", b"*")], 412),
        ([("if-unmodified-since", BEFORE), ("if-modified-since", AFTER)], 412),
        # If a condition is true, the next one is evaluated.
        ([("if-match", b"*"), ("if-none-match", b"*")], 304),
        ([("if-match", b"*"), ("if-modified-since", AFTER)], 304),
        ([("if-unmodified-since", DATE), ("if-modified-since", DATE)], 304),
        ([("if-unmodified-since", DATE), ("if-modified-since", BEFORE)], None),
        # Step 3, and not step 4 as well.
        ([("if-none-match", b'"x"'), ("if-modified-since", AFTER)], None),
        ([("if-none-match", b"*"), ("if-modified-since", BEFORE)], 304),
        ([], None),
    ],
)
def test_order(headers: list[tuple[str, bytes]], status: int | None) -> None:
    """Conditions are evaluated in the order of section 13.2.2."""
    assert verdict(*headers) == status
