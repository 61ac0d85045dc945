"""
What C{twistd}'s own options ask for and the system won't give: found before anything is
done, and told in one line. C{twistd} itself would tell some of it in a traceback, and
some only in the log.
"""

from __future__ import annotations

import errno
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsplug.errors import StartupError

__all__ = ["checkTwistd"]


def checkTwistd(options: Mapping[str, Any]) -> None:
    """
    Check C{twistd}'s options.

    @param options: as C{twistd} has parsed them.
    @raise StartupError: it couldn't start so.
    """
    _checkUser(options)
    if options.get("chroot"):
        return  # the other paths mean something else then
    rundir = options.get("rundir") or "."
    if not os.path.isdir(rundir):
        raise StartupError(f"there is no folder {rundir} (--rundir)")
    pidfile = options.get("pidfile")
    if pidfile:
        _checkPidfile(Path(pidfile))
    logfile = options.get("logfile")
    if options.get("syslog") or options.get("logger") or logfile == "-":
        return
    if not logfile and not options.get("nodaemon"):
        logfile = "twistd.log"
    if logfile:
        _checkWritable(Path(logfile), "--logfile")


def _checkUser(options: Mapping[str, Any]) -> None:
    uid, gid = options.get("uid"), options.get("gid")
    changes = [
        f"--{name}={wanted}"
        for name, wanted, own in (
            ("uid", uid, os.geteuid()),
            ("gid", gid, os.getegid()),
        )
        if wanted is not None and wanted != own
    ]
    if changes and os.geteuid() != 0:
        raise StartupError(f"only root can start with {' '.join(changes)}")
    if options.get("chroot") and os.geteuid() != 0:
        raise StartupError("only root can start with --chroot")
    if uid is not None and gid is None:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            raise StartupError(
                f"there is no user {uid} (--uid), so its group is unknown: say --gid"
            ) from None


def _checkPidfile(path: Path) -> None:
    """
    Find out whether the server that has written a pidfile still runs, and remove the
    file if not: also where another process has got that server's number meanwhile,
    which C{twistd} would take for it.
    """
    try:
        content = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        _checkWritable(path, "--pidfile")
        return
    except OSError as error:
        raise StartupError(f"can't read {path} (--pidfile): {error.strerror}") from None
    if not content.isdecimal() or int(content) == 0:
        raise StartupError(f"{path} (--pidfile) has no process's number in it")
    pid = int(content)
    if pid != os.getpid() and _runs(pid):
        command = _commandOf(pid)
        if command is None or _isTwistd(command):
            raise StartupError(
                f"it runs already, as process {pid} of {path}; another one takes "
                "another --pidfile"
            )
    _checkWritable(path, "--pidfile")
    try:
        path.unlink()
    except OSError as error:
        raise StartupError(
            f"can't remove {path} (--pidfile), whose process {pid} is gone: "
            f"{error.strerror}"
        ) from None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    except OverflowError:
        return False
    return True


def _commandOf(pid: int) -> list[str] | None:
    """
    Give the command line of a process; C{None} where the system doesn't tell.
    """
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return line.decode("utf-8", "replace").rstrip("\0").split("\0")


def _isTwistd(command: list[str]) -> bool:
    """
    Tell whether a process may be one of C{twistd}'s: whether it is run by a program of
    the same name as this one.
    """
    name = os.path.basename(sys.argv[0])
    return any(os.path.basename(word) in (name, "twistd") for word in command[:4])


def _checkWritable(path: Path, option: str) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StartupError(f"there is no folder {folder} for {path} ({option})")
    if path.is_dir():
        raise StartupError(f"{path} ({option}) is a folder")
    what = path if path.exists() else folder
    if not os.access(what, os.W_OK):
        raise StartupError(f"can't write to {what} ({option}): Permission denied")
