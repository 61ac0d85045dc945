"""
A program, from its start to its end.

Its end, where the server wants it: its standard input is closed; after a while its
process group gets SIGTERM, and after another SIGKILL. What it printed until then is
delivered, if there is still somebody to deliver it to.
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

__all__ = ["Audience", "Program"]

_DISCARDED: Final = 1024 * 1024
"""
Bytes that are read and dropped of a program that nobody listens to any more, so that it
can come to its end. One that prints more has to wait for SIGTERM.
"""

_AFTER_KILL: Final = 1.0
"""
Seconds that the system gets to end what was sent SIGKILL.
"""

_POLL: Final = 0.1
"""
Seconds between two looks at whether the last of a process group has gone.
"""


class Audience(Protocol):
    """
    Who gets what a program prints.
    """

    def printed(self, messages: list[str | bytes]) -> None:
        """
        It has printed something.
        """

    def programEnded(self, ending: Ending) -> None:
        """
        It has ended, and all that it printed was delivered.
        """


class Program(ProcessProtocol):
    """
    One running program.

    @ivar stdin: where to write to it.
    @ivar whenGone: fires once nothing is left of it.
    """

    _log = Logger()

    stdin: Input

    def __init__(
        self, options: ProcessOptions, audience: Audience, clock: Any, guard: Guard
    ) -> None:
        self._options = options
        self._audience: Audience | None = audience
        self._clock = clock
        self._guard = guard
        self.whenGone: Deferred[None] = Deferred()
        self._output = options.makeFraming()
        self._errors = options.makeFraming()
        self._errorLog: ErrorLog | None = None
        self._group = 0
        self._deadline: IDelayedCall | None = None
        self._isPaused = False
        # Whether it was, at any time since the last deadline.
        self._wasPaused = False
        self._isEnding = False
        self._discarded = 0
        self._wasSignalled = False
        self._ending: Ending | None = None

    @property
    def isEnding(self) -> bool:
        """
        Whether it has been told to end.
        """
        return self._isEnding

    def pause(self) -> None:
        """
        Don't read what it prints: it has to wait once the pipe is full.
        """
        self._isPaused = self._wasPaused = True
        self._process.pauseProducing()

    def resume(self) -> None:
        """
        Read what it prints.
        """
        self._isPaused = False
        self._process.resumeProducing()

    def end(self) -> None:
        """
        Have it end. Who listens gets what it prints until then.
        """
        if not self._isEnding:
            self._isEnding = True
            self.stdin.close()
            self._wait(self._options.grace, self._terminate)

    def kill(self) -> None:
        """
        End it, and what is left of its process group, at once.
        """
        self._signal(signal.SIGKILL)

    def abandon(self) -> None:
        """
        Have it end. Nobody listens any more.
        """
        if self._audience is None:
            return
        self._audience = None
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
        if self._audience is not None:
            self._deliver(framing.feed(data))
            return
        self._discarded += len(data)
        if self._discarded > _DISCARDED:
            self._process.pauseProducing()

    def _deliver(self, messages: list[str | bytes]) -> None:
        if self._audience is not None and messages:
            self._audience.printed(messages)

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
        if self._audience is None:
            self._cut()
        elif not self._isEnding:
            self._wasPaused = self._isPaused
            self._wait(self._options.grace, self._endOutput)

    def processEnded(self, reason: Failure) -> None:
        assert self._ending is not None
        self._wait(0, None)
        self.stdin.stopProducing()
        self._log.info("{program}: {ending}", program=self._name, ending=self._ending)
        audience, self._audience = self._audience, None
        if audience is not None:
            audience.programEnded(self._ending)
        if groupExists(self._group):
            signalGroup(self._process, self._group, signal.SIGTERM)
        self._sweep(self._clock.seconds() + self._options.grace)

    # Ends

    def _wait(self, seconds: float, call: Any) -> None:
        """
        Set the deadline, in place of any other.
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
        It is gone, and its output is held by what has left its process group; or it
        isn't, and nothing can be done about that.
        """
        if self._ending is None:
            self._log.error("{program} does not end", program=self._name)
            self._forget()
        self._cut()

    def _endOutput(self) -> None:
        """
        It has exited, but somebody else keeps its output open. As long as a slow client
        holds up the reading, there may be something of its own left.
        """
        if self._wasPaused:
            self._wasPaused = self._isPaused
            self._wait(self._options.grace, self._endOutput)
        else:
            self._cut()

    def _cut(self) -> None:
        """
        Read and write no more.
        """
        self._process.loseConnection()
        # That waits until all is written; but nobody is going to read it. There is no
        # other way to close this end: IProcessTransport has no abortConnection.
        stdin = self._process.pipes.get(0)
        if stdin is not None:
            stdin.connectionLost(Failure(ConnectionDone()))

    def _sweep(self, until: float) -> None:
        """
        Have the rest of its process group end.
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
