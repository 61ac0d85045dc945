"""
The time zone option.
"""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import datetime, timezone, tzinfo

from wsplug.errors import InvalidOption

__all__ = ["momentIn", "zone"]


def zone(value: str) -> tzinfo | None:
    """
    A time zone by its IANA name, C{UTC}, or C{local} for the system's: that is C{None}.

    @raise ValueError: there is no such time zone.
    @raise InvalidOption: the system has no time zone data.
    """
    if value == "local":
        return None
    if value == "UTC":
        return timezone.utc
    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name is a folder of zones, or too long for a file name.
        known = sorted(zoneinfo.available_timezones())
    if not known:
        raise InvalidOption(
            f"zone can't be {value!r}: this system has no time zone data; install the "
            "package tzdata ('pip install tzdata'), or use UTC or local"
        )
    spelled = {name.lower(): name for name in known}
    close = difflib.get_close_matches(value.lower(), spelled, 1)
    example = spelled[close[0]] if close else "Europe/Vienna"
    raise ValueError(f"a time zone's name like {example}, UTC or local")


def momentIn(zone: tzinfo | None, seconds: float) -> datetime:
    """
    Convert a timestamp to the time in a zone.

    @param zone: C{None} for the system's.
    @param seconds: since 1970 in UTC.
    """
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone(zone)
