"""
The service as C{twistd} runs it: with signals, a log of its own, systemd, and a parent
that waits for it.
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

import wsplug
from wsplug.build import DESCRIPTION
from wsplug.clocks import useSteadyTime
from wsplug.daemon.parent import DaemonsParent
from wsplug.daemon.systemd import describe, makeNotifier
from wsplug.errors import StartupError
from wsplug.service import WebSocketService

__all__ = ["Reloaded", "TwistdService"]


class Reloaded(Protocol):
    """
    What is read again on SIGHUP.
    """

    def reload(self) -> None:
        """Read it again. What can't be read is logged, and stays as it was."""


class TwistdService(WebSocketService):
    """
    The service as the process's main thing.
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
        @param makeObserver: makes what writes the log, if wsplug does.
        @param reloaded: what is read again on SIGHUP.
        @param parent: waits for this to be up; C{None} where nobody does.
        """
        # The process is wsplug's: nobody else's delayed calls are changed by this.
        useSteadyTime(reactor)
        super().__init__(*arguments, reactor=reactor, **keywords)
        self._reactor = reactor
        self._makeObserver = makeObserver
        self._reloaded = reloaded
        self._parent = parent
        self._notifier = makeNotifier(os.environ, reactor, self._describe)
        self._ending = False

    def _describe(self) -> str:
        return describe(len(self.factory.connections), self.isReady)

    def privilegedStartService(self) -> None:
        # Before anybody can know that the server is there.
        self._handleSIGHUP()
        self._handleSIGUSR1()
        self._handleEarlySignals()
        super().privilegedStartService()

    def setServiceParent(self, parent: Any) -> None:
        """
        Become C{twistd}'s service. It looks for what writes the log in the application
        that it makes, once this is in it.
        """
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if isinstance(parent, Componentized):
            observer = self._makeObserver()
            if observer is not None:
                parent.setComponent(ILogObserver, observer)

    def startService(self) -> None:
        self._log.info(
            "wsplug {version}, codec: {codec}",
            version=wsplug.__version__,
            codec=DESCRIPTION,
        )
        self._log.info(
            "up to {count} connections", count=self.factory.settings.max_connections
        )
        super().startService()
        # Right after the reactor's own handlers are there, not when all else that is
        # for this moment has been done.
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
        Close the last connections at once on a second SIGINT. On the first, Twisted's
        own handler stops the server in order.
        """
        call = self._reactor.callFromThread
        if not callable(signal.getsignal(signal.SIGINT)):
            return  # it is ignored, as of what a shell has started with &
        # Twisted leaves its own one out where another one was there before.
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
        Remember a SIGTERM or SIGINT that comes before the reactor runs: one would end
        the process with its pidfile left, and the other raise somewhere, where it may
        be taken for something else.

        On SIGTERM, the server stops in order, and with exit status 0. Twisted's own
        handler stops it in order too, but has C{twistd} kill itself with the signal at
        the end. The reactor takes that handler from its method when it starts, so that
        it is replaced there: a signal never meets Twisted's.
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
        Read again what can be, in place of the signal's own effect, which is to end the
        process.
        """
        reload: Callable[[], None] = self._reload
        if hasattr(signal, "SIGHUP"):
            signal.signal(
                signal.SIGHUP, lambda *_: self._reactor.callFromThread(reload)
            )

    def _handleSIGUSR1(self) -> None:
        """
        Say that there is no log file to rotate, where nothing handles the signal: its
        own effect is to end the process, and what rotates logs sends it to anybody.
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
            else "SIGHUP: there is nothing to read again"
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
        Tell the user, not only the log, which has taken C{sys.stderr} over by now.
        """
        if self._parent is not None:
            self._parent.failed(str(error))
        else:
            print(f"wsplug: {error}", file=sys.__stderr__, flush=True)


def _exitWithFailure() -> None:
    """
    Have the process end with status 1 once C{twistd} is done. It has no way to say so
    while the reactor runs, and must still remove its pidfile.
    """

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    atexit.register(end)
