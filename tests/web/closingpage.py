"""
The tables of docs/reference/closing.md, and the settings that the code names as a
cause.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import wsplug
from tests.documentation.pages import readPage

__all__ = ["AFTER", "HANDSHAKE", "TLS", "Row", "namedSettings", "readRows"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "closing.md").read_text("utf-8")

AFTER, HANDSHAKE, TLS = (
    "After the handshake",
    "Instead of the handshake",
    "Instead of TLS",
)


@dataclass(frozen=True)
class Row:
    """
    A row.

    @ivar what: what has happened: its first cell.
    @ivar cells: the other cells.
    """

    what: str
    cells: tuple[str, ...]

    @property
    def settings(self) -> set[str | None]:
        """
        The settings in the last cell; C{None} if there is no setting.
        """
        named: set[str | None] = set(re.findall(r"`([a-z-]+)`", self.cells[-1]))
        if self.cells[-1].startswith("operator"):
            named.add("operator")
        return named or {None}

    def hasCodes(self, found: set[int]) -> bool:
        """
        Say whether the codes or statuses are those of the row: all of them, unless the
        row says that others choose them.
        """
        cell = self.cells[-2]
        codes = {int(each) for each in re.findall(r"\b[0-9]{3,4}\b", cell)}
        if re.search(r"its own|'s", cell):
            return codes <= found and bool(found)
        return codes == found


def readRows(section: str) -> dict[str, Row]:
    """
    Read the table of a section.
    """
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    table = [line for line in text.splitlines() if line.startswith("|")][2:]
    rows: dict[str, Row] = {}
    for line in table:
        what, *cells = (cell.strip() for cell in line.strip().strip("|").split(" |"))
        assert what not in rows, f"two rows: {what}"
        rows[what] = Row(what, tuple(cells))
    return rows


_ROOMS = ("codec", "guard", "server", "auth", "admin", "web")

_WORDS = frozenset({"auth", "origin", "operator"})
"""
Settings whose names look like ordinary words.
"""

_DECLARING = ("Option", "option")


def namedSettings() -> dict[str, str]:
    """
    Find the settings that the code names as the cause of something, without the
    declarations of options.

    @return: a source location for each.
    """
    options = readPage("options")
    known = set(re.findall(r"^\| `(?:--)?([a-z0-9-]+)", options, re.MULTILINE))
    names = {each for each in known if "-" in each} | _WORDS
    package = Path(wsplug.__file__).parent
    # A line that is left out of the log ends no connection.
    names.discard("max-address-log-rate")
    found: dict[str, str] = {}
    for room in _ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            for node in _texts(ast.parse(path.read_text("utf-8"))):
                if node.value in names:
                    place = f"{path.relative_to(package)}:{node.lineno}"
                    found.setdefault(str(node.value), place)
    return found


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """
    Return all texts except those in declarations of options.
    """
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _DECLARING:
        return
    if isinstance(node, ast.Constant):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)
