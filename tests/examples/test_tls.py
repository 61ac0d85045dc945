"""What docs/guides/tls.md says is true."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.documentation.pages import codeIn, readPage
from tests.examples.test_documentation import ROOT, _only_plugin, _rows, _run
from tests.live.certificates import Authority
from tests.processes import HOST
from wsplug import WebSocketService
from wsplug.assembly import combine, readFile
from wsplug.tap import Options
from wsplug.testing import MemoryServer
from wsplug.tls.endpoint import TLSEndpoint
from wsplug.tls.options import TLS, TLSFiles
from wsplug.tls.reloading import INTERVAL

PAGE = (ROOT / "docs" / "guides" / "tls.md").read_text("utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into a folder with the page's files."""
    issued = Authority().issue("server", HOST)
    (tmp_path / "fullchain.pem").write_bytes(issued.certificate)
    (tmp_path / "privkey.pem").write_bytes(issued.key)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_options() -> None:
    """The table lists the options."""
    documented = [
        [re.sub(r"[`\[\]]|\(.*?\)", "", cell) for cell in row]
        for row in _rows(readPage("tls"))
        if row[0].startswith("--tls-")
    ]
    assert [row[0] for row in documented] == [f"--{option.name}" for option in TLS]
    for row, option in zip(documented, TLS, strict=True):
        assert row[1].startswith(option.help)
        assert row[2] == option.shownDefault


def test_configuration(folder: Path) -> None:
    """The file means the same as the first command line."""
    (block,) = codeIn(PAGE, "toml")
    path = folder / "wsplug.toml"
    path.write_text(block, "utf-8")
    said = combine({}, readFile(str(path)))
    assert said.tls.findFiles() == TLSFiles("fullchain.pem", "privkey.pem")
    options = Options(MemoryReactorClock())
    options.parseOptions(
        shlex.split(re.findall(r"^\$ twistd -n wsplug (.*)$", PAGE, re.MULTILINE)[0])
    )
    assert options.configuration == said


def test_commands(folder: Path) -> None:
    """Each command line can be served if the files that it names exist."""
    text = PAGE.replace("\\\n", " ").replace(
        "/etc/letsencrypt/live/example.org/", f"{folder}/"
    )
    lines = re.findall(r"^\$ twistd (?:-n )?wsplug (.*)$", text, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        Options(MemoryReactorClock()).parseOptions(shlex.split(line))


def test_hook(tmp_path: Path) -> None:
    """The deploy hook is a script that copies both files before it sends the signal."""
    (script,) = codeIn(PAGE, "sh")
    path = tmp_path / "hook"
    path.write_text(script, "ascii")
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=60)
    lineage = tmp_path / "lineage"
    lineage.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (lineage / name).write_text(name)
    (tmp_path / "installed").mkdir()
    pid = tmp_path / "wsplug.pid"
    pid.write_text("4711")
    (tmp_path / "kill").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/killed\n')
    (tmp_path / "kill").chmod(0o755)
    # No user here is named wsplug, and no process has this number.
    changed = (
        script.replace("-o wsplug ", "")
        .replace("/etc/wsplug/", f"{tmp_path}/installed/")
        .replace("/run/wsplug.pid", str(pid))
        .replace("kill -HUP", f"{tmp_path}/kill -HUP")
    )
    path.write_text(changed, "utf-8")
    subprocess.run(
        ["sh", str(path)],
        check=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "RENEWED_LINEAGE": str(lineage)},
    )
    for name in ("fullchain.pem", "privkey.pem"):
        copied = tmp_path / "installed" / name
        assert copied.read_text() == name
        assert copied.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "killed").read_text() == "-HUP 4711\n"


def test_interval() -> None:
    """The interval of its checks."""
    assert INTERVAL == 1
    assert "The files are looked at every second." in PAGE


def test_application() -> None:
    """The application tells a client the client's identity, and can be tested as the
    page says.
    """
    from cryptography.x509 import load_pem_x509_certificate

    server = MemoryServer(_only_plugin(_run(codeIn(PAGE, "python")[0])))
    assert server.connect().receive() == "nobody"
    shown = load_pem_x509_certificate(Authority().issue("ann").certificate)
    client = server.connect(certificate=shown)
    assert client.receive() == "CN=ann"


def test_service(folder: Path) -> None:
    """The service listens with TLS on the given port."""
    makeService: Any = _run(codeIn(PAGE, "python")[1])["makeService"]
    reactor = MemoryReactorClock()
    files = TLSFiles("fullchain.pem", "privkey.pem")
    application = MemoryServer(_only_plugin(_run(codeIn(PAGE, "python")[0])))
    service = makeService(reactor, application.application, files)
    assert isinstance(service, WebSocketService)
    service.privilegedStartService()
    ((port, factory, *_),) = reactor.tcpServers
    wrapping: Any = factory
    assert port == 8443
    assert wrapping.wrappedFactory is service.factory
    tcp: Any = None
    TLSEndpoint(tcp, files, reactor).certificate.reload()
