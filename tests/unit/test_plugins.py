"""Applications by their names (wsplug.plugins)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

import twisted.plugins
from wsplug.apps.bot import CommandBot
from wsplug.broker import MemoryBroker
from wsplug.dropins import addWorkingFolder
from wsplug.errors import (
    ConfigurationError,
    InvalidOption,
    PluginFailed,
    UnknownApplication,
)
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.options import parseOptions
from wsplug.plugins import (
    Description,
    Services,
    findApplications,
    findFailures,
    loadPlugin,
    makeMounts,
    parseDescription,
)

SHOUT = """
from typing import Annotated
from wsplug import application

@application("shout", help="Repeat in capitals.")
async def shout(socket, *, times: Annotated[int, "How often."] = 1):
    pass
"""
TWO = (
    SHOUT
    + """
@application("whisper")
async def whisper(socket):
    pass
"""
)
SERVICES = Services(Clock(), Clock(), MemoryBroker(Clock()))

# Descriptions


@pytest.mark.parametrize(
    ("text", "name", "attribute", "values"),
    [
        ("chat", "chat", None, {}),
        ("chat:path=/team", "chat", None, {"path": "/team"}),
        ("chat:a=1:b=2", "chat", None, {"a": "1", "b": "2"}),
        ("chat:a=", "chat", None, {"a": ""}),
        ("chat:a=b=c", "chat", None, {"a": "b=c"}),
        (r"chat:a=b\:c", "chat", None, {"a": "b:c"}),
        (r"chat:a=b\\", "chat", None, {"a": "b\\"}),
        (r"chat:a=b\\:c=d", "chat", None, {"a": "b\\", "c": "d"}),
        (r"chat:a\=b=c", "chat", None, {"a=b": "c"}),
        (r"chat:a=\n", "chat", None, {"a": "n"}),
        ("shout.py", "shout.py", None, {}),
        ("shout.py:loud", "shout.py", "loud", {}),
        ("package.module:shout", "package.module", "shout", {}),
        ("package.module:a.b:x=1", "package.module", "a.b", {"x": "1"}),
        (r"C\:\\shout.py:x=1", "C:\\shout.py", None, {"x": "1"}),
    ],
)
def test_description(
    text: str, name: str, attribute: str | None, values: dict[str, object]
) -> None:
    """A description is NAME[:key=value...] or a location in a file or module, with
    escapes.
    """
    assert parseDescription(text) == Description(name, attribute, values)


@given(st.dictionaries(st.from_regex(r"[a-z-]{1,9}", fullmatch=True), st.text()))
def test_descriptions_are_quoted_as_endpoints(values: dict[str, str]) -> None:
    """Twisted's quoting works for any value in an endpoint string, and for any value
    in ours.
    """
    quoted = [f"{key}={quoteStringArgument(value)}" for key, value in values.items()]
    assert parseDescription(":".join(["chat", *quoted])).values == values


@given(st.text(alphabet="ab:=\\./"))
def test_descriptions_never_crash(text: str) -> None:
    """Any text is a description or raises InvalidOption."""
    with suppress(InvalidOption):
        assert parseDescription(text).name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name is missing"),
        (":a=1", "name is missing"),
        ("chat:a=1:b", "--app chat: options are key=value, and option 2 isn't"),
        ("chat:x:y", r"option 1 isn't; a colon in a value is written \:"),
        ("chat:a=1:b=2:a=2", "options 1 and 3 have the same name"),
        (
            "process:command=curl http://example.org/",
            r"option 2 isn't; a colon in a value is written \:",
        ),
    ],
)
def test_wrong_description(text: str, words: str) -> None:
    """The error says what is wrong, and where."""
    with pytest.raises(InvalidOption) as caught:
        parseDescription(text)
    assert words in str(caught.value)


# Files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory for one test."""
    before = dict(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - set(before):
        if name.startswith(("wsplug_file_", "mine", "twisted.plugins.own")):
            del sys.modules[name]


def load(description: str) -> IWebSocketApplicationPlugin:
    return loadPlugin(parseDescription(description))


def test_file(here: Path) -> None:
    """The only application in a file is named by the file alone; absolute paths
    work, too.
    """
    (here / "shout.py").write_text(SHOUT)
    assert load("shout.py").name == "shout"
    assert load(f"{here}/shout.py:times=3").help == "Repeat in capitals."
    assert [option.name for option in load("shout.py").options] == ["times"]


def test_beside_a_file(here: Path) -> None:
    """A file can import its neighbours, as a script can, wherever the server is
    started.
    """
    (here / "folder").mkdir()
    (here / "folder" / "mine_beside.py").write_text("HELP = 'From beside.'")
    (here / "folder" / "shout.py").write_text(
        "from mine_beside import HELP\n"
        + SHOUT.replace('"Repeat in capitals."', "HELP")
    )
    assert load("folder/shout.py").help == "From beside."
    assert sys.path[0] == str(here / "folder")


def test_several_in_a_file(here: Path) -> None:
    """If a file has several applications, one has to be named; the error lists them."""
    (here / "two.py").write_text(TWO)
    assert load("two.py:whisper").name == "whisper"
    with pytest.raises(UnknownApplication) as caught:
        load("two.py")
    assert "two.py:shout or two.py:whisper" in str(caught.value)


def test_name_that_a_file_does_not_have(here: Path) -> None:
    """The error lists the applications in the file, plugins or not."""
    (here / "two.py").write_text(TWO)
    with pytest.raises(UnknownApplication) as caught:
        load("two.py:cry")
    assert str(caught.value) == "two.py has no 'cry'; it has 'shout' and 'whisper'"
    (here / "one.py").write_text(
        "from wsplug import WebSocketApplication\n"
        "class Room(WebSocketApplication):\n"
        "    def buildProtocol(self, request): ...\n"
        "room = Room()\n"
    )
    with pytest.raises(UnknownApplication) as caught:
        load("one.py:hall")
    assert str(caught.value) == "one.py has no 'hall'; it has 'room'"


BROKEN = [
    ("none.py", "x = 1", UnknownApplication, "has no application"),
    ("none.py:y", "x = 1", UnknownApplication, "none.py has no 'y'"),
    ("none.py:x", "x = 1", UnknownApplication, "is not an application"),
    ("missing.py", None, UnknownApplication, "no file 'missing.py'"),
    ("bad.py", "def (", PluginFailed, "bad.py, line 1"),
    ("bad.py", "import nowhere_at_all", PluginFailed, "nowhere_at_all"),
    ("bad.py", "1 / 0", PluginFailed, "ZeroDivisionError"),
    ("bad.py", "raise ValueError('a\\nb')", PluginFailed, "ValueError: a b"),
    ("mine_bad:x", "1 / 0", PluginFailed, "mine_bad does not load"),
    ("mine_bad:x", "import mine_nowhere", PluginFailed, "mine_nowhere"),
    ("mine_missing:x", None, UnknownApplication, "no module 'mine_missing'"),
    ("mine.missing:x", None, UnknownApplication, "no module 'mine'"),
]


@pytest.mark.parametrize(("name", "source", "error", "words"), BROKEN)
def test_broken_file(
    here: Path,
    name: str,
    source: str | None,
    error: type[ConfigurationError],
    words: str,
) -> None:
    """A missing file, or one that doesn't load, is an error of one line that says
    why and where.
    """
    if source is not None:
        file = name.split(":")[0].removesuffix(".py") + ".py"
        (here / file).write_text(source)
    with pytest.raises(error) as caught:
        load(name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(each.startswith("wsplug_file_bad") for each in sys.modules)


def test_module(here: Path) -> None:
    """package.module:name is found from the working directory as well."""
    (here / "mine_pkg").mkdir()
    (here / "mine_pkg" / "__init__.py").write_text("")
    (here / "mine_pkg" / "apps.py").write_text(TWO + "class space: inner = shout\n")
    assert load("mine_pkg.apps:whisper").name == "whisper"
    assert load("mine_pkg.apps:space.inner").name == "shout"


def test_object_with_buildProtocol(here: Path) -> None:
    """A ready application object works, without options; its class doesn't."""
    (here / "ready.py").write_text(
        "class Factory:\n    def buildProtocol(self, request): pass\n"
        "factory = Factory()\n"
    )
    plugin = load("ready.py:factory")
    assert (plugin.name, list(plugin.options)) == ("factory", [])
    with pytest.raises(UnknownApplication, match="is not an application"):
        load("ready.py:Factory")


# Drop-ins


def test_bundled() -> None:
    """The bundled applications are found by name."""
    assert load("echo").name == "echo"
    assert "echo" in [plugin.name for plugin in findApplications()]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ecko", "did you mean 'echo'?"),
        ("something", "available: "),
        ("package.module", "package.module:name"),
        ("dir/file", "ends in .py"),
    ],
)
def test_unknown(name: str, words: str) -> None:
    """An unknown name is an error that suggests similar ones."""
    with pytest.raises(UnknownApplication) as caught:
        load(name)
    assert words in str(caught.value)


