"""
Drop-ins: the modules under C{twisted/plugins/}, and what they register.

C{twisted.plugin} logs a traceback for each drop-in that doesn't load, at each lookup.
The functions here log nothing, and return which drop-ins don't load, and why.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from twisted.python.modules import getModule
from zope.interface.verify import verifyObject

from wsplug.mistakes import DeclarationError
from wsplug.printable import oneLine

__all__ = [
    "addToPath",
    "addWorkingFolder",
    "brokenContract",
    "explainImport",
    "findBrokenDropIns",
    "findPlugins",
]


def addToPath(folder: str) -> None:
    """
    Put a folder first on the path for modules, as Python does for the folder of a
    script.

    @param folder: its absolute path.
    """
    if folder not in sys.path:
        sys.path.insert(0, folder)


def addWorkingFolder() -> None:
    """
    Search C{twisted/plugins} of the working directory for drop-ins, if there is one,
    and the working directory for what they import. C{twistd} does this for the folders
    that are on the path when it starts.
    """
    import twisted.plugins as package

    try:
        here = os.getcwd()
    except OSError:
        return  # it was deleted
    folder = os.path.join(here, "twisted", "plugins")
    # With an __init__.py, it is a package of its own: see twisted.plugin.
    if os.path.isdir(folder) and not os.path.exists(
        os.path.join(folder, "__init__.py")
    ):
        addToPath(here)
        if folder not in package.__path__:
            package.__path__.append(folder)


def findPlugins(interface: Any) -> list[Any]:
    """
    Return the plugins that drop-ins register.

    @param interface: the interface that they provide, which extends C{IPlugin}.
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
    Return the drop-ins that don't load, of any kind.

    @return: file and reason for each.
    """
    return [problem for _, problem in _loadAll() if problem is not None]


def brokenContract(
    plugin: Any, interface: Any, *checks: Callable[[Any], object]
) -> str | None:
    """
    Check whether a plugin fulfils the contract of an interface.

    @param checks: further checks, which raise an error if it doesn't.
    @return: the reason why it doesn't, in one line; C{None} if it does.
    """
    try:
        verifyObject(interface, plugin)
        interface.validateInvariants(plugin)
        for check in checks:
            check(plugin)
    except Exception as error:
        # Invalid, or any error of a computed attribute.
        return oneLine(error)
    return None


_ROOT: Final = Path(__file__).parent

_Loaded = tuple[Any, "tuple[str, str] | None"]


def _loadAll() -> Sequence[_Loaded]:
    """
    Load every drop-in, the first of those with the same name: once, as long as there
    are the same ones.

    @return: for each, the module and C{None}; or, if it doesn't load, C{None} and the
        file with the reason.
    """
    import twisted.plugins as package

    return _loadFrom(
        package.__name__, tuple((path, _changed(path)) for path in package.__path__)
    )


def _changed(path: str) -> int:
    """
    Return the time, in nanoseconds, when the list of a folder's files last changed.
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
        return False  # the object doesn't support the check


def _isOurs(path: str) -> bool:
    return Path(path).is_relative_to(_ROOT)


def explainImport(error: BaseException) -> str:
    """
    Describe an error of an import in one line, with its location.
    """
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({error.filename}, line {error.lineno})"
    message = " ".join(str(error).split())
    if isinstance(error, DeclarationError) and error.place is not None:
        return f"{message} ({error.place[0]}, line {error.place[1]})"
    frames = list(traceback.extract_tb(error.__traceback__))
    # Where wsplug finds a mistake says less than whose line it is.
    frames = [each for each in frames if not _isOurs(each.filename)] or frames
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}{where}"
