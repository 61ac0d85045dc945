"""
Ranges and dates of requests for files (RFC 9110 sections 5.6.7, 13 and 14).

Both are parsed strictly. Unsupported values are ignored, which the RFC allows: the
answer is then the whole file.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Sequence
from time import gmtime
from typing import Final

__all__ = ["format_date", "read_date", "read_range"]

_RANGE: Final = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{1,18})?")
"""
The supported kind of range: a single one with a first byte (RFC 9110 section 14.1.2).
A server may ignore any other (section 14.2).
"""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

_MONTH: Final = {name.encode("ascii"): at for at, name in enumerate(_MONTHS, 1)}

_TIME: Final = rb"([0-2][0-9]):([0-5][0-9]):([0-6][0-9])"

_NAMES: Final = rb"(%b)" % b"|".join(_MONTH)

_IMF: Final = re.compile(
    rb"[A-Z][a-z]{2}, ([0-3][0-9]) %b ([0-9]{4}) %b GMT" % (_NAMES, _TIME)
)

_RFC850: Final = re.compile(
    rb"[A-Z][a-z]{5,8}, ([0-3][0-9])-%b-([0-9]{2}) %b GMT" % (_NAMES, _TIME)
)

_ASCTIME: Final = re.compile(
    rb"[A-Z][a-z]{2} %b ([ 0-3][0-9]) %b ([0-9]{4})" % (_NAMES, _TIME)
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


def read_date(values: Sequence[bytes]) -> int | None:
    """
    Parse a date in any of the three required formats (section 5.6.7).

    @param values: the values of the header.
    @return: seconds since 1970; C{None} if there is no valid date, or more than one.
    """
    if len(values) != 1:
        return None
    value = values[0]
    if match := _IMF.fullmatch(value):
        day, month, year, *time = match.groups()
    elif match := _RFC850.fullmatch(value):
        day, month, year, *time = match.groups()
        # RFC 9110: a year that seems over 50 years in the future is in the past.
        year = (b"20" if int(year) < 70 else b"19") + year
    elif match := _ASCTIME.fullmatch(value):
        month, day, *time, year = match.groups()
    else:
        return None
    if not 1 <= int(day) <= 31 or int(time[0]) > 23 or int(year) < 1601:
        return None
    hour, minute, second = map(int, time)
    return timegm((int(year), _MONTH[month], int(day), hour, minute, second))


def format_date(seconds: float) -> bytes:
    """
    Format a date (section 5.6.7).

    @param seconds: seconds since 1970.
    """
    at = gmtime(seconds)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return (
        f"{day}, {at.tm_mday:02} {month} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    ).encode("ascii")
