"""docs/explanation/security.md makes no claim that isn't tested."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from wsplug.tap import Options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([a-z/_]+\.py)::(\w+)`", PAGE)))


def rows(title: str) -> list[list[str]]:
    """Give the cells of a section's table."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


@cache
def namesIn(path: str) -> set[str]:
    """Give the names in a test file."""
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_named_tests(path: str, name: str) -> None:
    """Each test that the page names exists."""
    assert name in namesIn(path)


def test_rows() -> None:
    """Each threat has a defence and tests, and each setting is an option."""
    table = rows("What is defended")
    assert len(table) > 20
    names = {name.rstrip("=") for name in Options().longOpt}
    for threat, defence, settings, named in table:
        assert threat
        assert defence
        assert re.fullmatch(r"(`[a-z/_]+\.py::\w+`(, )?)+", named), threat
        assert set(re.findall(r"`([a-z-]+)`", settings)) <= names, threat


def test_secrets() -> None:
    """Each place that the page lists for secrets is an option, or one of the strings
    of auth.
    """
    names = {name.rstrip("=") for name in Options().longOpt}
    for _, place, _ in rows("Secrets"):
        word = re.findall(r"`([a-z-]+)", place)[0]
        assert word in names | {"token", "file", "jwt"}, place


def test_policy() -> None:
    """The instructions for reporting a vulnerability are where hosts look for them,
    have no invented address, and link to what is known.
    """
    policy = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "@" not in policy
    assert "docs/explanation/security.md#what-is-not-defended" in policy
    assert "## What is not defended\n" in PAGE
    assert "SECURITY.md" in PAGE
    assert "include SECURITY.md" in (ROOT / "MANIFEST.in").read_text("utf-8")


def test_links() -> None:
    """Each page and section that the documentation links to exists."""
    pages = [ROOT / "README.md", ROOT / "SECURITY.md"]
    pages += sorted(ROOT.glob("docs/**/*.md"))
    pages += sorted(ROOT.glob("examples/**/README.md"))
    for page in pages:
        text = page.read_text("utf-8")
        links = re.findall(r"\]\(([^)\s]+)\)|^\[[\w-]+\]: (\S+)$", text, re.MULTILINE)
        for target in (inline or named for inline, named in links):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            other = (page.parent / path) if path else page
            assert other.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.M)
                assert anchor in map(_anchorOf, headings), f"{page.name}: {target}"


def _anchorOf(heading: str) -> str:
    """Give a section's anchor as Markdown hosts do."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
