"""What C{docs/guides/operating.md} says about options is true."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from tests.documentation.pages import codeIn
from wsplug.assembly import combine, readFile
from wsplug.assembly.configuration import LISTENING
from wsplug.plugins import Description
from wsplug.server.settings import SETTINGS
from wsplug.tap import Options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "operating.md").read_text("utf-8")


def section(title: str) -> str:
    """Give the text of a section."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def test_options() -> None:
    """The options in its table exist, with these defaults."""
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \|$", section("Draining"), re.M)
    real = {
        each.name: (each.name, each.shownDefault, each.help)
        for each in (*SETTINGS, *LISTENING)
    }
    assert len(rows) == 4
    for row in rows:
        assert row == real[row[0]]


def configuration(title: str) -> str:
    """Give the configuration in a section."""
    (block,) = codeIn(section(title), "toml")
    return str(block)


def test_where_it_listens(tmp_path: Path) -> None:
    """Twisted accepts the page's endpoints as described.

    Its queue is shorter where none is given; C{port} has the page's queue.
    """
    path = tmp_path / "wsplug.toml"
    path.write_text(configuration("Before it starts"), "utf-8")
    listen = combine(
        {"app": [Description("echo")]}, readFile(str(path))
    ).listening.describe()
    reactor = MemoryReactorClock()
    for description in (*(text for _, text in listen), "tcp:9001"):
        serverFromString(reactor, description).listen(Factory())
    assert [server[2] for server in reactor.tcpServers] == [1024, 50]
    assert [(server[0], server[3]) for server in reactor.unixServers] == [
        ("/run/wsplug.sock", 0o660)
    ]
    ((_, short),) = combine({"app": [Description("echo")]}, {}).listening.describe()
    assert short == "tcp:9000:backlog=1024"


def test_configuration(tmp_path: Path) -> None:
    """The page's configuration is that of the example with the units, which a test
    serves.
    """
    block = configuration("Restart without refusing anybody")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    example = readFile(str(ROOT / "examples" / "systemd" / "wsplug.toml"))
    assert readFile(str(path))["listen"] == example["listen"]
    assert combine({}, example).listening.reusePort is False


def test_reuse_port_in_the_file(tmp_path: Path) -> None:
    """reuse-port can be in the file, too; on the command line it takes no value."""
    path = tmp_path / "wsplug.toml"
    path.write_text('reuse-port = true\napp = "echo"\n', "utf-8")
    assert combine({}, readFile(str(path))).listening.reusePort
    options = Options()
    (option,) = (each for each in LISTENING if each.name == "reuse-port")
    help = option.line
    assert help in " ".join(str(options).split())
    options.parseOptions(["--app=echo", "--reuse-port"])
    assert options.configuration.listening.reusePort


def test_signals() -> None:
    """Tests send the signals that the page lists."""
    named = re.findall(r"^\| `(SIG\w+)` \|", section("Signals"), re.MULTILINE)
    tests = "".join(
        path.read_text("utf-8") for path in (ROOT / "tests").glob("[dct]*/test_*.py")
    )
    for name in named:
        assert f"signal.{name}" in tests
