"""
C{--app process}: the plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from zope.interface import implementer

from wsplug.apps.process.application import (
    PrivatePrograms,
    RoomPrograms,
    SharedProgram,
)
from wsplug.apps.process.options import OPTIONS, ProcessOptions
from wsplug.errors import InvalidOption
from wsplug.interfaces import (
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)

__all__ = ["process"]

_MODES: Final[
    dict[str, Callable[[ProcessOptions, IServices], IWebSocketApplication]]
] = {
    "client": PrivatePrograms,
    "shared": SharedProgram,
    "room": RoomPrograms,
}


@implementer(IWebSocketApplicationPlugin)
class _ProcessPlugin:
    """
    Makes the application of a mode.
    """

    name = "process"
    help = "Put any program behind a WebSocket, for each client, each room, or all."
    options = OPTIONS

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        if not hasattr(os, "killpg"):
            raise InvalidOption(
                "process needs a POSIX system (Linux, macOS, the BSDs), which can end "
                "programs with all their children"
            )
        parsed = ProcessOptions.of(options)
        return _MODES[parsed.mode](parsed, services)


process: Final = _ProcessPlugin()
