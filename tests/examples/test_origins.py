"""What docs/guides/origins.md says is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.documentation.pages import codeIn
from wsplug.apps.echo import echo
from wsplug.assembly import combine, readFile
from wsplug.errors import HandshakeRefused
from wsplug.guard.origins import OriginRules
from wsplug.tap import Options
from wsplug.testing import MemoryServer

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "origins.md").read_text("utf-8")

RULES = ("https://example.org", "https://*.example.net")


def test_configuration(tmp_path: Path) -> None:
    """The file and the command line can be served, and mean the same."""
    (block,) = codeIn(PAGE, "toml")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    assert combine({}, readFile(str(path))).access.origins == RULES
    line, _ = re.findall(r"^\$ twistd -n wsplug (.*)$", PAGE, re.MULTILINE)
    options = Options(MemoryReactorClock())
    options.parseOptions(shlex.split(line))
    assert options.configuration.access.origins == RULES


def test_refusal() -> None:
    """The page's log line is that of such a refusal."""
    (line,) = codeIn(PAGE, "text")
    server = MemoryServer(echo)
    with pytest.raises(HandshakeRefused) as caught:
        server.connect(origin="https://shop.example")
    assert line.strip() == f"192.0.2.1:50312 refused: {caught.value}" + " (origin)"


def test_rules() -> None:
    """Each rule in the table is valid, and there are no other kinds."""
    rules = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert rules == [
        "https://example.org",
        "https://*.example.org",
        "null",
        "file://",
        "*",
        "same-host",
        "same-origin",
        "none",
    ]
    for rule in rules:
        OriginRules([rule])


@pytest.mark.parametrize(
    ("rule", "right"),
    [
        ("https://a*.example.org", False),
        ("https://a.*.example.org", False),
        ("https://*.org", False),
        ("http://*.localhost:3000", True),
        ("https://xn--exmple-cua.org", True),
        ("http://[::1]:8080", True),
        ("capacitor://localhost", True),
    ],
)
def test_examples(rule: str, right: bool) -> None:
    """Values that the page calls valid rules are accepted, and the others are
    refused.
    """
    assert f"`{rule}`" in PAGE
    if right:
        OriginRules([rule])
    else:
        with pytest.raises(ValueError, match="is not an origin"):
            OriginRules([rule])


def test_what_only_looks_like_it() -> None:
    """The page's examples of other sites' origins."""
    sentence = re.search(r"Neither (.*?) is another origin", PAGE, re.DOTALL)
    assert sentence is not None
    others = set(re.findall(r"`(\S+)`", sentence[1])) - {"https://example.org"}
    assert len(others) == 4
    for other in others:
        assert not OriginRules(["https://example.org"]).allow(other.encode(), None)
