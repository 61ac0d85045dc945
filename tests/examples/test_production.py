"""C{examples/production}: what it says is true, and it can be served that way."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.daemon.test_check import check
from tests.daemon.test_units import KNOWN
from tests.daemon.test_units import read as readUnit
from tests.live.certificates import Authority
from tests.processes import HOST, serve, upgrade
from wsplug.assembly import combine, readFile
from wsplug.options import UNLIMITED
from wsplug.server.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "production"
TEXT = (FOLDER / "wsplug.toml").read_text("utf-8")
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that signed the certificate."""
    return Authority()


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    """A folder that stands for the machine, with all files that the example names."""
    issued = authority.issue("server", HOST)
    for name, content in (
        ("fullchain.pem", issued.certificate),
        ("privkey.pem", issued.key),
        ("tokens", f"ann:{sha256(b'sesame').hexdigest()}\n".encode()),
        ("admin-token", f"{TOKEN}\n".encode()),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
    text = re.sub(r"/etc/wsplug|/run/wsplug|/var/lib/wsplug", str(tmp_path), TEXT)
    text = text.replace("port = 8443", "port = 0").replace('"::"', f'"{HOST}"')
    # As many as the user who runs the tests may have files open.
    text = text.replace("max-connections = 20000", "max-connections = 500")
    (tmp_path / "wsplug.toml").write_text(text, "utf-8")
    return tmp_path


def test_check(folder: Path) -> None:
    """
    wsplug check finds nothing wrong with it.
    """
    finished = check(folder, "--config", "wsplug.toml")
    assert finished.err == ""
    assert finished.status == 0
    assert "good: application chat at /chat\n" in finished.out


def test_limits() -> None:
    """No limit is unlimited or off, except for the verbose log, and the unit allows
    as many descriptors as needed.
    """
    settings = combine({}, readFile(str(FOLDER / "wsplug.toml"))).settings
    assert settings != Settings()
    assert not settings.verbose
    for name, value in vars(replace(settings, verbose=("192.0.2.1",))).items():
        assert value != UNLIMITED, name
        assert value or isinstance(value, bool) or name == "verbose", name
    unit = readUnit("wsplug.service")["Service"]
    assert int(unit["LimitNOFILE"]) > settings.max_connections + 100


def test_unit() -> None:
    """The drop-in has existing directives, and creates the folders that the
    configuration names.
    """
    text = (FOLDER / "wsplug.service.d" / "production.conf").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and line[0] not in "#["]
    directives = dict(line.split("=", 1) for line in lines)
    more = {"User", "Group", "RuntimeDirectory", "ExecReload"}
    assert set(directives) <= KNOWN["Service"] | more
    assert f"/run/{directives['RuntimeDirectory']}/" in TEXT
    assert (
        f"/var/lib/{readUnit('wsplug.service')['Service']['StateDirectory']}/" in TEXT
    )


class _UNIX(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def test_served(folder: Path, authority: Authority) -> None:
    """TLS, logins, an application for all users, and the operators' socket with the
    token all work, and each requires its credentials.
    """
    trust = ssl.create_default_context(cadata=authority.pem.decode("ascii"))
    arguments = ("--config", "wsplug.toml", "--log-format", "text")
    with serve(folder, *arguments, listen=()) as server:
        with pytest.raises(AssertionError, match="401"):
            upgrade(server.port, "/chat", trust=trust)
        upgrade(server.port, "/ticker", trust=trust).close()
        admin = folder / "admin.sock"
        assert admin.stat().st_mode & 0o777 == 0o660
        for token, status in (("", 401), (TOKEN, 200)):
            operator = _UNIX(admin)
            header = {"Authorization": f"Bearer {token}"} if token else {}
            operator.request("GET", "/-/metrics", headers=header)
            response = operator.getresponse()
            assert response.status == status
            assert (b"wsplug_connections" in response.read()) == (status == 200)
            operator.close()
        out = server.log
        assert TOKEN not in out
        assert "sesame" not in out
