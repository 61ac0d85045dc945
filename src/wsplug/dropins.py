"""
Drop-ins: the modules under C{twisted/plugins/}, and what they register.

C{twisted.plugin} logs a traceback for each one that doesn't load, each time that
anything is looked up. Here they are looked up without a word, and whoever looks is told
which ones don't load, and why.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from twisted.python.modules import getModule

__all__ = ["explainImport", "findBrokenDropIns", "findPlugins"]


def findPlugins(interface: Any) -> list[Any]:
    """
    Give what drop-ins have registered.

    @param interface: an C{IPlugin}.
    """
    return [
        value
        for module, _ in _loadAll()
        if module is not None
        for value in list(vars(module).values())
        if _provides(value, interface)
    ]


def findBrokenDropIns() -> list[tuple[str, str]]:
    """
    Give the drop-ins that don't load, whatever they are for.

    @return: the file and the reason of each.
    """
    return [problem for _, problem in _loadAll() if problem is not None]


_Loaded = tuple[Any, "tuple[str, str] | None"]


def _loadAll() -> Sequence[_Loaded]:
    """
    Load every drop-in, the first of those with the same name: once, as long as there
    are the same ones.

    @return: for each the module and C{None}, or C{None}, and the file and the reason
        where it doesn't load.
    """
    import twisted.plugins as package

    return _loadFrom(
        package.__name__, tuple((path, _changed(path)) for path in package.__path__)
    )


def _changed(path: str) -> int:
    """
    Give the time, in nanoseconds, when files of a folder came and went last.
    """
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _loadFrom(name: str, folders: tuple[tuple[str, int], ...]) -> Sequence[_Loaded]:
    """
    Load the drop-ins of a package.

    @param folders: where they are, and when those have changed.
    """
    return tuple(_load(name))


def _load(name: str) -> Iterator[_Loaded]:
    modules: dict[str, Any] = {}
    for module in getModule(name).iterModules():
        modules.setdefault(module.name, module)
    for module in modules.values():
        try:
            loaded = module.load()
        except (Exception, SystemExit) as error:
            yield None, (module.filePath.path, explainImport(error))
        else:
            yield loaded, None


def _provides(value: object, interface: Any) -> bool:
    try:
        return bool(interface.providedBy(value))
    except Exception:
        return False  # whatever it is, it answers no question


def explainImport(error: BaseException) -> str:
    """
    Say in one line what went wrong while something was imported, and where.
    """
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}{where}"
