"""
The output of C{--version} and C{--list-apps}.
"""

from __future__ import annotations

import platform

import twisted
from wsplug.build import describeBuild
from wsplug.options import Option
from wsplug.plugins import MOUNT_OPTIONS, findApplications, findFailures
from wsplug.version import __version__

__all__ = ["listApplications", "showVersions"]


def showVersions() -> str:
    """
    Return a line with the versions of wsplug, Twisted and Python.
    """
    return (
        f"wsplug {__version__} (codec: {describeBuild()}), "
        f"Twisted {twisted.__version__}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def listApplications() -> str:
    """
    Return lines with the applications, their options, and the plugins that don't load.
    """
    lines = []
    for plugin in findApplications():
        lines.append(f"{plugin.name}: {plugin.help}")
        lines.extend(_describe(option) for option in plugin.options)
    lines.append("")
    lines.append("Each application also takes these options:")
    lines.extend(_describe(option) for option in MOUNT_OPTIONS)
    failures = findFailures()
    if failures:
        lines.append("")
        lines.append("These do not load:")
        lines.extend(f"    {name}: {reason}" for name, reason in failures)
    return "\n".join(lines)


def _describe(option: Option) -> str:
    return f"    {option.name}: {option.line}"
