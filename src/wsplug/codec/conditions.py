"""
Conditions, ranges and dates of requests for files (RFC 9110 sections 5.6.7, 13 and 14).

Dates and ranges are parsed strictly. Unsupported values are ignored, which the RFC
allows: the answer is then the whole file.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import gmtime
from typing import Final

__all__ = ["check_conditions", "format_date", "read_date", "read_range"]

_RANGE: Final = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})?")
"""
The supported kind of range: a single one with a first byte (RFC 9110 section 14.1.2).
A server may ignore any other (section 14.2).
"""

_DAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    *("Saturday", "Sunday"),
)

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

_MONTH: Final = {name.encode("ascii"): at for at, name in enumerate(_MONTHS, 1)}

_EPOCH: Final = datetime(1970, 1, 1)

_FIRST: Final = timegm((1, 1, 1, 0, 0, 0))

_LAST: Final = timegm((9999, 12, 31, 23, 59, 59))
"""
The last second that has a date: years have four digits.
"""

_TIME: Final = rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)"

_NAMES: Final = rb"(%b)" % b"|".join(_MONTH)

_LONG_DAY: Final = rb"(?:%b)" % "|".join(_DAYS).encode("ascii")

_DAY: Final = rb"(?:%b)" % "|".join(name[:3] for name in _DAYS).encode("ascii")

_IMF: Final = re.compile(
    rb"%b, ([0-3][0-9]) %b ([0-9]{4}) %b GMT" % (_DAY, _NAMES, _TIME)
)

_RFC850: Final = re.compile(
    rb"%b, ([0-3][0-9])-%b-([0-9]{2}) %b GMT" % (_LONG_DAY, _NAMES, _TIME)
)

_ASCTIME: Final = re.compile(
    rb"%b %b ([ 0-3][0-9]) %b ([0-9]{4})" % (_DAY, _NAMES, _TIME)
)


def read_range(values: Sequence[bytes], size: int) -> tuple[int, int] | None:
    """
    Parse the requested range.

    @param values: the values of the C{Range} headers.
    @param size: the size of the whole file, in bytes.
    @return: the positions of the first byte and after the last byte, at most C{size}.
        Both are C{size} if the range begins after the end and can't be satisfied
        (section 15.5.17). C{None} for the whole file.
    """
    if len(values) != 1:
        return None
    match = _RANGE.fullmatch(values[0])
    if match is None:
        return None
    first = int(match[1])
    last = size - 1 if match[2] is None else int(match[2])
    if match[2] is not None and last < first:
        return None
    return (size, size) if first >= size else (first, min(last + 1, size))


def read_date(values: Sequence[bytes], now: float) -> int | None:
    """
    Parse a date in any of the three required formats (section 5.6.7). The name of the
    day need not fit the date.

    @param values: the values of the header.
    @param now: seconds since 1970, for dates whose year has two digits.
    @return: seconds since 1970; C{None} if there is no valid date, or more than one.
    """
    if len(values) != 1:
        return None
    value = values[0]
    isShort = False
    if match := _IMF.fullmatch(value):
        day, month, year, *time = match.groups()
    elif match := _RFC850.fullmatch(value):
        day, month, year, *time = match.groups()
        isShort = True
    elif match := _ASCTIME.fullmatch(value):
        month, day, *time, year = match.groups()
    else:
        return None
    parts = (int(year), _MONTH[month], int(day), *map(int, time))
    if isShort:
        parts = (_full_year(parts, now), *parts[1:])
    try:
        datetime(parts[0], parts[1], parts[2])
    except ValueError:
        return None  # such as 31 Feb
    # Second 60 is a leap second, which such times count as the next one.
    return timegm(parts)


def _full_year(parts: Sequence[int], now: float) -> int:
    """
    Return the year that two digits mean: the last one that is at most 50 years ahead
    (section 5.6.7).

    @param parts: the year's two digits, the month, and so on down to the second.
    """
    latest = gmtime(now)
    century = (latest.tm_year + 50) // 100 * 100
    year = century + parts[0]
    end = (latest.tm_year + 50, *latest[1:6])
    return year if (year, *parts[1:]) <= end else year - 100


def format_date(seconds: float) -> bytes:
    """
    Format a date (section 5.6.7).

    @param seconds: seconds since 1970. Times that have no date, because their year
        isn't one of four digits, become the first or the last one that has.
    """
    at = _EPOCH + timedelta(seconds=int(min(max(seconds, _FIRST), _LAST)))
    day, month = _DAYS[at.weekday()][:3], _MONTHS[at.month - 1]
    return (
        f"{day}, {at.day:02} {month} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} GMT"
    ).encode("ascii")


def check_conditions(
    get: Callable[[bytes], Sequence[bytes]], modified: int, now: float
) -> int | None:
    """
    Evaluate the conditions of a C{GET} or C{HEAD} request for something that exists and
    has no entity tag, in the order of section 13.2.2.

    @param get: returns the values of a header by its name, in lower case.
    @param modified: when it was modified, in seconds since 1970.
    @param now: seconds since 1970.
    @return: 412 or 304, which is the answer then; C{None} if there is nothing against
        the usual one.
    """
    if match := get(b"if-match"):
        # Section 13.1.1: no tag in a list is that of something without one.
        if not _is_any(match):
            return 412
    else:
        # Section 13.1.4: not evaluated beside If-Match.
        unmodified = read_date(get(b"if-unmodified-since"), now)
        if unmodified is not None and modified > unmodified:
            return 412
    if match := get(b"if-none-match"):
        return 304 if _is_any(match) else None  # section 13.1.2
    # Section 13.1.3: not evaluated beside If-None-Match.
    since = read_date(get(b"if-modified-since"), now)
    return 304 if since is not None and since >= modified else None


def _is_any(values: Sequence[bytes]) -> bool:
    """
    Return whether C{If-Match} or C{If-None-Match} is C{*}: whatever exists.
    """
    return len(values) == 1 and values[0] == b"*"
