"""
Whether the compiled or the pure-Python build runs.

The hot modules are ordinary Python that Cython can compile. If a C compiler is present,
the installation puts an extension module beside each C{.py}, and Python prefers the
extension. If you set the environment variable C{WSPLUG_PURE} to anything but C{0},
Python runs the C{.py} instead.
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
The modules that are compiled. They handle a message on its way from bytes to the
application and back. A module whose classes have a C layout has a C{.pxd} beside it.
"""

MARK: Final = "wsplug-source-digest:"
"""
The mark in an extension module in front of the L{digestOf} its source.
"""

_PACKAGE: Final = Path(__file__).parent


def _is_built() -> bool:
    return any(
        _PACKAGE.joinpath("codec", f"receiver{suffix}").exists()
        for suffix in EXTENSION_SUFFIXES
    )


class _SourceFinder:
    """
    Finds the sources of the hot modules instead of the extension modules.
    """

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """
        Find a module, for C{sys.meta_path}.
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
The build's name in the log, the metrics and the status page. C{--version} has more: see
L{describeBuild}.
"""


def _fileOf(name: str, suffix: str) -> Path:
    _, *parts = name.split(".")
    return _PACKAGE.joinpath(*parts[:-1], f"{parts[-1]}{suffix}")


def digestOf(name: str) -> str:
    """
    Return the digest of a hot module's sources: its C{.py}, and its C{.pxd} if it has
    one.

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
    Return whether an extension module was compiled from other sources than those beside
    it.
    """
    return f"{MARK}{digestOf(name)}".encode("ascii") not in file.read_bytes()


def describeBuild() -> str:
    """
    Describe which hot modules are loaded compiled.

    @return: C{"compiled"} if all are, from the present sources; C{"pure Python"} if
        none is; else a description of the error, with the modules' names.
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
    # The package imports this module first, before any compiled module.
    sys.meta_path.insert(0, _SourceFinder)
