"""What docs/reference/logs.md says is true."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from tests.documentation.pages import codeIn
from tests.server.http.test_pageoutput import Whole
from tests.server.http.test_pages import get
from tests.server.kit import App, Logs, Recorder, handshake, raw, serve
from tests.server.test_connection import raises
from tests.server.test_stopping import Endpoint, makeService
from tests.web.kit import Telling
from tests.web.test_documentation import rows
from wsplug import Settings
from wsplug.assembly import combine, readFile
from wsplug.daemon.logs import formatJSON
from wsplug.server.stalls import StallDetector
from wsplug.server.statistics import Statistics
from wsplug.tap import Options
from wsplug.testing import MemoryServer
from wsplug.transport.accepting import AcceptFailures

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "logs.md").read_text("utf-8")
EVENTS = rows(PAGE.partition("The fields of the event follow")[2])
ALWAYS = {"time", "level", "namespace", "message"}


def _close() -> None:
    serve().connect().close()


def _accept() -> None:
    serve().connect()


def _refuse() -> None:
    raw(serve(), b"nonsense\r\n\r\n")


def _page() -> None:
    Telling().server.request("GET", "/nothing")


def _cutOff() -> None:
    settings = Settings(send_timeout=1)
    server = MemoryServer(App(pages=Whole()), settings=settings)  # type: ignore[no-untyped-call]
    raw(server, get("/"))
    server.advance(2)


def _takeNoSubprotocol() -> None:
    MemoryServer(App()).connect(subprotocols=["chat"])


def _fail() -> None:
    serve(Recorder(text=raises)).connect().send("x")


def _failInHandshake() -> None:
    raw(MemoryServer(App(raises)), handshake())


def _cannotAccept() -> None:
    AcceptFailures(Clock()).add("Too many open files")


def _stall() -> None:
    seconds, worked = count(0.0), count(0.0)
    calls: list[Any] = []
    reactor: Any = MemoryReactorClock()
    reactor.callFromThread = calls.append
    detector = StallDetector(
        *(reactor, Statistics(), [], 0.5),
        now=lambda: next(seconds),
        worked=lambda: next(worked),
    )
    detector.watch()
    detector.look()
    detector.look()
    calls[0]()


def _ready() -> None:
    makeService([App()], [Endpoint()]).startService()


CAUSES: list[Callable[[], None]] = [
    _close,
    _accept,
    _refuse,
    _takeNoSubprotocol,
    _page,
    _cutOff,
    _fail,
    _failInHandshake,
    _cannotAccept,
    _stall,
    _ready,
]


@pytest.mark.parametrize("index", range(len(CAUSES)))
def test_events(index: int, logs: Logs) -> None:
    """Each event has the level and the fields in its row of the table."""
    CAUSES[index]()
    logs.failures()
    _, level, fields = EVENTS[index]
    lines = [json.loads(formatJSON(event) or "") for event in logs.events()]
    documented = set(re.findall(r"`(\w+)`", fields))
    found = [set(line) - ALWAYS - {"traceback"} for line in lines]
    assert documented in found
    line = lines[found.index(documented)]
    assert line["level"] == level
    assert ("traceback" in line) == (level == "critical")


def test_all_events() -> None:
    """The table has no other rows, and the table of common fields is complete."""
    assert len(EVENTS) == len(CAUSES)
    common = rows(PAGE.partition("## JSON")[2].partition("The fields of the event")[0])
    assert {row[0].strip("`") for row in common} == ALWAYS | {"traceback"}


def test_example() -> None:
    """The sample line is of the kind that it illustrates."""
    (block,) = codeIn(PAGE, "json")
    line = json.loads(block)
    assert set(line) == ALWAYS | set(re.findall(r"`(\w+)`", EVENTS[0][2]))
    assert line["message"] in PAGE.partition("## JSON")[0]


def test_configurations(tmp_path: Path) -> None:
    """The command line and the configuration file are valid."""
    lines = re.findall(r"^\$ twistd --.* wsplug (--.*)$", PAGE, re.MULTILINE)
    assert lines
    for line in lines:
        words = [word for word in shlex.split(line) if "log-format" not in word]
        Options().parseOptions([word for word in words if word != "json"])
        assert "--log-format json" in line
    (block,) = codeIn(PAGE, "toml")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    assert combine({}, readFile(str(path))).operation.logFormat == "json"
