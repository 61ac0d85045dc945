"""What the README and the pages in C{docs/} say is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import task, threads

from tests.documentation.pages import codeIn, readPage
from tests.server.kit import App
from wsplug import Application, HandshakeRefused, Room, WebSocket, clocks
from wsplug.assembly import combine, readFile
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.options import UNLIMITED, count, seconds, size
from wsplug.server import SETTINGS
from wsplug.tap import Options
from wsplug.testing import MemoryServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
OPTIONS = readPage("options")
APPLICATIONS = readPage("applications")
CHANNELS = readPage("channels")
TESTING = readPage("testing")
EMBEDDING = readPage("embedding")


def _rows(text: str) -> list[list[str]]:
    """Give the cells of each table's rows, without backquotes."""
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in line.split(" | ")] for line in lines]


def _run(code: str) -> dict[str, Any]:
    """
    Run a block of Python.
    """
    names: dict[str, Any] = {"__name__": "documentation"}
    # Unlike this module, the block has no "from __future__ import annotations".
    exec(compile(code, "sample", "exec", dont_inherit=True), names)
    return names


def _only_plugin(names: dict[str, Any]) -> Any:
    (plugin,) = (
        value
        for value in names.values()
        if IWebSocketApplicationPlugin.providedBy(value)
    )
    return plugin


def test_limits_are_finite() -> None:
    """No limit and no timeout is off by default."""
    for option in SETTINGS:
        if option.kind in (count, size):
            assert 0 < option.default < UNLIMITED
        if option.kind is seconds:
            assert 0 < option.default < 3600


def test_application() -> None:
    """The README's application has at most ten lines, and its test passes."""
    code, test = codeIn(README, "python")
    assert len(code.strip().splitlines()) <= 10
    names = _run(code)
    exec(test.replace("from shout import shout\n", ""), names)
    names["test_shout"]()


def test_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration file on the options page can be served with the README's
    application.
    """
    (block,) = codeIn(OPTIONS, "toml")
    (tmp_path / "shout.py").write_text(codeIn(README, "python")[0], "utf-8")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    configuration = combine({}, readFile(str(path)))
    assert [str(each) for each in configuration.applications] == ["echo", "shout.py"]
    assert configuration.settings.max_message_size == 64 * 1024
    options = Options()
    options.parseOptions(["--config", str(path)])
    assert [mount.path for mount in options.parts.mounts] == ["/echo", "/shout"]


def test_screens() -> None:
    """
    The README fits on three screens.
    """
    lines = README.splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 100


def test_links() -> None:
    """Each page and folder that the README and the docs link to exists."""
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_documented_applications() -> None:
    """
    The applications in docs/guides/applications.md work, and the test of one of them in
    docs/guides/testing.md passes.
    """
    blocks = {block.splitlines()[0]: block for block in codeIn(APPLICATIONS, "python")}
    names = _run(blocks["# count.py"])
    count = _only_plugin(names)
    server = MemoryServer(count, options={"step": "2"})
    client = server.connect()
    server.advance(4)
    assert client.messages == ["0", "1", "2"]

    parrot = _only_plugin(_run(blocks["# parrot.py"]))
    client = MemoryServer(parrot).connect()
    client.send("hello")
    assert client.messages == ["hello"]
    assert parrot.help == "Say it again."

    test, _ = codeIn(TESTING, "python")
    exec(test.replace("from count import count\n", ""), names)
    names["test_count"]()


def _sample(page: str, file: str) -> Any:
    """Run a sample with an application, and return its plugin."""
    (block,) = (each for each in codeIn(page, "python") if each.startswith(f"# {file}"))
    return _only_plugin(_run(block))


def test_documented_classes() -> None:
    """The classes in docs/guides/applications.md behave as described."""
    server = MemoryServer(_sample(APPLICATIONS, "tally.py"), options={"first": "100"})
    ann, bob = server.connect(), server.connect()
    ann.send("5")
    bob.send("7")
    server.advance(60)
    assert ann.messages == ["105", "The total is 112."]
    assert bob.messages == ["112", "The total is 112."]

    server = MemoryServer(_sample(APPLICATIONS, "doorman.py"))
    with pytest.raises(HandshakeRefused, match="404 no such door"):
        server.connect("/one/two")
    ann, bob = server.connect("/Ann"), server.connect()
    ann.send("hi")
    bob.close()
    assert ann.messages == ["Hello, Ann!", "stranger has gone (1000)."]
    assert bob.messages == ["Hello, stranger!", "hi"]


def test_documented_store() -> None:
    """The visits in docs/guides/applications.md are counted across a restart."""
    visits = _sample(APPLICATIONS, "visits.py")
    server = MemoryServer(visits)
    assert server.connect().messages == ["There were 1 visits."]
    assert server.connect().messages == ["There were 2 visits."]
    again = MemoryServer(visits, broker=server.broker, clock=server.clock)
    assert again.connect().messages == ["There were 3 visits."]


def test_documented_json() -> None:
    """The calculator in docs/guides/applications.md answers as shown there."""
    client = MemoryServer(_sample(APPLICATIONS, "calculator.py")).connect()
    (block,) = (each for each in codeIn(APPLICATIONS, "json") if "divide" in each)
    lines = [json.loads(line) for line in block.splitlines()]
    for asked, answered in zip(lines[::2], lines[1::2], strict=True):
        client.send(json.dumps(asked))
        assert json.loads(client.receive()) == answered
    client.send('{"type":"divide","a":1,"b":4}')
    assert json.loads(client.receive())["result"] == 0.25


def test_documented_rooms() -> None:
    """The lobby and the board in docs/guides/channels.md behave as described."""
    server = MemoryServer(_sample(CHANNELS, "lobby.py"))
    ann, bob = server.connect("/a?name=Ann"), server.connect("/a?name=Bob")
    ann.send("hello")
    assert bob.messages == ["Bob is here, with 1 others.", "Ann: hello"]
    assert ann.messages == [
        "Ann is here, with 0 others.",
        "Bob is here, with 1 others.",
    ]
    again = server.connect("/a?name=Ann")
    assert json.loads(again.receive())["code"] == "key-taken"
    assert server.connect("/a?name=Cid").receive() == "Ann: hello"

    board = MemoryServer(_sample(CHANNELS, "board.py"))
    (block,) = (each for each in codeIn(CHANNELS, "json") if "joined" in each)
    decoder = json.JSONDecoder()
    shown, rest = [], block.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        shown.append(value)
        rest = rest[end:].strip()
    client = board.connect()
    for text in ("one", "two", "three", "four"):
        client.send(json.dumps({"type": "write", "room": "news", "text": text}))
    client.send('{"type":"join","room":"news"}')
    epoch = json.loads(client.receive())["position"]["epoch"]
    again = board.connect()
    again.send(json.dumps(shown[0]).replace('"ab"', json.dumps(epoch)))
    client.send('{"type":"write","room":"news","text":"five"}')
    got = [json.loads(str(each).replace(epoch, "ab")) for each in again.messages]
    assert got == shown[1:]


def test_reference_of_classes() -> None:
    """docs/reference/application.md lists each public attribute and method of the
    three classes, and no others.
    """
    page = readPage("reference/application")
    for kind, others in (
        (Application, {"services"}),
        (WebSocket, {"closed", "transport"}),
        (Room, {"name", "channel"}),
    ):
        section = page.partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
        there = {name for name in dir(kind) if not name.startswith("_")}
        if kind is WebSocket:
            there -= {"attach", "check", "deliver", "detach", "end", "fail"}
            there -= {"delivers", "forgetEnding", "setSlow", "stop", "whenEnded"}
        for name in there | others:
            assert re.search(rf"`[^`]*\b{name}\b[^`]*`", section), name


def test_documented_shielding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger in docs/guides/applications.md records what a client said."""
    (block,) = (each for each in codeIn(APPLICATIONS, "python") if "ledger" in each)
    monkeypatch.chdir(tmp_path)
    # In this thread, and at once.
    monkeypatch.setattr(threads, "deferToThread", lambda call, *data: call(*data))
    client = MemoryServer(_only_plugin(_run(block))).connect()
    client.send("ten")
    assert (tmp_path / "ledger.txt").read_text("utf-8") == "ten\n"


