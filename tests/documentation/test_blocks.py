"""Each block of code in the README and the documentation is correct.

What can run in memory is run, configuration is parsed by its reader, and everything
else is on a list (L{tests.documentation.lists}).
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from twisted.application.service import MultiService
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from tests.conftest import missing
from tests.documentation.lists import (
    COMMANDS_NOT_RUN,
    TESTED_ELSEWHERE,
    TEXTS,
    lookUp,
    namesOf,
)
from tests.documentation.machine import (
    Machine,
    commandsOf,
    hasApplication,
    machine,
    wordsOf,
)
from tests.documentation.pages import ROOT, SHELL, Block, allBlocks, blocksOf
from wsplug import WebSocketProtocol, application
from wsplug.auth import Avatar, Realm
from wsplug.command import CheckOptions
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.testing import MemoryServer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _inLanguage(*languages: str) -> pytest.MarkDecorator:
    """Parametrize a test with all blocks in a language, except those on a list."""
    blocks = [
        block
        for block in allBlocks()
        if block.language in languages
        and not lookUp(TESTED_ELSEWHERE, block.name, block.first)
        and not lookUp(TEXTS, block.name, block.first)
    ]
    return pytest.mark.parametrize("block", blocks, ids=namesOf)


def test_languages() -> None:
    """Each block has a language that a test here reads, or is on a list."""
    read = {*SHELL, "toml", "json", "yaml", "js", "html", "python"}
    for block in allBlocks():
        listed = lookUp(TESTED_ELSEWHERE, block.name, block.first) or lookUp(
            TEXTS, block.name, block.first
        )
        assert listed or block.language in read, f"{block.page}:{block.line}"


def test_lists() -> None:
    """Each entry on a list is on a page, and the tests that it names exist."""
    blocks = [(block.name, block.first) for block in allBlocks()]
    commands = [
        (block.name, command)
        for block in allBlocks()
        if block.language in SHELL
        and not lookUp(TESTED_ELSEWHERE, block.name, block.first)
        and not lookUp(TEXTS, block.name, block.first)
        for command in commandsOf(block.text)
    ]
    for table, shown in (
        (TESTED_ELSEWHERE, blocks),
        (TEXTS, blocks),
        (COMMANDS_NOT_RUN, commands),
    ):
        for page, beginning in table:
            assert any(
                name == page and text.startswith(beginning) for name, text in shown
            ), f"nothing begins like that in {page}: {beginning}"
    for named in TESTED_ELSEWHERE.values():
        path, _, test = named.partition("::")
        assert f"\ndef {test}(" in (ROOT / "tests" / path).read_text("utf-8"), named


def test_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are found if they are fenced or indented; parts of a list are no
    blocks.
    """
    monkeypatch.setattr("tests.documentation.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n\n    a\n\n    b\ntext\n    no block\n\n- item\n\n    its text\n\n"
        "## Two\n\n```js\nc\n    d\n```\n\n    e\n",
        "utf-8",
    )
    assert [
        (each.section, each.language, each.line, each.text) for each in blocksOf(page)
    ] == [
        ("One", "", 3, "a\n\nb\n"),
        ("Two", "js", 16, "c\n    d\n"),
        ("Two", "", 20, "e\n"),
    ]


def test_commands_are_split() -> None:
    """A backslash, a quotation mark and a here-document continue on the next line."""
    text = "a \\\n  b\n# no\nc 'd\ne'\ncat <<'END'\nf 'g\nEND\nh && i | j\n"
    assert commandsOf(text) == [
        *("a \\\n  b", "c 'd\ne'", "cat <<'END'\nf 'g\nEND", "h && i | j")
    ]
    assert commandsOf("$ a\nprinted\n$ b \\\nc\nprinted\n") == ["a", "b \\\nc"]
    assert wordsOf("h 'x | y' && i=1 j >k") == [["h", "x | y"], ["i=1", "j", ">", "k"]]


