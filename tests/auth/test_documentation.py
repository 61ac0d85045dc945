"""
docs/guides/authentication.md is true.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.auth.kit import Greeter, basic, bearer, passwords
from tests.conftest import missing
from tests.documentation.pages import codeIn
from wsplug import HandshakeRefused
from wsplug.assembly import combine, readFile
from wsplug.auth import Avatar, makePortal
from wsplug.auth.jwt import ALGORITHMS, JWT_OPTIONS
from wsplug.auth.options import AUTHENTICATION
from wsplug.server import SETTINGS
from wsplug.tap import Options
from wsplug.testing import MemoryServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "authentication.md").read_text("utf-8")
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)


def _section(title: str) -> str:
    """
    Return the text below a heading, up to the next heading.
    """
    return re.split(
        r"^#+ ", PROSE.partition(f"# {title}\n")[2], maxsplit=1, flags=re.M
    )[0]


def _rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines][2:]


def _commands() -> list[str]:
    return re.findall(r"^\$ (\S.*)$", PAGE, re.MULTILINE)


def test_options() -> None:
    """
    The table of options has each option, with its default and its help.
    """
    rows = _rows(_section("Authentication"))
    documented = {name.strip("`"): row for name, *row in rows}
    options = [
        *AUTHENTICATION,
        *(each for each in SETTINGS if "auth" in each.name),
    ]
    assert documented == {each.name: [each.shownDefault, each.help] for each in options}


def test_options_of_signed_tokens() -> None:
    """
    Likewise, the table of C{jwt:}.
    """
    rows = _rows(_section("Signed tokens"))
    documented = {name.strip("`"): default for name, default, _ in rows}
    assert set(documented) == {each.name for each in JWT_OPTIONS}
    for each in JWT_OPTIONS:
        assert each.shownDefault.split(":")[0] == documented[each.name]
    assert ", ".join(ALGORITHMS) in rows[1][2]


def test_strings() -> None:
    """
    Each kind of string in the table exists.
    """
    from twisted.cred.strcred import findCheckerFactories

    kinds = {
        name.strip("`").partition(":")[0] for name, *_ in _rows(_section("Strings"))
    }
    there = {each.authType for each in findCheckerFactories()}
    assert kinds == (there | {"unix"}) - {"sshkey"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    A folder in which the page's commands were run.
    """
    if shutil.which("openssl") is None:
        missing("openssl (Debian's package of that name)")
    monkeypatch.chdir(tmp_path)
    others = ("twistd", "pip", "TOKEN=")
    lines = [line for line in _commands() if not line.startswith(others)]
    made = [line for line in lines if "curl" not in line and "websocat" not in line]
    assert len(made) == 4
    script = "\n".join([*made, 'printf %s "$token" > token'])
    subprocess.run(["sh", "-euc", script], check=True, timeout=60)
    return tmp_path


def test_files(folder: Path) -> None:
    """
    The files that the commands make let in the users in them. No other user of the
    machine can read them.
    """
    portal = makePortal(["file:passwords", "token:tokens"])
    server = MemoryServer(Greeter(), portal=portal)
    token = (folder / "token").read_text()
    for header in (basic("ann", "correct horse"), bearer(token)):
        assert server.connect(headers=[header]).messages == ["hello ann"]
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*s")} == {0o600}


def test_commands(folder: Path) -> None:
    """
    The server accepts the commands on the page.
    """
    from tests.auth.test_jwt import Keys

    keys = Keys(folder)
    tested = 0
    for line in _commands():
        if not line.startswith("twistd"):
            continue
        line = line.replace("/etc/wsplug/login.pem", str(keys.file("RS256")))
        words = shlex.split(line.replace("/etc/wsplug/", ""))
        options = Options(MemoryReactorClock())
        options.parseOptions(words[words.index("wsplug") + 1 :])
        assert options.parts.authentication.portal is not None
        tested += 1
    assert tested == 4


def test_configuration(folder: Path) -> None:
    """
    The server accepts the configuration file on the page.
    """
    (block,) = codeIn(PAGE, "toml")
    path = folder / "wsplug.toml"
    path.write_text(block.replace("/etc/wsplug/", ""), "utf-8")
    assert combine({}, readFile(str(path))).settings.max_auth_failures == 20
    options = Options(MemoryReactorClock())
    options.parseOptions(["--config", str(path)])
    assert [mount.auth for mount in options.parts.mounts] == [True, False]


def test_making_tokens(tmp_path: Path) -> None:
    """
    A token that the page's function makes is accepted.
    """
    _, make, hello, _ = codeIn(PAGE, "python")
    names: dict[str, Any] = {}
    exec(make, names)
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef" * 4 + "\n")
    secret.chmod(0o600)
    token = names["makeToken"]("ann", secret.read_text().rstrip("\n"))
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    portal = makePortal([f"jwt:key={secret}:algorithm=HS256:audience=chat"])
    server = MemoryServer(Greeter(), portal=portal)
    assert server.connect(headers=[bearer(token)]).messages == ["hello ann"]
    exec(hello, names)
    guarded = MemoryServer(names["hello"], portal=portal)
    assert guarded.connect(headers=[bearer(token)]).messages == ["Hello, ann!"]
    client = MemoryServer(names["hello"]).connect(avatar=Avatar("ann", {"admin": 1}))
    assert client.messages == ["Hello, ann!", "You may do anything."]


def test_service_tree() -> None:
    """
    The page's service with a custom portal lets in the users that its checker knows.
    """
    names: dict[str, Any] = {}
    exec(codeIn(PAGE, "python")[-1], names)
    assert names["service"].parent is not None
    server = MemoryServer(names["Greeter"](), portal=names["portal"])
    client = server.connect(headers=[basic("ann", "correct horse")])
    assert client.messages == ["Hello, ann!"]
    with pytest.raises(HandshakeRefused):
        server.connect(headers=[basic("ann", "battery staple")])


def test_wire(tmp_path: Path) -> None:
    """
    The page's messages are those on the wire.
    """
    from tests.auth.kit import ORIGIN, writeTokens

    (block,) = codeIn(PAGE, "json")
    sent, expected = block.splitlines()
    token = json.loads(sent)["token"]
    portal = makePortal([writeTokens(tmp_path / "tokens", ann=token)])
    client = MemoryServer(Greeter(), portal=portal).connect(origin=ORIGIN)
    client.send(sent)
    assert json.loads(client.receive()) == json.loads(expected)


def test_log_line(tmp_path: Path) -> None:
    """
    The page's log line is a real one.
    """
    from twisted.logger import capturedLogs, formatEvent

    match = re.search(r"`(192\.0\.2\.1:\d+ \w+): (logged in as 'ann')`", PAGE)
    assert match is not None
    server = MemoryServer(Greeter(), portal=passwords("ann", "secret"))
    with capturedLogs() as events:
        server.connect(headers=[basic("ann", "secret")])
    (line,) = [text for each in events if "logged" in (text := formatEvent(each))]
    assert line == f"{match[1].replace('chat', 'application')}: {match[2]}"


def test_closings() -> None:
    """
    docs/reference/closing.md has the same failures, with the same settings.
    """
    closing = (ROOT / "docs" / "reference" / "closing.md").read_text("utf-8")
    for _, how, setting in _rows(_section("What goes wrong")):
        rows = [line for line in closing.splitlines() if setting in line]
        for code in re.findall(r"\b[1-5]\d{2,3}\b", how):
            assert any(code in row for row in rows), (code, setting)
