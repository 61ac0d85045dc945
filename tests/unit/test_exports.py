"""The names that the package exports."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import wsplug
from tests.documentation.pages import readPage

FACADES = [
    "wsplug",
    "wsplug.auth",
    "wsplug.broker",
    "wsplug.codec",
    "wsplug.server",
    "wsplug.testing",
]
FOR_APPLICATIONS = [
    "wsplug.auth",
    "wsplug.awaiting",
    "wsplug.broker",
    "wsplug.clocks",
    "wsplug.digests",
    "wsplug.displaynames",
    "wsplug.dropins",
    "wsplug.errors",
    "wsplug.failures",
    "wsplug.files",
    "wsplug.folder",
    "wsplug.interfaces",
    "wsplug.jsonmessages",
    "wsplug.jsontext",
    "wsplug.networks",
    "wsplug.options",
    "wsplug.plain",
    "wsplug.printable",
    "wsplug.rates",
    "wsplug.roompages",
    "wsplug.staticfiles",
]
"""The public modules for applications, besides the names of C{wsplug} itself."""
MODULES = [
    "wsplug.apps.bot",
    "wsplug.assembly",
    "wsplug.authoring.bases",
    "wsplug.authoring.coroutine",
    "wsplug.authoring.decorators",
    "wsplug.plugins",
    "wsplug.service",
    "wsplug.tap",
    "wsplug.web.site",
]


@pytest.mark.parametrize("name", sorted({*FACADES, *FOR_APPLICATIONS, *MODULES}))
def test_all_resolves(name: str) -> None:
    """Each name in __all__ exists, and is listed once."""
    module = import_module(name)
    names = module.__all__
    assert len(set(names)) == len(names)
    for each in names:
        assert getattr(module, each) is not None


def test_policy() -> None:
    """The compatibility policy names the modules that applications use."""
    promised = readPage("compatibility").partition("- **Options.**")[0]
    for name in FOR_APPLICATIONS:
        assert f"`{name}`" in promised, name


def test_root_is_lazy() -> None:
    """Importing wsplug, its errors or its codec imports nothing of Twisted or zope
    (DESIGN section 1)."""
    code = (
        "import sys, wsplug, wsplug.errors, wsplug.codec, wsplug.options\n"
        "bad = [name for name in sys.modules if name.split('.')[0] in "
        "('twisted', 'zope')]\n"
        "assert not bad, bad\n"
        "wsplug.application\n"
        "assert 'zope.interface' in sys.modules\n"
        "assert 'twisted.internet.reactor' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_unknown_name() -> None:
    """An unknown name raises AttributeError, as usual."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        wsplug.nonsense  # noqa: B018
