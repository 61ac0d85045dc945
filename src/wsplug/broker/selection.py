"""
C{--broker}: the broker, and the limits on its history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wsplug.broker.memory import MemoryBroker
from wsplug.broker.retention import DEFAULT_RETENTION, Retention
from wsplug.broker.sqlite import SqliteBroker
from wsplug.errors import InvalidOption
from wsplug.interfaces import IBroker
from wsplug.options import (
    COLONS,
    Option,
    integer,
    pairOptions,
    parseOptions,
    period,
    size,
    splitDescription,
)

__all__ = ["BROKERS", "RETENTION_OPTIONS", "makeBroker"]

BROKERS: Final = {
    "memory": "in memory, gone with the process",
    "sqlite:PATH": "in an SQLite file, still there after the process is killed",
}
"""
The brokers, and where each keeps its channels.
"""

RETENTION_OPTIONS: Final = (
    Option(
        "count",
        integer(0, 1_000_000),
        DEFAULT_RETENTION.count,
        "messages that a channel keeps at most",
    ),
    Option(
        "size",
        size,
        DEFAULT_RETENTION.size,
        "bytes that a channel keeps at most",
    ),
    Option("age", period, DEFAULT_RETENTION.age, "how long a message is kept"),
    Option(
        "total",
        size,
        DEFAULT_RETENTION.total,
        "bytes that all channels keep together at most",
    ),
)
"""
The options of every broker: how much history it keeps.
"""


def makeBroker(description: str, reactor: Any) -> IBroker:
    """
    Make the broker that a C{--broker} option describes.

    @param description: C{memory} or C{sqlite:PATH}, followed by options, as in
        C{memory:count=100:age=5m}.
    @param reactor: the server's reactor.
    @raise InvalidOption: the description is invalid.
    """
    (name, value), *words = splitDescription(description)
    try:
        arguments = [word for word, given in words if given is None]
        options = {word: given for word, given in words if given is not None}
        if len(options) + len(arguments) < len(words):
            raise InvalidOption("an option is given twice")
        if value is not None or name not in ("memory", "sqlite"):
            known = " or ".join(BROKERS)
            raise InvalidOption(f"unknown broker; use {known}")
        retention = _makeRetention(options)
        if name == "memory":
            if arguments:
                pairOptions(words)  # raises an error that names the mistake
            return MemoryBroker(reactor, retention)
        if len(arguments) != 1 or not arguments[0]:
            raise InvalidOption(f"it takes the path of one file: sqlite:PATH; {COLONS}")
        return SqliteBroker(arguments[0], reactor, retention)
    except InvalidOption as error:
        # Only the name: the addresses of other brokers can contain passwords.
        kind = name.partition(":")[0]
        raise InvalidOption(f"--broker {kind}: {error}") from None


def _makeRetention(values: Mapping[str, str]) -> Retention:
    return Retention(**parseOptions(RETENTION_OPTIONS, values))
