"""
Checks of C{twistd}'s own options against the system, before the start. Each error is
one line. C{twistd} itself reports some of these errors in a traceback, and some only in
the log.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsplug.daemon.running import isServer
from wsplug.errors import StartupError

__all__ = ["checkTwistd"]


def checkTwistd(options: Mapping[str, Any]) -> None:
    """
    Check C{twistd}'s options.

    @param options: as C{twistd} has parsed them.
    @raise StartupError: C{twistd} can't start with them.
    """
    _checkUser(options)
    if options.get("chroot"):
        return  # the other paths are below the new root
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
    if uid is None and gid is None and not options.get("chroot"):
        return
    if not hasattr(os, "geteuid"):
        raise StartupError("--uid, --gid and --chroot are for POSIX systems")
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
        from pwd import getpwuid

        try:
            getpwuid(uid)
        except KeyError:
            raise StartupError(
                f"there is no user {uid} (--uid), so its group is unknown: use --gid"
            ) from None


def _checkPidfile(path: Path) -> None:
    """
    Check that the server of a pidfile doesn't run any more, and remove the file. A
    process that has reused the server's process ID doesn't count, although C{twistd}
    mistakes it for the server.
    """
    try:
        content = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        _checkWritable(path, "--pidfile")
        return
    except OSError as error:
        raise StartupError(f"can't read {path} (--pidfile): {error.strerror}") from None
    if content and (not content.isdecimal() or int(content) == 0):
        raise StartupError(
            f"{path} (--pidfile) has no process ID in it; remove it if no server of "
            "yours wrote it"
        )
    # A full disk or a power failure leaves an empty file.
    pid = int(content or "0")
    if pid and pid != os.getpid() and isServer(pid):
        raise StartupError(
            f"the server already runs as process {pid} ({path}); a second server "
            "needs another --pidfile"
        )
    _checkWritable(path, "--pidfile")
    try:
        path.unlink()
    except OSError as error:
        raise StartupError(
            f"can't remove the stale {path} (--pidfile): {error.strerror}"
        ) from None


def _checkWritable(path: Path, option: str) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StartupError(f"there is no folder {folder} for {path} ({option})")
    if path.is_dir():
        raise StartupError(f"{path} ({option}) is a folder")
    what = path if path.exists() else folder
    if not os.access(what, os.W_OK):
        raise StartupError(f"can't write to {what} ({option}): Permission denied")
