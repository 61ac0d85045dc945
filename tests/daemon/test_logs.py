"""The log's lines, which clients can't forge."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.application.app import ServerOptions
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import (
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.failure import Failure

from wsplug.daemon.logs import findOtherFormat, formatJSON, formatText, makeObserver
from wsplug.guard.loglimit import LogLimit
from wsplug.networks import Networks

HOSTILE = (
    "a\n2026-01-01T00:00:00+0000 [-] forged"
    '\r\x1b[2K\x00\x85\u2028\u2029\x0b\x0c"}{\u202e\ud800 ü 漢'
)
"""Text that could break a line, control a terminal, or change how the line reads."""


def _event(format: str = "text", **fields: Any) -> LogEvent:
    """Create an event as a logger does."""
    events: list[LogEvent] = []
    observer: Any = events.append
    Logger("test", observer=observer).info(format, **fields)
    return events[0]


@pytest.mark.parametrize(
    "event",
    [
        _event("{peer} left", peer="192.0.2.1:5"),
        _event("{0} and {peer", peer=1),
        _event("{nothing} there"),
        _event("{call()} {it.real:>5} {it!r}", call=lambda: "called", it=7),
        _event("{many[a]} {text:.2}", many={"a": 1}, text="long"),
        _event("two\nlines, {brace} {{}}", brace="\n}"),
        _event("{it}", it=b"bytes"),
        _event(""),
        {**_event("{a}", a=1), "log_system": "other"},
        {**_event("{a}", a=1), "log_time": None},
        {**_event("{a}", a=1), "log_level": None},
        {**_event("{a}", a=1), "log_format": b"{a}"},
        {"log_time": 1.5},
    ],
)
def test_as_twisted(event: LogEvent) -> None:
    """Simple events are formatted on a faster path, which gives the same line as
    Twisted's.
    """
    expected = formatEventAsClassicLogText(event)
    assert formatText(dict(event)) == expected
    line = formatJSON(dict(event))
    message = formatEvent(event)
    assert (json.loads(line)["message"] if line else "") == message


def _parse(event: LogEvent) -> dict[str, Any]:
    line = formatJSON(event)
    assert line is not None
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert line[:-1].isprintable()
    assert line.isascii()
    parsed: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return parsed


def test_fields() -> None:
    """A line has the time, the level, the source, the text, and the event's own
    fields.
    """
    event = _event("{peer} left", peer="192.0.2.1:5", code=1000, setting=None, ok=True)
    event["log_time"] = 1_800_000_000.1234
    assert _parse(event) == {
        "time": "2027-01-15T08:00:00.123Z",
        "level": "info",
        "namespace": "test",
        "message": "192.0.2.1:5 left",
        "peer": "192.0.2.1:5",
        "code": 1000,
        "setting": None,
        "ok": True,
    }


class _Colour(Enum):
    RED = "red"


def test_values() -> None:
    """Any value of a field becomes valid JSON."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    nested: Any = [1]
    nested.append(nested)
    line = _parse(
        _event(
            bytes=b"\xff\x00a",
            nan=float("nan"),
            number=0.5,
            set={2, 1},
            mapping={1: ("a", None)},
            enum=_Colour.RED,
            path=Path("/a"),
            broken=Broken(),
            nested=nested,
            error=ValueError("only in the message"),
            traceback=3,
        )
    )
    assert line["bytes"] == "\\xff\x00a"
    assert line["nan"] == "nan"
    assert line["number"] == 0.5
    assert line["set"] == [1, 2]
    assert line["mapping"] == {"1": ["a", None]}
    assert line["enum"] == "red"
    assert line["path"] == "/a"
    assert "Broken" in line["broken"]
    assert line["nested"][0] == 1
    assert "error" not in line
    assert line["traceback_"] == 3
    assert "traceback" not in line


def test_traceback() -> None:
    """A traceback is a field, whichever of Twisted's ways logged it."""
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        failure = Failure()
    line = _parse({**_event("it failed"), "log_failure": failure})
    assert line["message"] == "it failed"
    assert "ValueError: " in line["traceback"]
    legacy: LogEvent = {
        "log_time": 1.0,
        "log_namespace": "log_legacy",
        "log_format": "{log_text}",
        "log_text": "Unhandled Error\nTraceback...",
        "log_level": LogLevel.critical,
        "log_failure": failure,
        "failure": failure,
        "message": (),
        "isError": 1,
        "system": "-",
        "time": 1.0,
        "why": None,
    }
    del legacy["log_failure"]
    line = _parse(legacy)
    assert line["message"] == "Unhandled Error"
    assert line["level"] == "critical"
    assert "ValueError: " in line["traceback"]
    assert set(line) == {"time", "level", "namespace", "message", "traceback"}


def test_broken_traceback() -> None:
    """A value that can't be formatted doesn't keep the other fields from the log."""

    class Broken(Failure):
        def getTraceback(self, *_: Any, **__: Any) -> str:
            raise RuntimeError("no")

    broken: Any = Broken
    line = _parse({**_event("it failed"), "log_failure": broken(ValueError())})
    assert line["traceback"] == "can't be shown: no"


