"""
A mistake about certificates is reported in one line that says what it is.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.command.test_mistakes import Preloaded, checkLine, preloaded
from tests.live.certificates import Authority, Issued
from tests.processes import HOST, checkEcho, runTwistd, serve
from tests.tls.test_serving import checkQuiet, start

pytestmark = pytest.mark.costly

__all__ = ["preloaded"]

CERT = "--tls-cert=server.pem"
KEY = "--tls-key=server.key"

MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no file": (["--tls-cert=none.pem"], ["tls-cert: can't read", "none.pem: No such"]),
    "no key": ([CERT], ["server.pem has no private key", "--tls-key PATH"]),
    "no key's file": ([CERT, "--tls-key=none.key"], ["tls-key: can't", "No such file"]),
    "no certificate": (["--tls-cert=server.key"], ["no certificate in PEM"]),
    "not its key": ([CERT, "--tls-key=other.key"], ["other.key does not belong"]),
    "encrypted": ([CERT, "--tls-key=locked.key"], ["locked.key is encrypted"]),
    "key alone": ([KEY], ["tls-key goes with tls-cert"]),
    "with listen": ([CERT, KEY, "--listen=tcp:0"], ["goes with port", "ssl:PORT"]),
    "clients": ([CERT, KEY, "--tls-client-ca=none"], ["tls-client-ca: can't read"]),
    "no clients": ([CERT, KEY, "--tls-client=optional"], ["goes with tls-client-ca"]),
    "clients' kind": ([CERT, KEY, "--tls-client=maybe"], ["required, optional"]),
    "file": (["--config=tls.toml"], ["tls.toml: unknown key 'tls-crt'", "'tls-cert'"]),
}
"""
By name: the arguments, and parts of the line.
"""


@pytest.fixture
def folder(issued: Issued, authority: Authority, tmp_path: Path) -> Path:
    """
    A folder with right files and wrong ones.
    """
    issued.write(tmp_path)
    authority.issue("other").write(tmp_path, "other")
    locked = load_pem_private_key(issued.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "locked.key").write_bytes(locked)
    (tmp_path / "tls.toml").write_text('app = "echo"\ntls-crt = "server.pem"\n')
    return tmp_path


@pytest.mark.everyday
@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, preloaded: Preloaded, folder: Path) -> None:
    """
    Each mistake gives one line on standard error, and exit status 1.
    """
    arguments, parts = MISTAKES[name]
    finished = preloaded.run(
        folder, "-n", "--pidfile=", "wsplug", "--app=echo", *arguments
    )
    checkLine(finished, *parts)
    assert "Traceback" not in finished.out + finished.err


@pytest.mark.parametrize(
    "arguments",
    [[CERT, KEY], [f"--listen=ssl:0:interface={HOST}:privateKey=server.key"]],
    ids=["option", "endpoint"],
)
def test_without_pyopenssl(arguments: list[str], folder: Path) -> None:
    """
    If the extra isn't installed, the line says how to install it.
    """
    (folder / "OpenSSL.py").write_text("raise ImportError('not here')\n")
    finished = runTwistd(
        folder,
        *("-n", "--pidfile=", "wsplug", "--app=echo", *arguments),
        environment={"PYTHONPATH": str(folder)},
    )
    checkLine(finished, "pip install 'wsplug[tls]'")


def test_plain_without_pyopenssl(folder: Path) -> None:
    """
    Without TLS, the extra isn't needed.
    """
    (folder / "OpenSSL.py").write_text("raise ImportError('not here')\n")
    with serve(folder, environment={"PYTHONPATH": str(folder)}) as server:
        checkEcho(server.port)
        checkQuiet(server)


def test_expired(tmp_path: Path, authority: Authority) -> None:
    """
    An expired certificate is used, with a warning. Clients that check it disconnect,
    but the server can start before the new certificate is there.
    """
    days = timedelta(days=1)
    authority.issue("old", HOST, begins=-2 * days, ends=-days).write(tmp_path)
    with start(tmp_path) as server:
        server.waitForLog(f"the certificate in {tmp_path}/server.pem has expired")
        checkQuiet(server)
