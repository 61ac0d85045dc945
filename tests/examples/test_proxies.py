"""What docs/guides/proxies.md says is true, as far as the live tests don't cover it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock

from tests.documentation.pages import codeIn
from wsplug.assembly import combine, readFile
from wsplug.codec.proxyheader import MAX_SIZE
from wsplug.guard import proxies
from wsplug.guard.proxies import ProxySettings
from wsplug.options import optionsOf
from wsplug.server.settings import Settings
from wsplug.tap import Options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "proxies.md").read_text("utf-8")
EXAMPLES = ROOT / "examples" / "proxies"


def test_examples() -> None:
    """The page shows each example unchanged."""
    shown = codeIn(PAGE, "nginx", "haproxy")
    assert sorted(shown) == sorted(
        path.read_text("utf-8") for path in EXAMPLES.iterdir()
    )


def test_options() -> None:
    """The table of options is complete, with defaults."""
    lines = re.findall(r"^\| (.*) \|$", PAGE.partition("\n## ")[0], re.M)
    rows = [[cell.strip("`") for cell in line.split(" | ")] for line in lines[2:]]
    actual = [
        [each.name, each.shownDefault, each.help] for each in optionsOf(ProxySettings)
    ]
    assert rows == actual


def test_configuration(tmp_path: Path) -> None:
    """
    The configuration file can be served.
    """
    (block,) = codeIn(PAGE, "toml")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    configuration = combine({}, readFile(str(path)))
    assert configuration.access.proxies == ProxySettings(("127.0.0.1", "10.1.0.0/16"))


def test_commands() -> None:
    """So can the commands of the examples and of the page; those with TLS need their
    files.
    """
    texts = [PAGE, *(path.read_text("utf-8") for path in EXAMPLES.iterdir())]
    lines = [
        line
        for text in texts
        for line in re.findall(
            r"twistd wsplug (.*)$", re.sub(r" \\\n# *", " ", text), re.M
        )
    ]
    assert len(lines) == 9
    for line in lines:
        words = [
            re.sub(r"^ssl:(\d+):interface=([\d.]+):.*", r"tcp:\1:interface=\2", word)
            for word in shlex.split(line)
        ]
        options = Options(MemoryReactorClock())
        options.parseOptions(words)
        assert options.configuration.access.proxies.trusted == ("127.0.0.1",)


def test_words() -> None:
    """What the page quotes from the log is logged, and its numbers are the code's."""
    source = re.sub(r'"\s+"', "", Path(proxies.__file__).read_text("utf-8"))
    for quote in ("names other clients in its requests, as a proxy does, but is not",):
        assert quote in PAGE
        assert quote in source
    assert f"may have {MAX_SIZE} bytes" in PAGE
    settings = Settings()
    assert settings.ping_interval == settings.ping_timeout == 20
    assert "silence, 20 seconds" in PAGE


def test_timeouts() -> None:
    """The timeouts of the example proxies are longer than the interval of the
    server's pings.
    """
    settings = Settings()
    for path in EXAMPLES.iterdir():
        (first, *others) = re.findall(
            r"(?:proxy(?:_read)?_timeout|timeout (?:tunnel|client)) (\d+)s",
            path.read_text("utf-8"),
        )
        for seconds in (first, *others):
            assert int(seconds) > settings.ping_interval + settings.ping_timeout
