"""
Starts and stops the mounted applications.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
    succeed,
)
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.awaiting import maybeAwait
from wsplug.errors import ConfigurationError, HandshakeRefused, StartupError
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.patience import Patience
from wsplug.server.roster import Roster

__all__ = ["Applications", "ListeningApplications"]


class Applications:
    """
    The applications of a server. They start together and stop one after the other.
    """

    _log = Logger()

    def __init__(
        self,
        mounts: Mounts,
        patience: Patience,
        started: Callable[[str, Deferred[Any]], object] | None = None,
    ) -> None:
        """
        @param patience: limits how long each one may take to stop.
        @param started: called for each application with its name and a Deferred that
            fires when it has started.
        """
        self._mounts = mounts
        self._patience = patience
        self._tell = started
        self._started: list[Mount] = []
        self._wanted = False

    def start(self) -> Deferred[None]:
        """
        Start all applications at the same time.

        @return: fires when all have started. It fails with L{StartupError} as soon as
            one has failed; the others go on until L{stop}.
        """
        self._wanted = True
        starts = [self._start(mount) for mount in self._mounts]
        all: Deferred[Any] = gatherResults(starts, consumeErrors=True)
        return all.addCallbacks(lambda _: None, _firstFailure)

    def _start(self, mount: Mount) -> Deferred[None]:
        def started(_: object) -> Deferred[None] | None:
            if self._wanted:
                self._started.append(mount)
                mount.check()  # it may have changed
                return None
            # The server stopped meanwhile, for example because another one failed.
            return self._stop(mount)

        def failed(failure: Failure) -> None:
            if not self._wanted and failure.check(CancelledError):
                return  # the server ends without it
            if failure.check(ConfigurationError):
                raise StartupError(failure.getErrorMessage())
            self._log.failure(
                "{application} did not start", failure, application=mount.name
            )
            if not self._wanted:
                return
            raise StartupError(
                f"the application {mount.name} did not start: "
                f"{failure.getErrorMessage()}"
            )

        starting: Deferred[Any] = maybeAwait(mount.application.startApplication)
        starting.addCallback(started).addErrback(failed)
        if self._tell is not None:
            self._tell(mount.name, starting)
        return starting

    async def stop(self) -> None:
        """
        Stop the applications that have started, the last one first. Those that are
        still starting are stopped once they have started. Each is cancelled if it
        exceeds the stop timeout.
        """
        self._wanted = False
        started, self._started = self._started, []
        for mount in reversed(started):
            await self._stop(mount)

    def _stop(self, mount: Mount) -> Deferred[None]:
        stopping: Deferred[Any] = maybeAwait(mount.application.stopApplication)
        stopping = self._patience.wait(mount.name, stopping, "stopping")
        return stopping.addErrback(
            lambda failure: self._log.failure(
                "{application} failed while stopping", failure, application=mount.name
            )
        )


def _firstFailure(failure: Failure) -> Failure:
    """
    Return the failure that made C{gatherResults} fail.
    """
    error: Any = failure.value
    first: Failure = error.subFailure
    return first


class ListeningApplications:
    """
    Runs the applications while their server listens or has connections.
    """

    _log = Logger()

    def __init__(
        self, applications: Applications, roster: Roster, clock: IReactorTime
    ) -> None:
        """
        @param roster: the server's connections, which wait for the applications to
            start.
        """
        self._applications = applications
        self._roster = roster
        self._clock = clock
        self._listening = self._runs = self._changes = False
        self._error: StartupError | None = None
        self._waiting: list[Deferred[None]] = []
        roster.whenLeft = self._left

    def listen(self) -> None:
        """
        The server begins to listen: start the applications, unless they run.

        @raise StartupError: an application has failed at once.
        """
        self._listening = True
        self._check()
        if self._error is not None and not self._changes:
            self._listening = False
            self._check()
            raise self._error

    def stopListening(self) -> None:
        """
        The server has stopped listening.
        """
        self._listening = False
        self._check()

    def _left(self) -> None:
        """
        A connection has closed, perhaps the last one.
        """
        if not self._listening:
            # A proxy's connection may be counted again at once, as its client's.
            self._clock.callLater(0, self._check)

    def _check(self) -> None:
        """
        Start or stop the applications, if needed.
        """
        if not self._changes and self._isWanted() != self._runs:
            self._changes = True
            Deferred.fromCoroutine(self._change())

    def whenStopped(self) -> Deferred[None]:
        """
        Wait until all applications have stopped.
        """
        if not self._runs and not self._changes:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def _isWanted(self) -> bool:
        return self._listening or (self._runs and self._roster.count() > 0)

    async def _change(self) -> None:
        while self._isWanted() != self._runs:
            self._runs = not self._runs
            if self._runs:
                await self._start()
            else:
                await self._applications.stop()
        self._changes = False
        if not self._runs:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    async def _start(self) -> None:
        roster = self._roster
        # If a drain has closed all connections, the server serves again.
        roster.draining = None
        roster.awaitStart()
        self._error = None
        try:
            await self._applications.start()
        except StartupError as error:
            self._log.critical("{error}", error=str(error))
            self._error = error
            roster.fail(HandshakeRefused(503, "the server did not start"))
        else:
            roster.serve()
