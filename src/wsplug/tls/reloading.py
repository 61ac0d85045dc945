"""
Certificates that are reloaded while the server runs. New connections get the new
certificate; open ones aren't affected.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

from OpenSSL.SSL import Connection
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from wsplug.errors import InvalidOption
from wsplug.tls.context import load
from wsplug.tls.options import TLSFiles

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

__all__ = ["INTERVAL", "ReloadedCertificate"]

INTERVAL: Final = 1.0
"""
Seconds between two checks of the files.
"""

_REMINDING: Final = 24 * 3600.0
"""
Seconds between two warnings about an expiring certificate.
"""

_SOON: Final = timedelta(days=7)
"""
The remaining time from which on the log warns. Automatic renewal happens weeks before.
"""


def _utcnow() -> datetime:
    return datetime.now(timezone.utc)


@implementer(IOpenSSLServerConnectionCreator)
class ReloadedCertificate:
    """
    Makes TLS connections with the newest valid certificate.

    After L{start}, the files are checked at regular intervals. Changed files are loaded
    once they are the same in two checks, so that no half-written file is loaded. If a
    file can't be used, this is logged in one line, and the old certificate stays in use
    until the files change again.
    """

    _log = Logger()

    def __init__(
        self,
        files: TLSFiles,
        clock: IReactorTime,
        now: Callable[[], datetime] = _utcnow,
    ) -> None:
        """
        @param clock: the reactor.
        @param now: returns the time of day, with its time zone.
        @raise InvalidOption: the files can't be used.
        """
        self._files = files
        self._now = now
        self._clock = clock
        self._tried = self._seen = self._look()
        self._loaded = load(files)
        self._reminded = clock.seconds()
        self._loop = LoopingCall(self.check)
        self._loop.clock = clock

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> Connection:
        return Connection(self._loaded.context, None)

    def start(self) -> None:
        """
        Log the certificate, and start to check its files.
        """
        self._say("the certificate")
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """
        Stop checking the files.
        """
        if self._loop.running:
            self._loop.stop()

    def check(self) -> None:
        """
        Check the files, and load them again if they have changed.
        """
        now = self._look()
        settled = now == self._seen
        self._seen = now
        if settled and now != self._tried:
            self.reload()
        elif self._clock.seconds() - self._reminded >= _REMINDING:
            self._warn()

    def reload(self) -> None:
        """
        Load the files again.
        """
        # Checked before loading, so that later changes are found by the next check.
        self._tried = self._seen = self._look()
        try:
            self._loaded = load(self._files)
        except InvalidOption as error:
            self._log.error(
                "TLS: the old certificate stays in use: {error}",
                error=str(error),
            )
        else:
            self._say("new connections get the certificate")

    def _look(self) -> tuple[object, ...]:
        return tuple(map(_lookAt, self._files.paths))

    def _say(self, what: str) -> None:
        self._log.info(
            "TLS: {what} for {names}, valid until {ends:%Y-%m-%d %H:%M} UTC",
            what=what,
            names=self._loaded.names,
            ends=self._loaded.ends,
        )
        self._warn()

    def _warn(self) -> None:
        """
        Warn if the certificate isn't valid, or expires soon.
        """
        self._reminded = self._clock.seconds()
        now, loaded = self._now(), self._loaded
        if now >= loaded.ends:
            what = "has expired"
        elif now < loaded.begins:
            what = f"is not valid before {loaded.begins:%Y-%m-%d %H:%M} UTC"
        elif loaded.ends - now < _SOON:
            what = f"expires at {loaded.ends:%Y-%m-%d %H:%M} UTC"
        else:
            return
        self._log.warn(
            "TLS: the certificate in {path} {what}",
            path=self._files.certificate,
            what=what,
        )


def _lookAt(path: str) -> Any:
    """
    Return what identifies a version of a file, without reading it.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    return (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        # Permissions may have changed.
        found.st_mode,
        found.st_uid,
        found.st_gid,
    )
