"""The codec imports only the standard library and the errors (DESIGN's rule)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wsplug.codec
from wsplug import errors, printable

FOLDER = Path(wsplug.codec.__file__).parent
SHARED = (errors, printable)
MODULES = [*sorted(FOLDER.glob("*.py")), *(Path(str(each.__file__)) for each in SHARED)]


def imported(path: Path) -> set[str]:
    """Return all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path.name}"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imports(path: Path) -> None:
    """Check the imports in each module's source."""
    for name in imported(path):
        own = name.startswith("wsplug.codec") or name in (
            "wsplug.errors",
            "wsplug.build",
            "wsplug.printable",
        )
        assert own or name.split(".")[0] in sys.stdlib_module_names, name


def test_nothing_else_is_loaded() -> None:
    """A new interpreter that imports the codec has loaded neither Twisted nor zope."""
    code = (
        "import sys, wsplug.codec\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'twisted', 'zope', 'msgspec'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name
)
def test_export_list(path: Path) -> None:
    """Each module's C{__all__} is sorted and complete."""
    name = "wsplug.codec" if path.stem == "__init__" else f"wsplug.codec.{path.stem}"
    module = __import__(name, fromlist=["__all__"])
    assert len(set(module.__all__)) == len(module.__all__)
    for export in module.__all__:
        assert hasattr(module, export)
