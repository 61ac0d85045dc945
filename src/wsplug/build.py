"""
Whether the compiled or the pure-Python build runs.

The hot modules are ordinary Python that Cython can compile. If a C compiler is present,
the installation puts an extension module beside each C{.py}, and Python prefers the
extension. If you set the environment variable C{WSPLUG_PURE} to anything but C{0},
Python runs the C{.py} instead. It also does if the build is incomplete, that is, if
an extension module is missing: compiled modules rely on each other.
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
    "NATIVE_MODULES",
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

NATIVE_MODULES: Final = (
    "wsplug.codec._frames",
    "wsplug.codec._masking",
    "wsplug.codec._utf8",
    "wsplug.transport._sockets",
)
"""
The modules that are written in Cython, each for the C{.py} of the same name without
the underscore, which imports it in the compiled build.
"""

MARK: Final = "wsplug-source-digest:"
"""
The mark in an extension module in front of the L{digestOf} its source.
"""

_MODULES: Final = (*HOT_MODULES, *NATIVE_MODULES)

_PACKAGE: Final = Path(__file__).parent


def _fileOf(name: str, suffix: str) -> Path:
    _, *parts = name.split(".")
    return _PACKAGE.joinpath(*parts[:-1], f"{parts[-1]}{suffix}")


def _isBuilt(name: str) -> bool:
    return any(_fileOf(name, suffix).exists() for suffix in EXTENSION_SUFFIXES)


_MISSING: Final = [name for name in _MODULES if not _isBuilt(name)]
"""
The modules that have no extension module.
"""


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


COMPILED: Final = not _MISSING and os.environ.get("WSPLUG_PURE", "0") in ("", "0")
"""
Whether the compiled modules run.
"""

DESCRIPTION: Final = "compiled" if COMPILED else "pure Python"
"""
The build's name in the metrics and on the status page. C{--version} and the log have
more: see L{describeBuild}.
"""


def digestOf(name: str) -> str:
    """
    Return the digest of a module's sources: its C{.py} or C{.pyx}, and its C{.pxd} if
    it has one.

    @param name: one of L{HOT_MODULES} or L{NATIVE_MODULES}.
    """
    digest = sha256()
    for suffix in (".py", ".pyx", ".pxd"):
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
    Describe which modules are loaded compiled.

    @return: C{"compiled"} with the number of modules if all are, from the present
        sources; C{"pure Python"} if none is and none is built; else a description of
        what is wrong with the build, with the modules' names.
    """
    files = {name: Path(str(import_module(name).__file__)) for name in HOT_MODULES}
    if COMPILED:
        for name in NATIVE_MODULES:
            files[name] = Path(str(import_module(name).__file__))
    compiled = [name for name in files if files[name].suffix != ".py"]
    if not compiled:
        return _describePure()
    plain = [name for name in _MODULES if name not in compiled]
    stale = [name for name in compiled if _isStale(name, files[name])]
    count = f"compiled, {len(compiled)} of {len(_MODULES)} modules"
    wrong = []
    if plain:
        wrong.append(f"INCOMPLETE: pure Python: {', '.join(plain)}")
    if stale:
        wrong.append(f"STALE: built from other sources: {', '.join(stale)}")
    return "; ".join([count, *wrong])


def _describePure() -> str:
    if not _MISSING or len(_MISSING) == len(_MODULES):
        return "pure Python"
    return f"pure Python; INCOMPLETE: not built: {', '.join(_MISSING)}"


if len(_MISSING) < len(_MODULES) and not COMPILED:
    # The package imports this module first, before any compiled module.
    sys.meta_path.insert(0, _SourceFinder)
