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
from hashlib import sha256
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = [
    "COMPILED",
    "DESCRIPTION",
    "HOT_MODULES",
    "MARK",
    "describeBuild",
    "digestOf",
]

HOT_MODULES: Final = (
    "wsplug.codec.receiver",
    "wsplug.guard.metering",
    "wsplug.rates",
    "wsplug.server.broadcasting",
    "wsplug.server.connection",
    "wsplug.server.inboundlimits",
    "wsplug.server.inputgate",
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

MARK: Final = "wsplug-source-digest:"
"""
What stands in an extension module in front of the L{digestOf} its source.
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
        return spec_from_file_location(name, _fileOf(name, ".py"))


COMPILED: Final = _is_built() and os.environ.get("WSPLUG_PURE", "0") in ("", "0")
"""
Whether the compiled modules run.
"""

DESCRIPTION: Final = "compiled" if COMPILED else "pure Python"
"""
What C{--version} and the log say of it.
"""


def _fileOf(name: str, suffix: str) -> Path:
    _, *parts = name.split(".")
    return _PACKAGE.joinpath(*parts[:-1], f"{parts[-1]}{suffix}")


def digestOf(name: str) -> str:
    """
    Give the digest of what a hot module is compiled from: its C{.py}, and its C{.pxd}
    where it has one.

    @param name: one of L{HOT_MODULES}.
    """
    digest = sha256()
    for suffix in (".py", ".pxd"):
        file = _fileOf(name, suffix)
        if file.exists():
            digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _isStale(name: str, file: Path) -> bool:
    """
    Say whether an extension module was compiled from another source than the one beside
    it.
    """
    return f"{MARK}{digestOf(name)}".encode("ascii") not in file.read_bytes()


def describeBuild() -> str:
    """
    Say which of the hot modules really run compiled.

    @return: C{"compiled"} where all do, and from the sources that are here; C{"pure
        Python"} where none does; else what is wrong, and with which modules.
    """
    files = {name: Path(str(import_module(name).__file__)) for name in HOT_MODULES}
    compiled = [name for name in HOT_MODULES if files[name].suffix != ".py"]
    if not compiled:
        return "pure Python"
    plain = [name for name in HOT_MODULES if name not in compiled]
    stale = [name for name in compiled if _isStale(name, files[name])]
    wrong = []
    if plain:
        wrong.append(f"{len(compiled)} of {len(files)} modules; not {', '.join(plain)}")
    if stale:
        wrong.append(f"STALE: built from other sources: {', '.join(stale)}")
    return "; ".join(["compiled", *wrong])


if _is_built() and not COMPILED:
    # The package imports this before anything else: nobody has imported the compiled
    # ones yet.
    sys.meta_path.insert(0, _SourceFinder)
