"""What a server in its own process reports about itself, over real sockets."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.admin.kit import TOKEN
from tests.processes import HOST, Server, runTwistd, serve, upgrade, waitUntil
from tests.web.kit import Samples, key, readSamples

pytestmark = pytest.mark.costly

SLOW = """
import os
from twisted.internet import reactor, task
from wsplug import interfaces
from zope.interface import implementer


@implementer(interfaces.IWebSocketApplication)
class Slow:
    subprotocols = ()
    pages = None

    async def startApplication(self):
        while not os.path.exists("go"):
            await task.deferLater(reactor, 0.01, lambda: None)

    def stopApplication(self):
        pass

    def buildProtocol(self, request):
        return None


slow = Slow()
"""


def _letOperatorsIn(folder: Path) -> str:
    """Make the option that serves metrics on the server's port, to clients with the
    token.
    """
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    return "--admin-token-file=token"


def _get(server: Server, path: str) -> tuple[int, str]:
    try:
        request = Request(
            f"http://{HOST}:{server.port}{path}",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        with urlopen(request, timeout=60) as response:
            return response.status, response.read().decode("utf-8")
    except HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8")


def _scrape(server: Server) -> Samples:
    status, text = _get(server, "/-/metrics")
    assert status == 200
    return readSamples(text)


@pytest.mark.everyday
def test_numbers(tmp_path: Path) -> None:
    """The metrics match what clients did: two applications, messages of both kinds
    and of many sizes, refusals, and closings by each side.
    """
    with (
        serve(
            tmp_path,
            *("--app=echo:compression=no", "--app=bot", "--max-message-size=64KiB"),
            *("--max-connections=3", "--metrics=yes", _letOperatorsIn(tmp_path)),
        ) as server,
        ExitStack() as stack,
    ):
        url = f"ws://{HOST}:{server.port}"
        sizes = [0, 1, 125, 126, 65535, 65536]
        with connect(f"{url}/echo", max_size=None) as client:
            for size in sizes:
                client.send(b"x" * size)
                assert len(client.recv(60)) == size
            client.send("x" * 65537)
            with pytest.raises(ConnectionClosed, match="1009"):
                client.recv(60)
        with pytest.raises(InvalidStatus):
            connect(f"{url}/echo", origin=Origin("https://evil.example"))
        gone = upgrade(server.port, "/echo")
        gone.close()
        opening = key("wsplug_opening_connections")
        echoes = key("wsplug_connections", application="echo")
        waitUntil(
            lambda: _scrape(server)[opening] + _scrape(server)[echoes] == 1,
            "nobody is there but the scrape",
        )
        staying = [stack.enter_context(connect(f"{url}/bot")) for _ in range(3)]
        with pytest.raises(InvalidStatus, match="503"):
            connect(f"{url}/bot")
        assert _get(server, "/-/health/live") == (200, '{"live": true}\n')
        status, text = _get(server, "/-/health/ready")
        assert (status, json.loads(text)["reason"]) == (503, "full: max-connections")
        for client in staying[1:]:
            client.close(4321)

        echo = {"application": "echo"}
        open_bots = key("wsplug_connections", application="bot")
        waitUntil(lambda: _scrape(server)[open_bots] == 1, "the others are gone")
        samples = _scrape(server)
        frames = sum(size + _head(size) for size in sizes)
        assert samples[key("wsplug_received_messages_total", **echo)] == len(sizes)
        assert samples[key("wsplug_sent_messages_total", **echo)] == len(sizes)
        # The rest: what was read of the message over the limit, the 101 responses, and
        # close frames.
        received = samples[key("wsplug_received_bytes_total", **echo)]
        assert frames + 4 * len(sizes) < received
        sent = samples[key("wsplug_sent_bytes_total", **echo)]
        assert frames < sent < frames + 1000
        assert samples[key("wsplug_connections", **echo)] == 0
        closings = _counts(samples, "wsplug_closings_total")
        assert closings == {
            ("echo", "1009", "max-message-size", "server"): 1,
            ("echo", "1006", "", "peer"): 1,
            ("bot", "4000-4999", "", "peer"): 2,
        }
        assert _counts(samples, "wsplug_handshakes_total") == {
            ("echo", "", "101"): 2,
            ("bot", "", "101"): 3,
            ("", "origin", "403"): 1,
            ("", "max-connections", "503"): 1,
        }
        stack.close()
        assert server.stop() == 0
        assert "/-/" not in server.log


def _head(size: int) -> int:
    return 2 if size < 126 else 4 if size < 65536 else 10


def _counts(samples: Samples, name: str) -> dict[tuple[str, ...], float]:
    """Give the values of a metric by their labels."""
    return {
        tuple(value for _, value in labels): count
        for (each, labels), count in samples.items()
        if each == name
    }


def test_ready(tmp_path: Path) -> None:
    """Until its applications have started, a server is live but not ready."""
    (tmp_path / "slow.py").write_text(SLOW, "utf-8")
    with serve(tmp_path, "--app=slow.py:slow") as server:
        assert _get(server, "/-/health/live")[0] == 200
        status, text = _get(server, "/-/health/ready")
        assert (status, json.loads(text)["reason"]) == (503, "starting")
        (tmp_path / "go").touch()
        waitUntil(lambda: _get(server, "/-/health/ready")[0] == 200, "it is ready")


def test_without_prometheus(tmp_path: Path) -> None:
    """
    Without prometheus-client, a 404 says what is missing, and "--metrics yes" doesn't
    start.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['prometheus_client'] = None\n", "utf-8"
    )
    missing: Any = {"PYTHONPATH": str(tmp_path)}
    with serve(tmp_path, _letOperatorsIn(tmp_path), environment=missing) as server:
        status, text = _get(server, "/-/metrics")
        assert status == 404
        assert "pip install 'wsplug[metrics]'" in text
        # Nobody has asked for metrics.
        assert "wsplug[metrics]" not in server.log
    finished = runTwistd(
        tmp_path, *("-n", "wsplug", "--app=echo", "--metrics=yes"), environment=missing
    )
    assert finished.status == 1
    assert finished.err.count("\n") == 1
    assert "pip install 'wsplug[metrics]'" in finished.err
