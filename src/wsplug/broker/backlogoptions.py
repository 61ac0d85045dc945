"""
The options of applications for the L{Backlog} of their clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsplug.broker.channels import DEFAULT_BACKLOG, Backlog, Overflow
from wsplug.options import Option, choice, seconds, size

__all__ = ["backlogOptions", "makeBacklog"]


def backlogOptions(help: str) -> tuple[Option, ...]:
    """
    Declare C{backlog}, C{backlog-age} and C{overflow}.

    @param help: the help of C{backlog}.
    """
    usual = DEFAULT_BACKLOG
    return (
        Option("backlog", size, usual.size, help),
        Option("backlog-age", seconds, usual.age, "seconds that they may wait"),
        Option(
            "overflow",
            choice(*(each.value for each in Overflow)),
            usual.overflow.value,
            "what happens then: close (1013), drop the oldest, or keep only the latest",
        ),
    )


def makeBacklog(options: Mapping[str, Any]) -> Backlog:
    """
    Make the backlog that the options describe.
    """
    return Backlog(
        options["backlog"], options["backlog-age"], Overflow(options["overflow"])
    )
