"""
Certificates that are replaced while the server runs: new connections get the new one,
open ones don't notice.
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
Seconds between two looks at the files.
"""

_REMINDING: Final = 24 * 3600.0
"""
Seconds between two warnings of a certificate that runs out.
"""

_SOON: Final = timedelta(days=7)
"""
How long before its end a certificate is warned of. Those who renew them by themselves
do so weeks before.
"""


def _utcnow() -> datetime:
    return datetime.now(timezone.utc)


@implementer(IOpenSSLServerConnectionCreator)
class ReloadedCertificate:
    """
    Makes TLS connections with the newest certificate that is right.

    The files are looked at every few seconds, once L{start} was called; what has
    changed is read when it has stayed the same from one look to the next, so that
    nothing half written is. A file that can't be used is one line in the log, and the
    certificate from before stays in use until the files change again.
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
        @param now: what time it is, with its zone.
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
        Say which certificate it is, and look at its files from now on.
        """
        self._say("the certificate")
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """
        Look no more.
        """
        if self._loop.running:
            self._loop.stop()

    def check(self) -> None:
        """
        Look at the files, and read them again where they have changed.
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
        Read the files again.
        """
        # Looked at before: what changes while they are read is seen at the next look.
        self._tried = self._seen = self._look()
        try:
            self._loaded = load(self._files)
        except InvalidOption as error:
            self._log.error(
                "TLS: the certificate from before stays in use: {error}",
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
        Warn where it is not valid, or not much longer.
        """
        self._reminded = self._clock.seconds()
        now, loaded = self._now(), self._loaded
        if now >= loaded.ends:
            what = "has run out"
        elif now < loaded.begins:
            what = f"is not valid before {loaded.begins:%Y-%m-%d %H:%M} UTC"
        elif loaded.ends - now < _SOON:
            what = f"runs out at {loaded.ends:%Y-%m-%d %H:%M} UTC"
        else:
            return
        self._log.warn(
            "TLS: the certificate in {path} {what}",
            path=self._files.certificate,
            what=what,
        )


def _lookAt(path: str) -> Any:
    """
    Tell by what a file differs from one that was there before, without reading it.
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
        # Others may read it now.
        found.st_mode,
        found.st_uid,
        found.st_gid,
    )