@pytest.mark.parametrize("format", [formatText, formatJSON])
def test_nothing(format: Callable[[LogEvent], str | None]) -> None:
    """An event without text causes no line."""
    assert format({"log_time": 1.0}) is None
    assert format({**_event(""), "field": 1}) is None


def test_hostile() -> None:
    """Text from a client survives JSON unchanged.

    In a text log it is escaped. Further lines of the same event each start with a tab.
    """
    event = _event("{peer} said {what}", peer="1", what=HOSTILE)
    line = _parse(event)
    assert line["what"] == HOSTILE
    assert line["message"] == f"1 said {HOSTILE}"
    text = formatText(event)
    assert text is not None
    first, second, end = text.split("\n")
    assert re.match(r"\S+ \[test#info\] 1 said a$", first)
    assert second.startswith("\t2026-01-01")
    assert "\\r\\x1b[2K\\x00\\x85\\u2028\\u2029\\x0b\\x0c" in second
    assert "\\u202e\\ud800 ü 漢" in second
    assert end == ""


@settings(max_examples=50)
@given(st.text(), st.text())
def test_one_line(format: str, value: str) -> None:
    """Any event is one line of JSON.

    In text, it is one line, and each further line starts with a tab.
    """
    event = _event("{value}" if value else format, value=value)
    json_line, text = formatJSON(event), formatText(event)
    if json_line is None:
        assert text is None
        return
    _parse(event)
    assert text is not None
    lines = text.splitlines()
    assert all(line.startswith("\t") for line in lines[1:])
    assert " [test#info] " in lines[0]


def _options(*arguments: str) -> ServerOptions:
    """Make C{twistd}'s options."""
    options = ServerOptions()
    for argument in arguments:
        name, _, value = argument.partition("=")
        options[name] = value or True
    return options


def test_other_formats() -> None:
    """A logger that the user names, syslog, and other programs keep their own
    formats.
    """
    assert findOtherFormat(_options()) is None
    assert findOtherFormat(_options("logger=a.b")) == "twistd's --logger"
    assert findOtherFormat(_options("syslog")) == "twistd's --syslog"
    assert findOtherFormat(None) == "another program than twistd"


def _observer(*arguments: str, name: str = "json") -> Any:
    reactor: Any = MemoryReactorClock()
    return makeObserver(_options(*arguments), name, reactor)


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """In the foreground, and with "-", the log goes to standard output."""
    for options in (("nodaemon",), ("nodaemon", "logfile=-")):
        _observer(*options)(_event("hello"))
        assert json.loads(capsys.readouterr().out)["message"] == "hello"
    with pytest.raises(SystemExit, match="a daemon has no standard output"):
        _observer("logfile=-")


def test_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that other code logs while a client is served count towards the client's
    limit.
    """
    observer = _observer("nodaemon")
    limit = LogLimit(Clock(), 1, Networks())
    client = IPv4Address("TCP", "192.0.2.1", 1)
    with limit.blaming(client, "failures"):
        for number in range(100):
            observer({**_event(f"error {number}"), "log_level": LogLevel.critical})
            observer(_event(f"info {number}"))
    observer({**_event("after"), "log_level": LogLevel.critical})
    out = capsys.readouterr().out
    assert out.count("error ") == 10
    assert out.count("info ") == 100
    assert "after" in out


@pytest.fixture
def _signals() -> Any:
    """Restore the signal handlers."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("_signals")
def test_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are rotated by size, and keep their mode.

    Without a given name, twistd's default applies.
    """
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "twistd.log"
    path.touch()
    path.chmod(0o640)
    observer = _observer()
    event = _event("x" * 1000)
    for _ in range(1000):
        observer(event)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "twistd.log",
        "twistd.log.1",
    ]
    for each in tmp_path.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o640
        for line in each.read_text("ascii").splitlines():
            json.loads(line)
    observer._outFile.close()


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o077, 0o600)])
def test_new_file(umask: int, mode: int, tmp_path: Path) -> None:
    """A new file isn't readable by everyone, not even after rotation, and has no
    permission that the umask removes.
    """
    path = tmp_path / "log"
    before = os.umask(umask)
    try:
        observer = _observer(f"logfile={path}")
        assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)
    observer._outFile.rotate()
    for each in tmp_path.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == mode
    observer._outFile.close()


@pytest.mark.usefixtures("_signals")
def test_unwritable(tmp_path: Path) -> None:
    """A log file that can't be written is an error of one line."""
    with pytest.raises(SystemExit, match=r"can't write the log file .*: No such file"):
        _observer(f"logfile={tmp_path}/nowhere/log")


@pytest.mark.usefixtures("_signals")
def test_signal_of_others(tmp_path: Path) -> None:
    """An existing handler for SIGUSR1 stays."""

    def handler(*_: object) -> None:
        pass

    signal.signal(signal.SIGUSR1, handler)
    observer = _observer(f"logfile={tmp_path}/log")
    assert signal.getsignal(signal.SIGUSR1) is handler
    observer._outFile.close()
    assert os.path.exists(tmp_path / "log")
