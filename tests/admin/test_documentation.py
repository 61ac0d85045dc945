"""docs/reference/status.md is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.admin.kit import TOKEN, Board
from tests.admin.test_serving import adminPort
from tests.documentation.pages import codeIn
from tests.processes import TCP, serve
from wsplug.admin.clients import SORTS
from wsplug.admin.history import KEPT
from wsplug.admin.messages import ApplicationSample, Client, Sample, Welcome
from wsplug.admin.options import ADMINISTRATION
from wsplug.assembly import combine, readFile
from wsplug.guard.bans import LONGEST_BAN, MOST_BANS, parsePrefix
from wsplug.testing import MemoryServer

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "status.md").read_text("utf-8")


def rows(title: str) -> list[list[str]]:
    """Return the cells of a section's tables."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    lines = re.findall(r"^\| (.*) \|$", section, re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_options() -> None:
    """The table of options matches the declared options."""
    table = {tuple(row) for row in rows("Where it is") if len(row) == 3}
    for option in ADMINISTRATION:
        more = " It can be given several times." if option.repeats else ""
        row = (f"`{option.name}`", option.help + more, option.shownDefault)
        assert row in table


def test_configuration(tmp_path: Path) -> None:
    """The example configuration can be read."""
    (block,) = codeIn(PAGE, "toml")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    configuration = combine({}, readFile(str(path)))
    assert len(configuration.administration.endpoints) == 2
    assert configuration.administration.tokenFile == "/etc/wsplug/admin-token"


@pytest.mark.slow
@pytest.mark.parametrize(
    "token", [TOKEN, pytest.param("", marks=pytest.mark.slow, id="none")]
)
def test_script(
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The example script talks to a server, with a token and without."""
    (block,) = codeIn(PAGE, "python")
    path = tmp_path / "admin-token"
    path.write_text(token + "\n")
    path.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    arguments = [f"--admin={TCP}", *([f"--admin-token-file={path}"] if token else [])]
    with serve(tmp_path, *arguments) as server:
        port = adminPort(server)
        exec(block.replace("localhost:9001", f"127.0.0.1:{port}"), {})
    assert capsys.readouterr().out == "welcome ready\n0 clients know\n"


def test_requests() -> None:
    """Each request in the table gets the answer beside it."""
    board = Board()
    operator = board.connect()
    table = [row for row in rows("For scripts") if row[0].startswith("`{")]
    assert len(table) == 10
    for asked, answered in table:
        client = board.server.connect(address="192.0.2.1")
        number = operator.ask("clients")["clients"][0]["id"]
        request = json.loads(asked.split("`")[1])
        if request["type"] == "lift":
            request["address"] = "192.0.2.2"
        if "client" in request:
            request["client"] = number
        answer = operator.ask(**request)
        if request["type"] == "auth":
            continue  # this operator is logged in; tests/admin/test_status.py tests it
        text = answered.split("`")[1].replace("[…]", "[]").replace("{…}", "{}")
        expected = json.loads(text)
        assert answer["type"] == expected["type"], answer
        assert set(answer) - {"request"} == set(expected)
        if request["type"] == "ban":
            assert len(board.factory.bans) == 1
            board.factory.bans.lift(parsePrefix("192.0.2.1"))
            board.factory.bans.add(parsePrefix("192.0.2.2"), 60)
        client.drop()


def test_names() -> None:
    """The page names each key of a message, and the limits."""
    for kind in (Client, Sample, ApplicationSample, Welcome):
        for field in kind.__struct_fields__:
            named = f"`{field}`" in PAGE or f'"{field}"' in PAGE
            assert named or field == "client", f"{kind.__name__}.{field}"
    for sort in SORTS:
        assert f"`{sort}`" in PAGE
    assert f"at most {MOST_BANS} bans" in PAGE
    assert f"{LONGEST_BAN / 86400:.0f} days" in PAGE
    assert f"last {KEPT}\nsamples" in PAGE


def test_error_codes() -> None:
    """The codes in the table are those in the sources."""
    sources = Path(__file__).parents[2] / "src" / "wsplug"
    files = [*(sources / "admin").glob("*.py"), sources / "jsonmessages.py"]
    text = "".join(path.read_text("utf-8") for path in files)
    table = [row[0] for row in rows("For scripts") if re.match(r"`[a-z]", row[0])]
    codes = {code for cell in table for code in re.findall(r"`([a-z-]+)`", cell)}
    made = set(re.findall(r'RequestRefused\(\s*"([a-z-]+)"', text))
    made |= {"unauthorized", "rate-limited", "unknown-type"}
    made |= set(re.findall(r'return "(too-long|invalid)"', text))
    assert made == codes


def test_closing() -> None:
    """docs/reference/closing.md lists what an operator does."""
    closing = (DOCS / "reference" / "closing.md").read_text("utf-8")
    assert (
        "| an operator closed the connection; banned its address | server |" in closing
    )
    assert "| comes from an address that an operator has banned | 403 |" in closing


def test_notices() -> None:
    """The application in docs/guides/applications.md sends notices to its clients."""
    text = (DOCS / "guides" / "applications.md").read_text("utf-8")
    (block,) = (each for each in codeIn(text, "python") if "noticeReceived" in each)
    names: dict[str, Any] = {"__name__": "documentation"}
    exec(block, names)
    board = Board()
    board.server = MemoryServer(names["Polite"], clock=board.clock)
    board.factory = board.server.factory
    board.status.watch(board)
    client = board.server.connect()
    assert board.connect().ask("notice", text="hello")["reached"] == 1
    assert client.messages == ["The operator says: hello"]