@pytest.fixture
def dropIns(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of drop-ins beside the real one."""
    folder = here / "twisted" / "plugins"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(here), *sys.path])
    path = [str(folder), *twisted.plugins.__path__]
    monkeypatch.setattr(twisted.plugins, "__path__", path)
    return folder


def test_drop_in(dropIns: Path) -> None:
    """A drop-in under twisted/plugins/ is found by name."""
    (dropIns / "own_shout.py").write_text(SHOUT)
    assert load("shout").name == "shout"


def test_drop_in_of_the_working_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drop-in under twisted/plugins/ of the working directory is found, and can
    import modules from the working directory. Nothing is searched if there is no such
    folder, or if it is a package.
    """
    monkeypatch.setattr(twisted.plugins, "__path__", [*twisted.plugins.__path__])
    searched = [*sys.path], [*twisted.plugins.__path__]
    folder = here / "twisted" / "plugins"
    addWorkingFolder()
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    addWorkingFolder()
    assert ([*sys.path], [*twisted.plugins.__path__]) == searched
    (folder / "__init__.py").unlink()
    (here / "mine_own.py").write_text(SHOUT)
    (folder / "own_here.py").write_text("from mine_own import shout\n")
    for _ in range(2):
        addWorkingFolder()
    assert load("shout").name == "shout"
    assert sys.path == [str(here), *searched[0]]
    assert twisted.plugins.__path__ == [*searched[1], str(folder)]


def test_deleted_working_folder(here: Path) -> None:
    """A deleted working directory is no error."""
    gone = here / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    addWorkingFolder()


def test_broken_drop_in(dropIns: Path) -> None:
    """A drop-in that doesn't load is reported, and doesn't affect the others."""
    (dropIns / "own_broken.py").write_text("1 / 0\n")
    assert load("echo").name == "echo"
    with pytest.raises(UnknownApplication, match=r"own_broken\.py does not load"):
        load("something")
    ((name, reason),) = findFailures()
    assert name.endswith("own_broken.py")
    assert "ZeroDivisionError" in reason


def test_broken_drop_ins_are_quiet(dropIns: Path) -> None:
    """A look-up logs no tracebacks, however many drop-ins fail to load: each is one
    line with its file and the mistake.
    """
    (dropIns / "own_syntax.py").write_text("def f(:\n")
    (dropIns / "own_import.py").write_text("import not_there\n")
    (dropIns / "own_exit.py").write_text("raise SystemExit('no')\n")
    (dropIns / "own_strange.py").write_text(
        "class Strange:\n"
        "    @property\n"
        "    def __provides__(self): raise RuntimeError('odd')\n"
        "strange = Strange()\n"
    )
    with capturedLogs() as events:
        names = [plugin.name for plugin in findApplications()]
        failures = findFailures()
        bot = CommandBot()
        bot.makeApplication(parseOptions(bot.options, {}), SERVICES)
    assert {"bot", "chat", "echo", "process", "push", "relay", "ticker"} <= set(names)
    assert [name.rpartition("/")[2] for name, _ in failures] == [
        "own_exit.py",
        "own_import.py",
        "own_syntax.py",
    ]
    assert all("\n" not in reason for _, reason in failures)
    assert f"{dropIns}/own_import.py, line 1" in failures[1][1]
    assert f"{dropIns}/own_syntax.py, line 1" in failures[2][1]
    assert [text.partition(": ")[0] for text in map(formatEvent, events)] == [
        f"the drop-in {name} is left out" for name, _ in failures
    ]


def test_drop_ins_are_loaded_once(dropIns: Path) -> None:
    """A drop-in that doesn't load is tried only once, however many look-ups there
    are; one that is added later is found.
    """
    (dropIns / "own_broken.py").write_text(
        "import sys\nsys.tried = getattr(sys, 'tried', 0) + 1\n1 / 0\n"
    )
    try:
        for _ in range(3):
            findApplications()
            assert len(findFailures()) == 1
        assert sys.tried == 1  # type: ignore[attr-defined]
    finally:
        del sys.tried  # type: ignore[attr-defined]
    (dropIns / "own_later.py").write_text(SHOUT)
    assert load("shout").name == "shout"


CONTRACTS = [
    ("no name", "help = 'x'; options = ()\n    def makeApplication(self, o, s): pass"),
    ("no method", "name = 'mine'; help = 'x'; options = ()"),
    (
        "no options",
        "name = 'mine'; help = 'x'; options = None\n"
        "    def makeApplication(self, o, s): pass",
    ),
    (
        "no option",
        "name = 'mine'; help = 'x'; options = ['x']\n"
        "    def makeApplication(self, o, s): pass",
    ),
    (
        "raising name",
        "help = 'x'; options = ()\n    name = property(lambda self: 1 / 0)\n"
        "    def makeApplication(self, o, s): pass",
    ),
    (
        "no text",
        "name = 'mine'; help = None; options = ()\n"
        "    def makeApplication(self, o, s): pass",
    ),
    (
        "wrong method",
        "name = 'mine'; help = 'x'; options = ()\n    def makeApplication(self): pass",
    ),
]


@pytest.mark.parametrize("body", [pytest.param(b, id=i) for i, b in CONTRACTS])
def test_broken_contract(dropIns: Path, body: str) -> None:
    """A plugin that breaks its contract is reported by name, and doesn't affect the
    others.
    """
    (dropIns / "own_contract.py").write_text(
        "from zope.interface import implementer\n"
        "from wsplug.interfaces import IWebSocketApplicationPlugin\n"
        "@implementer(IWebSocketApplicationPlugin)\n"
        f"class Plugin:\n    {body}\n"
        "plugin = Plugin()\n"
    )
    assert load("echo").name == "echo"
    ((name, reason),) = findFailures()
    assert "Plugin" in name
    assert "\n" not in reason
    with pytest.raises(ConfigurationError) as caught:
        load("mine")
    assert "\n" not in str(caught.value)


# Creation


def test_make_mounts(here: Path) -> None:
    """A single application is at the root, and several are at their names, unless
    path= says otherwise.
    """
    (here / "two.py").write_text(TWO)

    def paths(*descriptions: str) -> list[tuple[str, bool]]:
        parsed = [parseDescription(each) for each in descriptions]
        return [(m.path, m.compression) for m in makeMounts(parsed, SERVICES)]

    assert paths("echo") == [("/", True)]
    assert paths("echo", "two.py:shout") == [("/echo", True), ("/shout", True)]
    assert paths("echo:path=/x/", "echo") == [("/x", True), ("/echo", True)]
    assert paths("two.py:shout:times=2:compression=no") == [("/", False)]


def test_pages(here: Path) -> None:
    """Any application takes a folder of pages.

    The folder stays the same if the server changes its working directory, as a daemon
    does.
    """
    (here / "site").mkdir()
    for name in ("echo", "process:command=true"):
        (mount,) = makeMounts([parseDescription(f"{name}:pages=site")], SERVICES)
        assert mount.folder == str(here / "site")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", None),
        (":subprotocols=chat", ("chat",)),
        (":subprotocols=chat, superchat", ("chat", "superchat")),
        (":subprotocols=*", ("*",)),
        (":subprotocols=none", ()),
    ],
)
def test_subprotocols(given: str, taken: tuple[str, ...] | None) -> None:
    """Any application takes the subprotocols that its mount lists."""
    for name in ("echo", "process:command=true"):
        (mount,) = makeMounts([parseDescription(name + given)], SERVICES)
        assert mount.subprotocols == taken


