"""The log of a server in its own process."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.processes import (
    HOST,
    TCP,
    TWISTD,
    Process,
    portOf,
    runTwistd,
    serve,
    waitUntil,
)

APPLICATION = """
from wsplug import HandshakeRefused, application
from twisted.python import log


@application("talk", help="Does what it is told.")
async def talk(socket):
    async for message in socket:
        if message == "print":
            print("printed")
        elif message == "legacy":
            log.err(ValueError("legacy"), "why")
        elif message == "raise":
            raise RuntimeError("raised\\r\\n2026-01-01T00:00:00+0000 [-] forged")
        elif message == "close":
            socket.transport.loseConnection(4000, "enough\\u2028of it")
        await socket.send("done")
"""


class _Talker(Process):
    """A server with the application, which logs in JSON."""

    def __init__(self, folder: Path, *twistd: str, file: str = "") -> None:
        """
        @param twistd: options for C{twistd} itself.
        @param file: the log's; where there is none, it is the standard output.
        """
        (folder / "talk.py").write_text(APPLICATION, "utf-8")
        self._file = folder / file if file else None
        wsplug = ["--app=talk.py", "--log-format=json", f"--listen={TCP}"]
        super().__init__(
            [TWISTD, "-n", "--pidfile=", *twistd, "wsplug", *wsplug], folder
        )
        try:
            self.port = portOf(self.find("listening on")["address"])
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> _Talker:
        return self

    @property
    def log(self) -> str:
        if self._file is None:
            return self.out
        return self._file.read_text("ascii") if self._file.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        whole = self.log.rpartition("\n")[0]
        return [json.loads(line) for line in whole.split("\n") if line]

    def find(self, words: str) -> dict[str, Any]:
        """Wait for a line whose message contains some words, and return the last
        such line.
        """

        def found() -> list[dict[str, Any]]:
            assert not self.ended or self.lines(), self.err
            return [each for each in self.lines() if words in each["message"]]

        waitUntil(lambda: bool(found()), f"{words!r} is in the log")
        return found()[-1]


def test_json(tmp_path: Path) -> None:
    """Each line is a JSON object, whatever happened and whoever logged it.

    No line contains message payloads, or secrets in requests.
    """
    with _Talker(tmp_path) as server:
        _talk(server)
        _beRefused(server)
        assert server.stop() == 0
        server.find("Server Shut Down")
        for line in server.lines():
            assert {"time", "level", "namespace", "message"} <= set(line)
            assert line["time"].endswith("Z")
        assert "secret" not in server.log
        assert "message's text" not in server.log


def _talk(server: _Talker) -> None:
    url = f"ws://{HOST}:{server.port}/"
    with connect(url) as client:
        peer = "{}:{}".format(*client.local_address[:2])
        for message in ("print", "legacy", "the message's text"):
            client.send(message)
            assert client.recv(60) == "done"
        client.send("raise")
        with pytest.raises(ConnectionClosed, match="1011"):
            client.recv(60)
    line = server.find("talk failed while serving")
    assert line["level"] == "critical"
    assert (line["peer"], line["application"]) == (peer, "talk")
    assert "RuntimeError: raised" in line["traceback"]
    line = server.find(f"{peer} talk: closed by the application")
    assert (line["peer"], line["application"]) == (peer, "talk")
    assert (line["code"], line["reason"]) == (1011, "internal error")
    assert (line["side"], line["setting"]) == ("application", None)
    assert server.find("printed")["level"] == "info"
    assert "ValueError: legacy" in server.find("why")["traceback"]
    with connect(url) as client:
        client.send("close")
        with pytest.raises(ConnectionClosed, match="4000"):
            client.recv(60)
    assert server.find("4000")["reason"] == "enough\u2028of it"


def _beRefused(server: _Talker) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"ws://{HOST}:{server.port}/", origin=Origin("https://evil.example"))
    line = server.find("refused: 403")
    assert (line["status"], line["setting"]) == (403, "origin")
    assert line["application"] == ""
    with socket.create_connection((HOST, server.port), 60) as raw:
        raw.sendall(b"GET /\x1b\r\n\r\n")
        assert b" 400 " in raw.recv(4096)
    assert server.find("refused: 400")["status"] == 400
    plain = http.client.HTTPConnection(HOST, server.port, timeout=60)
    headers = {"Authorization": "Bearer secret", "Cookie": "secret=secret"}
    plain.request("GET", "/%0d%0aforged?token=secret", headers=headers)
    assert plain.getresponse().read()
    plain.close()
    line = server.find("GET")
    assert line["path"] == "/%0d%0aforged"
    assert line["status"] == 426


def test_file(tmp_path: Path) -> None:
    """The log file is twistd's: it keeps its mode, is appended to, and is rotated
    with SIGUSR1.
    """
    log = tmp_path / "w.log"
    log.touch(0o600)
    with _Talker(tmp_path, "--logfile=w.log", file="w.log") as server:
        assert server.out == ""
        server.signal(signal.SIGUSR1)
        waitUntil(lambda: (tmp_path / "w.log.1").exists(), "it is rotated")
        with connect(f"ws://{HOST}:{server.port}/"):
            pass
        assert server.find("closed by the peer")["code"] == 1000
        assert server.stop() == 0
    for path in (log, tmp_path / "w.log.1"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert all(json.loads(line) for line in path.read_text("ascii").splitlines())


def test_text(tmp_path: Path) -> None:
    """In a text log, neither an application nor a client can forge a line."""
    (tmp_path / "talk.py").write_text(APPLICATION, "utf-8")
    with serve(tmp_path, "--app=talk.py") as server:
        for message in ("raise", "close"):
            with connect(f"ws://{HOST}:{server.port}/") as client:
                client.send(message)
                with pytest.raises(ConnectionClosed):
                    client.recv(60)
        server.waitForLog("4000: enough\\u2028of it")
        server.waitForLog("raised\\r\n\t2026-01-01T00:00:00+0000 [-] forged")
        assert server.stop() == 0
        for line in server.log.splitlines():
            assert re.match(r"\t|\d{4}-\d\d-\d\dT\S+ \[", line), line


@pytest.mark.parametrize(
    ("twistd", "words"),
    [
        (("--logger=twisted.logger.LogPublisher",), "twistd's --logger"),
        (("--syslog",), "twistd's --syslog"),
    ],
)
def test_conflicts(tmp_path: Path, twistd: tuple[str, ...], words: str) -> None:
    """JSON together with another log observer is an error of one line."""
    finished = runTwistd(
        tmp_path, "-n", *twistd, "wsplug", "--app=echo", "--log-format=json"
    )
    assert finished.status == 1
    assert finished.err.count("\n") == 1
    assert "log-format json" in finished.err
    assert words in finished.err


def test_unwritable(tmp_path: Path) -> None:
    """
    A log file that can't be written is an error in one line.
    """
    finished = runTwistd(
        tmp_path, "-n", "--logfile=nowhere/w.log", "wsplug", "--app=echo", "--port=0"
    )
    assert finished.status == 1
    assert finished.err == (
        f"wsplug: there is no folder {tmp_path / 'nowhere'} for nowhere/w.log "
        "(--logfile)\n"
    )
