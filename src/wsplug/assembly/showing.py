"""
What the commands show: versions, and the applications with their options.
"""

from __future__ import annotations

import platform

import twisted
import wsplug
from wsplug.build import describeBuild
from wsplug.options import Option
from wsplug.plugins import MOUNT_OPTIONS, findApplications, findFailures

__all__ = ["listApplications", "oneLine", "showVersions"]


def showVersions() -> str:
    """
    Give a line with the versions of wsplug and what it runs on.
    """
    return (
        f"wsplug {wsplug.__version__} (codec: {describeBuild()}), "
        f"Twisted {twisted.__version__}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def listApplications() -> str:
    """
    Give lines with the applications, their options, and what doesn't load.
    """
    lines = []
    for plugin in findApplications():
        lines.append(f"{plugin.name}: {plugin.help}")
        lines.extend(_describe(option) for option in plugin.options)
    lines.append("")
    lines.append("Each application takes these too:")
    lines.extend(_describe(option) for option in MOUNT_OPTIONS)
    failures = findFailures()
    if failures:
        lines.append("")
        lines.append("These do not load:")
        lines.extend(f"    {name}: {reason}" for name, reason in failures)
    return "\n".join(lines)


def oneLine(error: Exception) -> str:
    """
    Give what an error says in one line.
    """
    return " ".join(str(error).split())


def _describe(option: Option) -> str:
    return f"    {option.name}: {option.line}"
