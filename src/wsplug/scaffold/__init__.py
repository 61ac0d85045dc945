"""
C{wsplug new NAME}: a package with an application of your own, to begin with.

The files are in C{template/}, with C{@name@} for the application's name, C{@module@}
for the module's and C{@Class@} for the class's, also in the names of files and folders.
Their own names end in C{.in}, so that nothing takes them for the server's.
"""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from wsplug.errors import ConfigurationError
from wsplug.plugins import findApplications

__all__ = ["makePackage"]

_SUFFIX: Final = ".in"

_RENAMED: Final = {"gitignore": ".gitignore"}
"""
Files whose names would hide them among the server's.
"""


def makePackage(name: str, folder: Path) -> list[Path]:
    """
    Make a package in a new folder.

    @param name: the application's name, for C{--app} and for the package: C{my-quiz}.
    @param folder: the folder to make.
    @return: the files, as paths below the folder, sorted.
    @raise ConfigurationError: the name can't be used, or the folder isn't empty.
    """
    module = name.replace("-", "_")
    _checkName(name, module)
    values = {
        "@name@": name,
        "@module@": module,
        "@Class@": "".join(word.title() for word in module.split("_")),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigurationError(f"{folder} isn't empty: choose another folder")
        _copy(files("wsplug.scaffold") / "template", folder, values)
    except OSError as error:
        raise ConfigurationError(
            f"can't write to {folder}: {error.strerror or error}"
        ) from None
    made = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder) for path in made)


def _checkName(name: str, module: str) -> None:
    """
    @raise ConfigurationError: it isn't the name of a package, or is another one's.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConfigurationError(
            f"{name!r} can't be the name of a package: use lower-case letters, digits "
            "and single dashes, such as my-quiz"
        )
    if keyword.iskeyword(module) or find_spec(module) is not None:
        raise ConfigurationError(
            f"{name!r} can't be the name of a package: Python has a module {module} "
            f"already; choose another name, such as my-{name}"
        )
    if any(plugin.name == name for plugin in findApplications()):
        raise ConfigurationError(
            f"there is an application {name!r} already; choose another name, such as "
            f"my-{name}"
        )


def _copy(source: Any, target: Path, values: dict[str, str]) -> None:
    """
    Copy what is in a folder of templates.

    @param source: an C{importlib.resources} C{Traversable}.
    """
    for each in source.iterdir():
        name = _RENAMED.get(each.name[: -len(_SUFFIX)], _fill(each.name, values))
        if each.is_dir():
            (target / name).mkdir()
            _copy(each, target / name, values)
        elif each.name.endswith(_SUFFIX):
            path = target / name.removesuffix(_SUFFIX)
            path.write_text(_fill(each.read_text("utf-8"), values), "utf-8")


def _fill(text: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text