@_inLanguage("json")
def test_json(block: Block) -> None:
    """A block marked as JSON contains one JSON value or several."""
    rest = block.text.strip()
    while rest:
        _, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].strip()


@_inLanguage("yaml")
def test_yaml(block: Block) -> None:
    """A block marked as YAML is valid YAML."""
    assert yaml.safe_load(block.text)


@_inLanguage("toml")
def test_toml(block: Block) -> None:
    """A block marked as TOML is valid TOML."""
    assert tomllib.loads(block.text)


@_inLanguage("toml")
def test_configuration(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """C{wsplug check} accepts each configuration file; if the file names no
    application, one is added.
    """
    if block.first.endswith("pyproject.toml"):
        return  # belongs to a package; tests/packaging builds it
    with machine(block.name, until=block.line) as made:
        path = made.home / "wsplug.toml"
        path.write_text(made.here(block.text), "utf-8")
        words = [f"--config={path}"]
        if not hasApplication(block.text):
            words.append("--app=echo")
        _check(made, words, monkeypatch)


@_inLanguage(*SHELL)
def test_commands(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell can parse the commands, and those that start wsplug have existing
    options. test_sessions.py runs them.
    """
    commands = commandsOf(block.text)
    subprocess.run(
        ["bash", "-n"], input="\n".join(commands), text=True, check=True, timeout=60
    )
    found = [
        words
        for each in commands
        if "installed" not in (lookUp(COMMANDS_NOT_RUN, block.name, each) or "")
        for words in wordsOf(each)
    ]
    assert all(_isCommand(words) for words in found), f"{block.page}:{block.line}"
    starting = [words for words in map(_optionsOf, found) if words is not None]
    if starting:
        with machine(block.name, until=block.line) as made:
            for words in starting:
                _check(made, [made.here(word) for word in words], monkeypatch)


def _isCommand(words: list[str]) -> bool:
    """Say whether this is a command, rather than text that is missing on the list."""
    rest = [word for word in words if not re.match(r"\w+=", word)]
    program = rest[0].rpartition("/")[2] if rest else ""
    return not rest or shutil.which(rest[0]) is not None or program in _COMMANDS


_COMMANDS = {
    *("cd", "export", "kill", "printf", "umask", "wait", ".", "source"),
    *("twistd", "wsplug", "pip", "pytest", "python", "curl", "openssl"),
    *("chown", "install", "ssh", "systemctl", "useradd"),
}


def _optionsOf(words: list[str]) -> list[str] | None:
    """Give the options of a command that starts or checks wsplug."""
    words = [word.removeprefix("/opt/wsplug/bin/") for word in words]
    for before, program in (("twistd", "wsplug"), ("wsplug", "check")):
        named = [
            index
            for index, word in enumerate(words)
            if word == program and words[index - 1] not in ("--uid", "--gid")
        ]
        if named and before in words[: named[0]]:
            options = words[named[0] + 1 :]
            if {"--list-apps", "--version", "--help"} & set(options):
                return None
            return options[: options.index(">")] if ">" in options else options
    return None


def _check(made: Machine, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse options as C{wsplug check} does, without listening."""
    monkeypatch.chdir(made.home)
    monkeypatch.syspath_prepend(made.home)
    options = CheckOptions(MemoryReactorClock())
    options.parseOptions(words)
    # The limit on this process's open files is a different matter.
    errors = [str(each) for each in options.errors if "is too high" not in str(each)]
    assert errors == []
    assert options.parts.mounts


@_inLanguage("js", "html")
def test_script(block: Block) -> None:
    """JavaScript is syntactically valid, in its own blocks and in pages.

    The browser tests run what pages run.
    """
    if block.language == "html":
        for script in re.findall(r"<script[^>]*>\n?(.*?)</script>", block.text, re.S):
            _checkScript(script)
    else:
        _checkScript(block.text)


def _checkScript(text: str) -> None:
    node = shutil.which("node")
    if node is None:
        missing("node, for the samples in JavaScript")
    finished = subprocess.run(
        [node, "--input-type=module", "--check", "-"],
        input=text,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr


def _withSamples() -> list[str]:
    names = dict.fromkeys(b.name for b in allBlocks() if b.language == "python")
    return list(names)


@pytest.mark.parametrize("page", _withSamples())
def test_samples(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's Python samples run one after the other.

    Their tests pass, and their applications serve a client.
    """
    with machine(page, until=0) as made:
        monkeypatch.chdir(made.home)
        monkeypatch.syspath_prepend(made.home)
        monkeypatch.syspath_prepend(made.home / "src")
        names: dict[str, Any] = {"__name__": "documentation", **_given(page)}
        for block in allBlocks():
            if block.name == page and block.language in ("html", "js"):
                made.save(block)  # the application's folder of pages exists
        for block in allBlocks():
            if block.name != page:
                continue
            names["__file__"] = str(made.save(block))
            if block.language != "python":
                continue
            if lookUp(TESTED_ELSEWHERE, page, block.first):
                continue
            before = dict(names)
            _run(block, names)
            for name, value in list(names.items()):
                if before.get(name) is not value:
                    _use(name, value)
            _after(block, names)


def _run(block: Block, names: dict[str, Any]) -> None:
    """Run a sample, which may await."""
    # So that a traceback shows the page's line.
    text = "\n" * (block.line - 1) + block.text
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    # Unlike this module, the sample has no "from __future__ import annotations".
    code = compile(text, str(ROOT / block.page), "exec", flags, dont_inherit=True)
    if not code.co_flags & inspect.CO_COROUTINE:
        exec(code, names)
        return
    results: list[Any] = []
    Deferred.fromCoroutine(eval(code, names)).addBoth(results.append)
    assert results == [None], results


def _use(name: str, value: Any) -> None:
    """Run a test, or have an application serve a client."""
    if name.startswith("test_") and inspect.isfunction(value):
        if not inspect.signature(value).parameters:
            value()
    elif IWebSocketApplicationPlugin.providedBy(value):
        server = MemoryServer(value)
        client = server.connect(avatar=Avatar("ann"))
        server.advance(0)
        assert client.closed is None or client.closed[0] == 1000, client.closed
        client.drop()


@implementer(IStreamServerEndpoint, IListeningPort)
class _Endpoint:
    """An endpoint without clients, and its port."""

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        self.factory = protocolFactory
        self.startListening()
        return succeed(self)

    def startListening(self) -> None:
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        self.factory.doStop()
        return succeed(None)

    def getHost(self) -> Any:
        return IPv4Address("TCP", "127.0.0.1", 9000)


def _given(page: str) -> dict[str, Any]:
    """Give the names that a page's samples assume, since they are the reader's own."""
    if page not in ("applications", "authentication", "embedding", "service-tree"):
        return {}
    reactor = MemoryReactorClock()
    return {
        "application": application,
        "checker": InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret"),
        "clock": MemoryServer(application("idle")(WebSocketProtocol)).application,
        "endpoint": _Endpoint(),
        "mounts": [],
        "parent": MultiService(),
        "reactor": reactor,
        "realm": Realm(),
        "transports": _transports(),
    }


def _transports() -> list[Any]:
    """Give two clients' transports."""
    found = []

    @application("collecting")
    class Collecting(WebSocketProtocol):
        def negotiationFinished(self) -> None:
            found.append(self.transport)

    server = MemoryServer(Collecting)
    for _ in range(2):
        server.connect()
    return found


def _after(block: Block, names: dict[str, Any]) -> None:
    """Use a sample's definitions if they are part of something larger."""
    method = names.pop("textMessageReceived", None)
    if method is not None:
        kind = type("Reporting", (WebSocketProtocol,), {method.__name__: method})
        names["report"] = str.split
        client = MemoryServer(application("reporting")(kind)).connect()
        client.send("one two")
        assert client.messages == ["one", "two"]
