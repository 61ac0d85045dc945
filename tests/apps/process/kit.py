"""
Programs that are none: a reactor that spawns what tests play themselves.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any

from twisted.internet.error import (
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.apps.process import process
from wsplug.testing import MemoryClient, MemoryServer

__all__ = ["CAT", "FakeProgram", "Stage"]

CAT = shutil.which("cat") or "/bin/cat"

_NOBODY = 1 << 30
"""
More than any process id: no signal reaches anything real.
"""


class _Stdin:
    def __init__(self, program: FakeProgram) -> None:
        self._program = program

    def connectionLost(self, reason: Failure) -> None:
        self._program.closeStdin()

    def doWrite(self) -> None:
        """
        Send what was written: this is a test's process, which has it already.
        """


class FakeProgram:
    """
    A process's transport, and the process.

    @ivar argv: what was to be run, without what makes it lead a process group.
    @ivar environment: its variables, as text.
    @ivar read: what it has read.
    @ivar signals: those that it got.
    @ivar isPaused: whether what it prints isn't read.
    @ivar reads: whether it reads its input.
    """

    def __init__(
        self, protocol: Any, args: list[str], env: dict[bytes, bytes], path: Any
    ) -> None:
        self.argv = args[1:]
        self.environment = {
            os.fsdecode(name): os.fsdecode(value) for name, value in env.items()
        }
        self.directory = path
        self.read = b""
        self.signals: list[int] = []
        self.isPaused = False
        self.reads = True
        self.pid: int | None = None
        self.pipes: dict[int, object] = {0: _Stdin(self), 1: object(), 2: object()}
        self._protocol = protocol
        self._waiting = b""
        self._producer: Any = None
        self._isFull = False
        self._reason: Failure | None = None

    def start(self, number: int) -> None:
        """
        Be there.
        """
        self.pid = _NOBODY + number
        self._protocol.makeConnection(self)

    # What the application calls

    def write(self, data: bytes) -> None:
        if 0 not in self.pipes:
            return
        self._waiting += data
        if self.reads:
            self.readAll()
        elif len(self._waiting) > 65536 and not self._isFull:
            self._isFull = True
            self._producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self.isPaused = True

    def resumeProducing(self) -> None:
        self.isPaused = False

    def closeStdin(self) -> None:
        self._lose(0)

    def loseConnection(self) -> None:
        for number in (0, 1, 2):
            self._lose(number)

    def signalProcess(self, number: int) -> None:
        if self._reason is not None:
            raise ProcessExitedAlready()
        self.signals.append(number)

    # What the program does

    @property
    def readsEnd(self) -> bool:
        """
        Whether its input has ended.
        """
        return 0 not in self.pipes

    def readAll(self) -> None:
        """
        Read what there is.
        """
        self.read += self._waiting
        self._waiting = b""
        if self._isFull:
            self._isFull = False
            if self._producer is not None:
                self._producer.resumeProducing()

    def prints(self, data: bytes, to: int = 1) -> None:
        """
        Print something, to standard output or to standard error.
        """
        if to in self.pipes:
            self._protocol.childDataReceived(to, data)

    def closes(self, number: int) -> None:
        """
        Close one of its files.
        """
        producer, self._producer = self._producer, None
        if number == 0 and producer is not None:
            producer.stopProducing()
        self._lose(number)

    def exits(
        self, status: int = 0, number: int | None = None, only: bool = False
    ) -> None:
        """
        End.

        @param number: the signal that ends it, if one does.
        @param only: leave its files open, as where a child has them too.
        """
        if number is not None or status:
            error: Exception = ProcessTerminated(
                None if number is not None else status, number
            )
        else:
            error = ProcessDone(0)
        self._reason = Failure(error)
        self._protocol.processExited(self._reason)
        if not only:
            for each in (0, 1, 2):
                self.closes(each)
        self._settle()

    def obeys(self) -> None:
        """
        End by the last signal.
        """
        self.exits(number=self.signals[-1])

    def _lose(self, number: int) -> None:
        if number in self.pipes:
            del self.pipes[number]
            self._protocol.childConnectionLost(number)
            self._settle()

    def _settle(self) -> None:
        if not self.pipes and self._reason is not None and self.pid is not None:
            self.pid = None
            self._protocol.processEnded(self._reason)


@implementer(IReactorProcess)
class _Reactor(Clock):
    """
    A clock that can spawn.

    @ivar problem: why it can't.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[FakeProgram] = []
        self.problem: OSError | None = None

    def spawnProcess(
        self,
        processProtocol: Any,
        executable: Any,
        args: Any = (),
        env: Any = None,
        path: Any = None,
        uid: Any = None,
        gid: Any = None,
        usePTY: Any = 0,
        childFDs: Any = None,
    ) -> Any:
        assert executable == args[0]
        if self.problem is not None:
            raise self.problem
        program = FakeProgram(processProtocol, list(args), env, path)
        self.spawned.append(program)
        program.start(len(self.spawned))
        return program


class Stage:
    """
    A server with the application, and the programs that it has started.

    @ivar guard: the one that it starts for itself.
    """

    def __init__(
        self, *, settings: Any = None, path: str = "/", **options: object
    ) -> None:
        """
        @param options: of the application, with underscores; the command is C{cat}
            where none is given.
        """
        self.reactor = _Reactor()
        named = {name.replace("_", "-"): value for name, value in options.items()}
        self.server = MemoryServer(
            process,
            options={"command": "cat", **named},
            clock=self.reactor,
            settings=settings,
            path=path,
        )
        self.guard = self.reactor.spawned[0]

    @property
    def programs(self) -> list[FakeProgram]:
        """
        All that were started so far.
        """
        return self.reactor.spawned[1:]

    @property
    def program(self) -> FakeProgram:
        """
        The last one.
        """
        return self.programs[-1]

    def connect(self, target: str = "/", **options: Any) -> MemoryClient:
        """
        Connect a client.
        """
        return self.server.connect(target, **options)

    def prints(self, data: bytes, to: int = 1) -> None:
        """
        Have the last program print something, and clients get it.
        """
        self.program.prints(data, to)
        self.server.run()

    def exits(self, status: int = 0, number: int | None = None) -> None:
        """
        Have the last program end, and clients hear of it.
        """
        self.program.exits(status, number)
        self.server.run()

    def advance(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.server.advance(seconds)


TERM, KILL = int(signal.SIGTERM), int(signal.SIGKILL)
