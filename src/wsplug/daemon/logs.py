"""
The lines of the log: one for each event, as text or as JSON. Text that a client sends
can't forge a line or split one in two.

The options of C{twistd} say where the log is written.
"""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from twisted.application.app import ServerOptions
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    FileLogObserver,
    LogEvent,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from twisted.python.reflect import safe_str

from wsplug.guard.loglimit import isLeftOut
from wsplug.printable import escapeUnprintable

__all__ = ["findOtherFormat", "formatJSON", "formatText", "makeObserver"]

_LEGACY: Final = frozenset(
    {
        "failure",
        "format",
        "isError",
        "logLevel",
        "message",
        "printed",
        "system",
        "time",
        "why",
    }
)
"""
Keys that C{twisted.python.log} and its observers add to events for their own use.
"""

_UNUSUAL: Final = frozenset({"log_failure", "log_flattened", "log_system"})
"""
Keys of events that take longer to format.
"""

_MODE: Final = 0o640
"""
The mode of a new log file. It contains clients' addresses and tracebacks, which not
every user may read.
"""

_OURS: Final = ("time", "level", "namespace", "message", "traceback")

_DEPTH: Final = 4
"""
How deep lists and mappings are nested in a JSON line.
"""


def formatText(event: LogEvent) -> str | None:
    """
    Format an event as C{twistd} does. Further lines of an event, such as a traceback,
    begin with a tab. Unprintable characters are escaped: carriage returns, terminal
    commands, Unicode line ends.

    @return: C{None} for an event without a text.
    """
    text = _formatQuickly(event) or formatEventAsClassicLogText(event)
    if text is None or text[:-1].isprintable():
        return text
    return escapeUnprintable(text, keep="\n\t")


def _formatQuickly(event: LogEvent) -> str | None:
    """
    Do what C{formatEventAsClassicLogText} does, several times as fast, for events that
    are as simple as those of connections.

    @return: C{None} for other events.
    """
    level = event.get("log_level")
    when = event.get("log_time")
    if level is None or when is None or not _UNUSUAL.isdisjoint(event):
        return None
    text = _formatMessage(event).replace("\n", "\n\t")
    system = f"{event.get('log_namespace', '-')}#{level.name}"
    return f"{_formatSecond(int(when))} [{system}] {text}\n" if text else None


def _formatMessage(event: LogEvent) -> str:
    """
    Do what C{formatEvent} does. That goes through the format in Python, for formats
    that call something, C{"{x()}"}.
    """
    format = event.get("log_format")
    if type(format) is str and "(" not in format and "log_flattened" not in event:
        try:
            return format.format_map(event)
        except Exception:
            pass  # it is reported below
    return formatEvent(event)


@lru_cache(maxsize=1)
def _formatSecond(second: int) -> str:
    return formatTime(second)


def formatJSON(event: LogEvent) -> str | None:
    """
    Format an event as a JSON object in one line of ASCII.

    @return: C{None} for an event without a text.
    """
    message = _formatMessage(event)
    failure = event.get("log_failure")
    if failure is None and isinstance(event.get("failure"), Failure):
        # From twisted.python.log.err, whose text contains the traceback.
        failure = event["failure"]
        message = safe_str(event.get("why") or "Unhandled Error")
    if not message and failure is None:
        return None
    line: dict[str, object] = {
        "time": _formatTime(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", "info"),
        "namespace": safe_str(event.get("log_namespace", "-")),
        "message": message,
    }
    for key, value in event.items():
        if not _isOwn(key, value):
            continue
        line[f"{key}_" if key in _OURS else key] = _plain(value)
    if failure is not None:
        line["traceback"] = _formatTraceback(failure)
    return json.dumps(line) + "\n"


def _isOwn(key: str, value: object) -> bool:
    """
    Return whether a key is the event's own field, and not in its message already.
    """
    return (
        not key.startswith("log_")
        and key not in _LEGACY
        and not isinstance(value, (BaseException, Failure))
    )


def _formatTime(seconds: float | None) -> str:
    moment = datetime.fromtimestamp(
        time.time() if seconds is None else seconds, timezone.utc
    )
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _formatTraceback(failure: Failure) -> str:
    try:
        return str(failure.getTraceback())
    except Exception as error:
        # The traceback calls the exception's own code for its text.
        return f"can't be shown: {safe_str(error)}"


def _plain(value: object, depth: int = 0) -> object:
    """
    Convert a value to a type that JSON has.
    """
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth < _DEPTH:
        if isinstance(value, Mapping):
            return {safe_str(key): _plain(value[key], depth + 1) for key in value}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_plain(item, depth + 1) for item in _ordered(value)]
    return safe_str(value)


def _ordered(values: Iterable[object]) -> Iterable[object]:
    if isinstance(values, (set, frozenset)):
        return sorted(values, key=safe_str)
    return values


_FORMATS: Final[Mapping[str, Callable[[LogEvent], str | None]]] = {
    "text": formatText,
    "json": formatJSON,
}


def findOtherFormat(options: Any) -> str | None:
    """
    Find out whether something other than wsplug sets the format of the log: a logger
    of the user's, or syslog.

    @param options: C{twistd}'s; C{None} if another program reads the arguments.
    @return: its name; C{None} if wsplug sets the format.
    """
    if not isinstance(options, ServerOptions):
        return "another program than twistd"
    if options.get("logger"):
        return "twistd's --logger"
    if options.get("syslog"):
        return "twistd's --syslog"
    return None


def _leaveOut(
    format: Callable[[LogEvent], str | None],
) -> Callable[[LogEvent], str | None]:
    """
    Leave out events that exceed the log limit of a client.
    """
    return lambda event: None if isLeftOut(event) else format(event)


def _modeOf(path: str) -> int:
    """
    Return the mode for a log file: its own if it exists, or else L{_MODE} without the
    bits of the umask.
    """
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        return _MODE & ~umask


def makeObserver(
    options: Any, name: str, reactor: IReactorFromThreads
) -> FileLogObserver:
    """
    Make an observer that writes to the same file as C{twistd}'s own. C{twistd} has no
    public way to ask for that file, or to set another format. SIGUSR1 rotates the
    file, as with C{twistd}'s own observer.

    @param options: C{twistd}'s.
    @param name: the format: C{"text"} or C{"json"}.
    @raise SystemExit: a daemon can't log to its standard output, or the file can't be
        written. Its code is the error message.
    """
    format = _leaveOut(_FORMATS[name])
    path = options.get("logfile")
    isDaemon = hasattr(os, "fork") and not options.get("nodaemon")
    if isDaemon and path == "-":
        sys.exit("wsplug: a daemon has no standard output to log to; use --logfile")
    if not isDaemon and path in (None, "", "-"):
        return FileLogObserver(sys.stdout, format)
    path = path or "twistd.log"
    try:
        file: Any = LogFile.fromFullPath(path, defaultMode=_modeOf(path))
    except OSError as error:
        sys.exit(f"wsplug: can't write the log file {path}: {error.strerror}")
    if hasattr(signal, "SIGUSR1") and not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))
    return FileLogObserver(file, format)
