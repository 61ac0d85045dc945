"""
The service as C{twistd} runs it: with signal handlers, its own log, notifications to
systemd, and a parent process that waits for it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from twisted.logger import ILogObserver
from twisted.python.components import Componentized

from wsplug.build import describeBuild
from wsplug.clocks import useSteadyTime
from wsplug.daemon.parent import DaemonsParent
from wsplug.daemon.systemd import describe, makeNotifier
from wsplug.errors import StartupError
from wsplug.service import WebSocketService
from wsplug.version import __version__

__all__ = ["Reloaded", "TwistdService"]


class Reloaded(Protocol):
    """
    Something that SIGHUP reloads.
    """

    def reload(self) -> None:
        """Read the files again. If that fails, log it and keep the old state."""


class TwistdService(WebSocketService):
    """
    The service of a process of its own.
    """

    def __init__(
        self,
        *arguments: Any,
        reactor: Any,
        makeObserver: Callable[[], ILogObserver | None],
        reloaded: Sequence[Reloaded] = (),
        parent: DaemonsParent | None,
        **keywords: Any,
    ) -> None:
        """
        @param makeObserver: makes the log observer, if wsplug writes the log.
        @param reloaded: the parts that SIGHUP reloads.
        @param parent: the parent process that waits for this one; C{None} if there is
            none.
        """
        # wsplug owns the process, so this changes no other program's delayed calls.
        useSteadyTime(reactor)
        super().__init__(*arguments, reactor=reactor, **keywords)
        self._makeObserver = makeObserver
        self._reloaded = reloaded
        self._parent = parent
        self._notifier = makeNotifier(os.environ, reactor, self._describe)
        self._ending = False

    def _describe(self) -> str:
        return describe(len(self.factory.connections), self.isReady)

    def privilegedStartService(self) -> None:
        # Before another process can see the server and signal it.
        self._handleSIGHUP()
        self._handleSIGUSR1()
        self._handleEarlySignals()
        super().privilegedStartService()

    def setServiceParent(self, parent: Any) -> None:
        """
        Become C{twistd}'s service. C{twistd} takes the log observer from the
        application that contains this service.
        """
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if isinstance(parent, Componentized):
            observer = self._makeObserver()
            if observer is not None:
                parent.setComponent(ILogObserver, observer)

    def startService(self) -> None:
        self._log.info(
            "wsplug {version}, codec: {codec}",
            version=__version__,
            codec=describeBuild(),
        )
        self._log.info(
            "up to {count} connections", count=self.factory.settings.max_connections
        )
        super().startService()
        # Right after the reactor installs its own handlers, not after everything else
        # that runs at startup.
        self._reactor.addSystemEventTrigger("during", "startup", self._handleSignals)

    def becameReady(self) -> None:
        if self._notifier is not None:
            self._notifier.ready()
        if self._parent is not None:
            self._parent.up()

    def drainingStarted(self) -> None:
        if self._notifier is not None:
            self._notifier.stopping()

    def _handleSignals(self) -> None:
        """
        End all connections at once on a second SIGINT. On the first one, Twisted's own
        handler stops the server gracefully.
        """
        call = self._reactor.callFromThread
        if not callable(signal.getsignal(signal.SIGINT)):
            return  # it is ignored, as in a shell job started with &
        # Twisted doesn't install its handler over another one, so call it directly.
        interrupt = self._reactor.sigInt

        def handleSIGINT(number: int, frame: Any) -> None:
            if self._ending:
                call(self._endAtOnce, "SIGINT")
            else:
                self._ending = True
                interrupt(number, frame)

        signal.signal(signal.SIGINT, handleSIGINT)

    def _handleEarlySignals(self) -> None:
        """
        Remember a SIGTERM or SIGINT that comes before the reactor runs. Otherwise
        SIGTERM would end the process and leave its pidfile behind, and SIGINT would
        raise C{KeyboardInterrupt} in any code, which may mistake it for another error.

        SIGTERM stops the server gracefully, with exit status 0. Twisted's own handler
        stops it gracefully too, but at the end C{twistd} kills itself with the signal.
        The reactor installs its method C{sigTerm} when it starts. So this replaces the
        method, and no signal reaches Twisted's handler.
        """
        reactor, terminate = self._reactor, self._terminate
        signal.signal(signal.SIGTERM, lambda *_: reactor.callWhenRunning(terminate))
        reactor.sigTerm = lambda *_: reactor.callFromThread(terminate)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            call, again = reactor.callFromThread, signal.raise_signal
            signal.signal(signal.SIGINT, lambda *_: call(again, signal.SIGINT))

    def _terminate(self) -> None:
        if self._ending:
            self._endAtOnce("SIGTERM")
            return
        self._ending = True
        self._log.info("SIGTERM: stopping")
        self.drain()
        self._reactor.stop()

    def _endAtOnce(self, name: str) -> None:
        self._log.info("{name} again: ending at once", name=name)
        self.hurry()

    def _handleSIGHUP(self) -> None:
        """
        Reload on SIGHUP. By default, the signal ends the process.
        """
        reload: Callable[[], None] = self._reload
        if hasattr(signal, "SIGHUP"):
            signal.signal(
                signal.SIGHUP, lambda *_: self._reactor.callFromThread(reload)
            )

    def _handleSIGUSR1(self) -> None:
        """
        Log on SIGUSR1 that there is no log file to rotate, unless another handler is
        installed. By default, the signal ends the process, and programs that rotate
        logs send it whether or not there is a log file.
        """
        if not hasattr(signal, "SIGUSR1"):
            return
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
            tell = partial(self._log.info, "SIGUSR1: there is no log file to rotate")
            signal.signal(signal.SIGUSR1, lambda *_: self._reactor.callFromThread(tell))

    def _reload(self) -> None:
        self._log.info(
            "SIGHUP: reading the certificates again"
            if self._reloaded
            else "SIGHUP: there is nothing to reload"
        )
        for each in self._reloaded:
            each.reload()

    def startRefused(self, error: StartupError) -> None:
        self._say(error)

    def startFailed(self, error: StartupError) -> None:
        self._say(error)
        _exitWithFailure()
        self._ending = True  # a signal from now on is the second one
        self._reactor.stop()

    def _say(self, error: StartupError) -> None:
        """
        Print an error for the user. The log has replaced C{sys.stderr} by now.
        """
        if self._parent is not None:
            self._parent.failed(str(error))
        else:
            print(f"wsplug: {error}", file=sys.__stderr__, flush=True)


def _exitWithFailure() -> None:
    """
    Make the process end with status 1 once C{twistd} is done. C{twistd} offers no way
    to set the status while the reactor runs, and must still remove its pidfile.
    """

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    atexit.register(end)
