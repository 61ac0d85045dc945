"""
Which build of the codec runs.

The hot modules are ordinary Python that Cython can compile: an installation with a C
compiler at hand has both, the C{.py} and the extension module beside it, which Python
prefers. The environment variable C{WSPLUG_PURE}, set to anything but C{0}, has the
C{.py} run all the same.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

__all__ = ["COMPILED", "DESCRIPTION", "HOT_MODULES"]

HOT_MODULES: Final = ("frames", "receiver")
"""
The modules with a C{.pxd} beside them.
"""

_FOLDER: Final = Path(__file__).parent


def _is_built() -> bool:
    return any(
        _FOLDER.joinpath(f"receiver{suffix}").exists() for suffix in EXTENSION_SUFFIXES
    )


def _load_source(name: str) -> None:
    """
    Import a hot module from its source, past the extension module.
    """
    full = f"wsplug.codec.{name}"
    spec = spec_from_file_location(full, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
    # As the import system does it: the module is an attribute of its package.
    setattr(sys.modules["wsplug.codec"], name, module)


COMPILED: Final = _is_built() and os.environ.get("WSPLUG_PURE", "0") in ("", "0")
"""
Whether the compiled codec runs.
"""

DESCRIPTION: Final = "compiled" if COMPILED else "pure Python"
"""
What C{--version} and the log say of it.
"""


if _is_built() and not COMPILED:
    # This is the first module of the package that is imported: nobody has imported
    # the compiled ones yet.
    for _name in HOT_MODULES:
        _load_source(_name)
