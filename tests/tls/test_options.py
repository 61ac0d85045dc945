"""The options of TLS in memory (wsplug.tls.options, wsplug.tap)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from wsplug.assembly import combine, readFile
from wsplug.errors import InvalidOption
from wsplug.plugins import Description
from wsplug.tap import Options
from wsplug.tls.endpoint import TLSEndpoint
from wsplug.tls.options import TLSFiles


def parse(*arguments: str) -> Options:
    options = Options(MemoryReactorClock())
    options.parseOptions(["--app=echo", *arguments])
    return options


def filesOf(values: dict[str, str]) -> TLSFiles | None:
    """Return the files that some options give, together with an application."""
    return combine({"app": [Description("echo")], **values}, {}).tls.findFiles()


def test_none() -> None:
    """Without a certificate there is no TLS."""
    assert filesOf({}) is None
    options = parse()
    assert options.configuration.tls.findFiles() is None
    assert options.parts.reloaded == []


def test_paths() -> None:
    """Paths are made absolute, since a daemon changes its working directory."""
    files = filesOf({"tls-cert": "a.pem", "tls-key": "/b.pem", "tls-client-ca": "c"})
    folder = os.getcwd()
    assert files == TLSFiles(f"{folder}/a.pem", "/b.pem", f"{folder}/c", True)
    assert files.paths == (f"{folder}/a.pem", "/b.pem", f"{folder}/c")
    assert TLSFiles("/a.pem").paths == ("/a.pem",)


def test_optional() -> None:
    """Clients' certificates are required unless they are declared optional."""
    values = {"tls-cert": "a", "tls-client-ca": "c", "tls-client": "optional"}
    files = filesOf(values)
    assert files is not None
    assert not files.clientRequired


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tls-key": "a"}, "tls-key goes with tls-cert"),
        ({"tls-client-ca": "a"}, "tls-client-ca goes with tls-cert"),
        ({"tls-client": "optional"}, "tls-client goes with tls-client-ca"),
        (
            {"tls-cert": "a", "tls-client": "optional"},
            "tls-client goes with tls-client-ca",
        ),
        ({"tls-cert": ""}, "tls-cert takes a path"),
        ({"tls-cert": "a", "tls-key": ""}, "tls-key takes a path"),
    ],
)
def test_wrong(values: dict[str, str], words: str) -> None:
    """An option that has no effect alone is an error, rather than ignored."""
    with pytest.raises(InvalidOption, match=words):
        filesOf(values)


def test_command_line(files: tuple[Path, Path]) -> None:
    """The port's endpoint gets TLS, other endpoints stay as they are, and SIGHUP
    reloads the certificate."""
    certificate, key = files
    options = parse(
        *(f"--tls-cert={certificate}", f"--tls-key={key}"),
        *("--port=8443", "--listen=tcp:8000"),
    )
    (name, endpoint), (other, plain) = options.parts.endpoints
    assert (name, other) == ("port 8443", "tcp:8000")
    assert isinstance(endpoint, TLSEndpoint)
    assert not isinstance(plain, TLSEndpoint)
    assert options.parts.reloaded == [endpoint.certificate]


def test_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The configuration file takes the same options, and the command line takes
    precedence."""
    certificate, key = files
    path = tmp_path / "wsplug.toml"
    path.write_text(f'app = "echo"\ntls-cert = "none"\ntls-key = "{key}"\n')
    assert combine({}, readFile(str(path))).tls.findFiles() == TLSFiles(
        "none", str(key)
    )
    options = parse(f"--config={path}", f"--tls-cert={certificate}")
    assert options.configuration.tls.findFiles() == TLSFiles(str(certificate), str(key))


def test_not_for_endpoint_strings(files: tuple[Path, Path]) -> None:
    """Endpoint strings have their own parameters for TLS, and the error names them."""
    with pytest.raises(SystemExit) as caught:
        parse(f"--tls-cert={files[0]}", f"--tls-key={files[1]}", "--listen=tcp:0")
    assert "in listen, use ssl:PORT:privateKey=PATH" in str(caught.value.code)
