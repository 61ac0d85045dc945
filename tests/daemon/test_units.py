"""The units in C{examples/systemd} are valid for systemd, and the command they start
is valid for wsplug.
"""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.daemon.kit import activate
from wsplug.assembly import combine, readFile
from wsplug.command import CheckOptions
from wsplug.options import seconds
from wsplug.server.settings import Settings
from wsplug.tap import Options

FOLDER = Path(__file__).parents[2] / "examples" / "systemd"

KNOWN = {
    "Unit": {"Description", "Documentation", "Wants", "After"},
    "Service": {
        *("Type", "NotifyAccess", "ExecStartPre", "ExecStart", "Restart"),
        *("RestartSec", "WatchdogSec", "TimeoutStartSec", "TimeoutStopSec"),
        *("KillSignal", "KillMode", "LimitNOFILE", "DynamicUser", "StateDirectory"),
        *("WorkingDirectory", "UMask", "AmbientCapabilities"),
        *("CapabilityBoundingSet", "NoNewPrivileges", "ProtectSystem", "ProtectHome"),
        *("PrivateTmp", "PrivateDevices", "ProtectKernelTunables"),
        *("ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
        *("ProtectClock", "ProtectHostname", "RestrictAddressFamilies"),
        *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"),
        *("LockPersonality", "SystemCallArchitectures", "SystemCallFilter"),
    },
    "Socket": {
        *("ListenStream", "BindIPv6Only", "FileDescriptorName", "Backlog", "NoDelay"),
    },
    "Install": {"WantedBy"},
}
"""
Directives of systemd.unit(5), .service(5), .exec(5), .kill(5) and .socket(5).
"""


def read(name: str) -> dict[str, dict[str, str]]:
    """Read a unit, and check that each directive is known and occurs once."""
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            sections[section] = {}
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert key in KNOWN[section], line
        assert key not in sections[section], line
        sections[section][key] = value
    return sections


def command(line: str, program: str) -> list[str]:
    """Give the arguments of one of the unit's commands."""
    path, *arguments = shlex.split(line)
    assert path == f"/opt/wsplug/bin/{program}"
    return arguments


def test_service(tmp_path: Path) -> None:
    """The unit's command line parses together with the example's configuration, and
    the unit's timeouts fit the server's.
    """
    service = read("wsplug.service")["Service"]
    config = str(FOLDER / "wsplug.toml")
    start = command(service["ExecStart"], "twistd")
    place = start.index("wsplug")
    assert start[:place] == ["-n", "--pidfile="]
    assert start[place + 1 :] == ["--config", "/etc/wsplug.toml"]
    check = command(service["ExecStartPre"], "wsplug")
    assert check[0] == "check"
    assert check[-2:] == ["--config", "/etc/wsplug.toml"]
    options = CheckOptions()
    options.parseOptions([*check[1:-1], config])
    assert options.errors == []
    settings = combine({}, readFile(config)).settings
    assert settings == Settings()
    assert seconds(service["TimeoutStopSec"]) > settings.stop_timeout + 5
    assert int(service["LimitNOFILE"]) > settings.max_connections + 100
    assert service["Type"] == "notify"
    assert service["KillSignal"] == "SIGTERM"


def test_options_of_the_unit() -> None:
    """The options in its command are options of twistd wsplug."""
    names = {name.rstrip("=") for name in Options().longOpt}
    service = read("wsplug.service")["Service"]
    words = service["ExecStart"].partition(" wsplug ")[2].split()
    assert {word[2:] for word in words if word.startswith("--")} <= names


def test_verify(tmp_path: Path) -> None:
    """systemd itself accepts the units."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        missing("systemd-analyze, from Debian's systemd")
    for name in ("wsplug.service", "wsplug.socket"):
        unit = (FOLDER / name).read_text("utf-8")
        # It looks for the programs, too.
        unit = re.sub(r"/opt/wsplug/bin/\w+", "/bin/true", unit)
        (tmp_path / name).write_text(unit, "utf-8")
    done = subprocess.run(
        [
            *(verify, "verify", "--man=no", "--recursive-errors=no"),
            *(str(tmp_path / "wsplug.service"), str(tmp_path / "wsplug.socket")),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_socket(tmp_path: Path) -> None:
    """The example's configuration is served on a socket like the one in the socket
    unit, over IPv4, too.
    """
    unit = read("wsplug.socket")["Socket"]
    assert unit["ListenStream"].isdecimal()
    config = (FOLDER / "wsplug.toml").read_text("utf-8")
    listen = readFile(str(FOLDER / "wsplug.toml"))["listen"]
    assert listen == (f"systemd:domain=INET6:name={unit['FileDescriptorName']}",)
    path = tmp_path / "wsplug.toml"
    path.write_text(config.replace("/var/lib/wsplug", str(tmp_path)), "utf-8")
    with socket.create_server(
        ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
    ) as listener:
        port = listener.getsockname()[1]
        with activate(
            tmp_path,
            [listener],
            [],
            names=[unit["FileDescriptorName"]],
            arguments=["--config", str(path)],
        ) as server:
            for address in ("127.0.0.1", "::1"):
                with socket.create_connection((address, port), 60) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert client.recv(12) == b"HTTP/1.1 200"
            assert server.stop() == 0
            assert "Traceback" not in server.log + server.err
    assert (tmp_path / "broker").exists()


@pytest.mark.parametrize("name", ["wsplug.service", "wsplug.socket"])
def test_installs(name: str) -> None:
    """Both units can be enabled."""
    assert read(name)["Install"]["WantedBy"].endswith(".target")