def test_documented_broadcast() -> None:
    """The relay in docs/guides/channels.md reaches all clients; its report sends
    each row.
    """
    relay, report = (
        _only_plugin(_run(block))
        for block in codeIn(CHANNELS, "python")
        if "@application" in block
    )
    server = MemoryServer(relay)
    first, second = server.connect(), server.connect()
    first.send("hello")
    assert (first.messages, second.messages) == (["hello"], ["hello"])
    first.close()
    second.send("alone")
    assert second.messages == ["hello", "alone"]

    client = MemoryServer(report).connect()
    client.send("3")
    assert client.messages == ["row 0", "row 1", "row 2"]


def test_documented_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The service and the factory in docs/guides/embedding.md can be made.
    """
    service, _, _, program = codeIn(EMBEDDING, "python")
    monkeypatch.setattr(clocks, "useSteadyTime", lambda reactor: None)
    monkeypatch.setattr(task, "react", lambda main: None)
    names = _run(service)
    assert names["service"].parent is not None
    names = _run(program)
    server = MemoryServer(names["Echo"]())
    client = server.connect()
    client.send("hello")
    assert client.messages == ["hello"]


def test_documented_channels() -> None:
    """In the application with channels in docs/guides/channels.md, a new client gets
    the last ten messages, all clients get later ones, and clients that left get none.
    """
    (block,) = (each for each in codeIn(CHANNELS, "python") if "# wall.py" in each)
    server = MemoryServer(_only_plugin(_run(block)))
    first = server.connect()
    said = [str(number) for number in range(12)]
    for each in said:
        first.send(each)
    assert first.messages == said
    second = server.connect()
    assert second.messages == said[2:]
    first.close()
    second.send("more")
    assert second.receive() == "2"
    assert second.messages[-1] == "more"
    assert first.messages == said


def test_documented_resource() -> None:
    """The resource in docs/guides/applications.md accepts the amount of data that it
    should, and no more.
    """
    (block,) = (each for each in codeIn(APPLICATIONS, "python") if "Votes" in each)
    counted: list[bytes] = []
    names = _run(block)
    names["count"] = counted.append
    server = MemoryServer(App(pages=names["Votes"]()))
    assert server.request("POST", "/", body=b"yes").body == b"thank you\n"
    assert counted == [b"yes"]
    assert server.request("GET", "/").status == 405
    assert server.request("POST", "/", body=b"yes" * 500).status == 413
