"""
Time zones, as an option has them.
"""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import datetime, timezone, tzinfo

from wsplug.errors import InvalidOption

__all__ = ["momentIn", "zone"]


def zone(value: str) -> tzinfo | None:
    """
    A time zone by its IANA name, C{UTC}, or C{local} for the machine's own, which is
    C{None}.

    @raise ValueError: there is none of that name.
    @raise InvalidOption: this machine knows no time zones at all.
    """
    if value == "local":
        return None
    if value == "UTC":
        return timezone.utc
    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: it is a folder of zones, or too long for a file's name.
        known = sorted(zoneinfo.available_timezones())
    if not known:
        raise InvalidOption(
            f"zone can't be {value!r}: this machine has no data about time zones; "
            "install the package tzdata ('pip install tzdata'), or take UTC or local"
        )
    spelled = {name.lower(): name for name in known}
    close = difflib.get_close_matches(value.lower(), spelled, 1)
    example = spelled[close[0]] if close else "Europe/Vienna"
    raise ValueError(f"a time zone's name like {example}, UTC or local")


def momentIn(zone: tzinfo | None, seconds: float) -> datetime:
    """
    Give a moment as clocks in a zone show it.

    @param zone: C{None} for the machine's own.
    @param seconds: since the beginning of 1970 in UTC.
    """
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone(zone)