@pytest.mark.parametrize(
    ("description", "error", "words"),
    [
        ("echo:x=1", InvalidOption, "--app echo: unknown option 'x'"),
        ("two.py:shout:times=x", InvalidOption, "--app two.py:shout: times takes"),
        ("echo:path=x", InvalidOption, "a mount's path must"),
        ("echo:subprotocols=a b", InvalidOption, "subprotocols takes names separated"),
        ("echo:subprotocols=", InvalidOption, "subprotocols takes names separated"),
        (
            "echo:pages=nowhere",
            InvalidOption,
            "--app echo: pages takes the path of a f",
        ),
        ("echo:pages=two.py", InvalidOption, "a folder that is there, not 'two.py'"),
        ("echo:compression=maybe", InvalidOption, "compression takes yes or no"),
        ("fails.py", PluginFailed, "can't be created: KeyError: 'x'"),
    ],
)
def test_make_mounts_wrongly(
    here: Path, description: str, error: type[ConfigurationError], words: str
) -> None:
    """The error says what is wrong with which --app."""
    (here / "two.py").write_text(TWO)
    (here / "fails.py").write_text(
        SHOUT + "type(shout).makeApplication\n"
        "class Fails:\n"
        "    name = 'f'; help = ''; options = ()\n"
        "    def makeApplication(self, options, services): raise KeyError('x')\n"
        "from zope.interface import directlyProvides\n"
        "from wsplug.interfaces import IWebSocketApplicationPlugin\n"
        "fails = Fails(); directlyProvides(fails, IWebSocketApplicationPlugin)\n"
        "del shout\n"
    )
    with pytest.raises(error) as caught:
        makeMounts([parseDescription(description)], SERVICES)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
