"""
Which build runs.

The hot modules are ordinary Python that Cython can compile: an installation with a C
compiler at hand has both, the C{.py} and the extension module beside it, which Python
prefers. The environment variable C{WSPLUG_PURE}, set to anything but C{0}, has the
C{.py} run all the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["COMPILED", "DESCRIPTION", "HOT_MODULES"]

HOT_MODULES: Final = (
    "wsplug.codec.receiver",
    "wsplug.guard.metering",
    "wsplug.server.broadcasting",
    "wsplug.server.connection",
    "wsplug.server.inputgate",
    "wsplug.server.intake",
    "wsplug.server.prepared",
    "wsplug.server.statistics",
    "wsplug.transport.direct",
    "wsplug.transport.epollset",
    "wsplug.transport.flusher",
    "wsplug.transport.sendqueue",
    "wsplug.transport.traffic",
)
"""
The modules that are compiled: the way of a message, from bytes to the application and
back. Those whose classes get a C layout have a C{.pxd} beside them.
"""

_PACKAGE: Final = Path(__file__).parent


def _is_built() -> bool:
    return any(
        _PACKAGE.joinpath("codec", f"receiver{suffix}").exists()
        for suffix in EXTENSION_SUFFIXES
    )


class _SourceFinder:
    """
    Finds the hot modules' sources, past the extension modules.
    """

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """
        Find a module, as C{sys.meta_path} wants it.
        """
        if name not in HOT_MODULES:
            return None
        _, *parts = name.split(".")
        return spec_from_file_location(
            name, _PACKAGE.joinpath(*parts[:-1], f"{parts[-1]}.py")
        )


COMPILED: Final = _is_built() and os.environ.get("WSPLUG_PURE", "0") in ("", "0")
"""
Whether the compiled modules run.
"""

DESCRIPTION: Final = "compiled" if COMPILED else "pure Python"
"""
What C{--version} and the log say of it.
"""


if _is_built() and not COMPILED:
    # The package imports this before anything else: nobody has imported the compiled
    # ones yet.
    sys.meta_path.insert(0, _SourceFinder)
