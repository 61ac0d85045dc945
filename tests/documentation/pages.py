"""
The pages of the documentation, and the blocks of code in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "PAGES",
    "ROOT",
    "SHELL",
    "Block",
    "allBlocks",
    "blocksOf",
    "codeIn",
    "findPage",
    "readPage",
]

ROOT = Path(__file__).parents[2]

SHELL = ("", "sh", "bash", "shell", "console")
"""Languages of blocks of commands. An indented block has no language."""

_GENERATED = ("build", "node_modules", "_build")

PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/**/*.md")),
]
"""All pages for readers."""
PAGES = [path for path in PAGES if not set(path.parts) & set(_GENERATED)]


@dataclass(frozen=True)
class Block:
    """A block of code in a page: fenced or indented.

    @ivar page: the page's path, from the top of the repository.
    @ivar line: the number of its first line of code.
    @ivar language: the word after the fence; C{""} for an indented block.
    @ivar text: the code, with a newline at its end.
    @ivar section: the heading above it.
    """

    page: str
    line: int
    language: str
    text: str
    section: str

    @property
    def name(self) -> str:
        """The page's name, wherever it is: its file's name without C{.md}, and for a
        folder's README the folder's name.
        """
        path = Path(self.page)
        if path.stem == "README" and len(path.parts) > 1:
            return path.parent.name
        return path.stem

    @property
    def first(self) -> str:
        """
        The first line.
        """
        return self.text.splitlines()[0].strip()


def findPage(name: str) -> Path:
    """Find a page in any folder of docs/.

    @param name: its file's name without C{.md}.
    """
    (path,) = ROOT.glob(f"docs/**/{name}.md")
    return path


def readPage(name: str) -> str:
    """
    Read a page in docs/.
    """
    return findPage(name).read_text("utf-8")


@cache
def allBlocks() -> tuple[Block, ...]:
    """Give all blocks of all pages."""
    return tuple(block for path in PAGES for block in blocksOf(path))


def blocksOf(path: Path) -> Iterator[Block]:
    """Give the blocks of a page.

    @raise AssertionError: a fence isn't closed.
    """
    page = path.relative_to(ROOT).as_posix()
    section = ""
    fence: re.Match[str] | None = None
    start = 0
    code: list[str] = []
    # An indented block starts after an empty line. Indented text after a list item
    # belongs to the list.
    free, listed = True, False
    for number, line in enumerate([*path.read_text("utf-8").splitlines(), ""], 1):
        if fence is not None:
            if line.strip() == fence["marks"]:
                text = "".join(
                    f"{each.removeprefix(fence['indent'])}\n" for each in code
                )
                language = fence["language"].removeprefix("{code-block} ")
                # The site's other directives contain no code.
                if not language.startswith("{"):
                    yield Block(page, start, language, text, section)
                fence, code = None, []
            else:
                code.append(line)
            continue
        if code and (not line.startswith("    ")) and line.strip():
            yield _indented(page, start, code, section)
            code = []
        if found := re.match(r"(?P<indent> *)(?P<marks>```+)(?P<language>.*)", line):
            fence, start = found, number + 1
        elif line.startswith("    ") and (code or (free and not listed)):
            start = start if code else number
            code.append(line)
        elif code:
            code.append(line)
        elif line.startswith("#"):
            section = line.strip("# ")
        if line.strip() and not line.startswith(" "):
            listed = re.match(r"([-*+]|\d+\.) ", line) is not None
        free = not line.strip()
    assert fence is None, f"{page}: the block in line {start - 1} has no end"
    if code:
        yield _indented(page, start, code, section)


def codeIn(text: str, *languages: str) -> list[str]:
    """Give the code in a text's fenced blocks in some languages."""
    blocks = re.findall(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [code for language, code in blocks if language in languages]


def _indented(page: str, start: int, code: list[str], section: str) -> Block:
    text = "\n".join(line[4:] for line in code).rstrip() + "\n"
    return Block(page, start, "", text, section)
