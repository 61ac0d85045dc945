"""The documentation names modules and objects that exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import wsplug

DOCS = Path(__file__).parents[2] / "docs"
NAMED = sorted(
    {
        (name, str(page.relative_to(DOCS)))
        for page in DOCS.rglob("*.md")
        for name in re.findall(
            r"`(wsplug(?:\.\w+)+)(?:\([^`]*\))?`", page.read_text("utf-8")
        )
        # Subprotocols and files.
        if not re.search(r"\.(v1|js|toml|service|socket|log|pid|sock)\b", name)
    }
)


@pytest.mark.parametrize(("name", "page"), NAMED)
def test_python_names(name: str, page: str) -> None:
    """A dotted Python name in a page is a module, or in one."""
    _resolve(name)


def _resolve(name: str) -> object:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        parent, _, attribute = name.rpartition(".")
        return getattr(_resolve(parent), attribute)


def test_packages() -> None:
    """The architecture page names each package."""
    page = (DOCS / "explanation" / "architecture.md").read_text("utf-8")
    source = Path(wsplug.__file__).parent
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    assert packages - set(re.findall(r"^\| `wsplug\.(\w+)`", page, re.M)) == set()


def test_kinds() -> None:
    """Each page is of one of the four kinds, or is about the project; the index of
    its kind links to it.
    """
    kinds = {"tutorial", "guides", "reference", "explanation", "project"}
    for page in DOCS.rglob("*.md"):
        path = page.relative_to(DOCS)
        if path == Path("index.md"):
            continue
        assert path.parts[0] in kinds, path
        index = DOCS / path.parts[0] / "index.md"
        if page != index:
            name = str(path.relative_to(path.parts[0]).with_suffix(""))
            assert f"\n{name}\n" in index.read_text("utf-8"), path
