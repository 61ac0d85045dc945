"""
A running program.

To end a program, the server closes its standard input. After a grace period, it sends
SIGTERM to the process group, and after another one SIGKILL. Output until then is
delivered, unless the program is abandoned.
"""

from __future__ import annotations

import signal
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.apps.process.ending import Ending
from wsplug.apps.process.framing import Framing
from wsplug.apps.process.groups import Guard, groupExists, signalGroup
from wsplug.apps.process.options import ProcessOptions
from wsplug.apps.process.stderr import ErrorLog
from wsplug.apps.process.stdin import Input

__all__ = ["OutputReceiver", "Program"]

_MAX_DISCARDED: Final = 1024 * 1024
"""
Bytes of output that are read and dropped of an abandoned program, so that it can exit.
If it prints more, it blocks until SIGTERM.
"""

_AFTER_KILL: Final = 1.0
"""
Seconds to wait for a process to end after SIGKILL.
"""

_POLL: Final = 0.1
"""
Seconds between two checks whether a process group has ended.
"""


class OutputReceiver(Protocol):
    """
    Gets a program's output.
    """

    def printed(self, messages: list[str | bytes]) -> None:
        """
        The program has printed messages.
        """

    def programEnded(self, ending: Ending) -> None:
        """
        The program has ended, and all its output has been delivered.
        """


class Program(ProcessProtocol):
    """
    A running program.

    @ivar stdin: its standard input.
    @ivar whenGone: fires once the program and its children have ended.
    """

    _log = Logger()

    stdin: Input

    def __init__(
        self,
        options: ProcessOptions,
        receiver: OutputReceiver,
        clock: Any,
        guard: Guard,
    ) -> None:
        self._options = options
        self._receiver: OutputReceiver | None = receiver
        self._clock = clock
        self._guard = guard
        self.whenGone: Deferred[None] = Deferred()
        self._output = options.makeFraming()
        self._errors = options.makeFraming()
        self._errorLog: ErrorLog | None = None
        self._group = 0
        self._deadline: IDelayedCall | None = None
        self._isPaused = False
        # Whether it was paused at any time since the last deadline.
        self._wasPaused = False
        self._isEnding = False
        self._discarded = 0
        self._wasSignalled = False
        self._ending: Ending | None = None

    @property
    def isEnding(self) -> bool:
        """
        Whether the server is ending it.
        """
        return self._isEnding

    def pause(self) -> None:
        """
        Stop reading its output. The program blocks once the pipe is full.
        """
        self._isPaused = self._wasPaused = True
        self._process.pauseProducing()

    def resume(self) -> None:
        """
        Continue reading its output.
        """
        self._isPaused = False
        self._process.resumeProducing()

    def end(self) -> None:
        """
        End the program. Its output until then is delivered.
        """
        if not self._isEnding:
            self._isEnding = True
            self.stdin.close()
            self._wait(self._options.grace, self._terminate)

    def kill(self) -> None:
        """
        Kill the program and its process group at once.
        """
        self._signal(signal.SIGKILL)

    def abandon(self) -> None:
        """
        End the program, and drop its output.
        """
        if self._receiver is None:
            return
        self._receiver = None
        if self._ending is not None:
            self._cut()
            return
        self.resume()
        self.end()

    # ProcessProtocol

    def connectionMade(self) -> None:
        process: Any = self.transport
        self._process = process
        self._group = process.pid
        self._guard.watch(self._group)
        self._name = f"{self._options.name}[{self._group}]"
        if self._options.stderr == "log":
            self._errorLog = ErrorLog(self._name, self._clock)
        self.stdin = Input(self._process)
        self._log.info("{program} started", program=self._name)

    def outReceived(self, data: bytes) -> None:
        self._receive(self._output, data)

    def errReceived(self, data: bytes) -> None:
        if self._errorLog is not None:
            self._errorLog.feed(data)
        else:
            self._receive(self._errors, data)

    def _receive(self, framing: Framing, data: bytes) -> None:
        if self._receiver is not None:
            self._deliver(framing.feed(data))
            return
        self._discarded += len(data)
        if self._discarded > _MAX_DISCARDED:
            self._process.pauseProducing()

    def _deliver(self, messages: list[str | bytes]) -> None:
        if self._receiver is not None and messages:
            self._receiver.printed(messages)

    def outConnectionLost(self) -> None:
        self._deliver(self._output.finish())

    def errConnectionLost(self) -> None:
        self._deliver(self._errors.finish())
        if self._errorLog is not None:
            self._errorLog.finish()

    def inConnectionLost(self) -> None:
        self.stdin.stopProducing()

    def processExited(self, reason: Failure) -> None:
        self._ending = Ending.of(reason, self._wasSignalled)
        if self._receiver is None:
            self._cut()
        elif not self._isEnding:
            self._wasPaused = self._isPaused
            self._wait(self._options.grace, self._endOutput)

    def processEnded(self, reason: Failure) -> None:
        assert self._ending is not None
        self._wait(0, None)
        self.stdin.stopProducing()
        self._log.info("{program}: {ending}", program=self._name, ending=self._ending)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.programEnded(self._ending)
        if groupExists(self._group):
            signalGroup(self._process, self._group, signal.SIGTERM)
        self._sweep(self._clock.seconds() + self._options.grace)

    # Ending

    def _wait(self, seconds: float, call: Any) -> None:
        """
        Set the deadline. It replaces any other.
        """
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None if call is None else self._clock.callLater(seconds, call)

    def _signal(self, number: int) -> None:
        self._wasSignalled = True
        signalGroup(self._process, self._group, number)

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)
        self._wait(self._options.grace, self._kill)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait(_AFTER_KILL, self._giveUp)

    def _giveUp(self) -> None:
        """
        Stop waiting after SIGKILL. Either the program has exited and a process outside
        of its group keeps its output open, or it doesn't exit at all.
        """
        if self._ending is None:
            self._log.error("{program} doesn't exit after SIGKILL", program=self._name)
            self._forget()
        self._cut()

    def _endOutput(self) -> None:
        """
        The program has exited, but another process keeps its output open. Stop reading,
        unless a slow client has paused it: then some of the program's own output may be
        left.
        """
        if self._wasPaused:
            self._wasPaused = self._isPaused
            self._wait(self._options.grace, self._endOutput)
        else:
            self._cut()

    def _cut(self) -> None:
        """
        Stop reading and writing.
        """
        self._process.loseConnection()
        # loseConnection waits until everything is written, but nobody will read it.
        # There is no public way to close it: IProcessTransport has no abortConnection.
        stdin = self._process.pipes.get(0)
        if stdin is not None:
            stdin.connectionLost(Failure(ConnectionDone()))

    def _sweep(self, until: float) -> None:
        """
        Wait for the rest of the process group, and kill it after the deadline.
        """
        if not groupExists(self._group):
            self._forget()
        elif self._clock.seconds() < until:
            self._clock.callLater(_POLL, self._sweep, until)
        else:
            signalGroup(self._process, self._group, signal.SIGKILL)
            self._forget()

    def _forget(self) -> None:
        if not self.whenGone.called:
            self._guard.release(self._group)
            self.whenGone.callback(None)
