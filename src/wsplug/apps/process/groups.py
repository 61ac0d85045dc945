"""
Process groups: a program is ended together with its children, even if the server is
killed.

A program is the leader of a session of its own. The C{setsid} command makes it one or,
on systems without it, C{launch.py}. The server can't set the group itself: once the
process has executed the program, POSIX forbids it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["Guard", "findLauncher", "groupExists", "signalGroup"]

_log = Logger(__name__)

_GUARD: Final = Path(__file__).with_name("guard.py")

_LAUNCH: Final = Path(__file__).with_name("launch.py")

_RESTART_DELAY: Final = 1.0
"""
Seconds after which a guard that has died is restarted.
"""


def findLauncher() -> list[str]:
    """
    Return the words to put before a command so that it leads a process group.
    """
    found = shutil.which("setsid")
    return [found] if found else _python(_LAUNCH)


def _python(script: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(script)]


def groupExists(group: int) -> bool:
    """
    Return whether a process group has members.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # its members run with other privileges
    return True


def signalGroup(process: Any, group: int, number: int) -> None:
    """
    Send a signal to a process group. If the group doesn't exist yet, send it to the
    process that will lead it.

    @param process: the leader's C{IProcessTransport}.
    """
    try:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            process.signalProcess(number)
    except ProcessExitedAlready:
        pass
    except PermissionError:
        _log.warn(
            "process {pid} runs with other privileges and can't be signalled", pid=group
        )


class Guard(ProcessProtocol):
    """
    A process that ends the programs if the server is killed: see C{guard.py}. Each
    application has one.
    """

    def __init__(self, reactor: Any, clock: Any, grace: float) -> None:
        """
        @param grace: seconds that groups get to exit before SIGTERM, and after it.
        """
        self._reactor = reactor
        self._clock = clock
        self._grace = grace
        self._groups: set[int] = set()
        self._again: IDelayedCall | None = None
        self._stopped: Deferred[None] | None = None

    def start(self) -> None:
        """
        Start the process.

        @raise OSError: the process can't be started.
        """
        self._again = None
        # It knows the groups from the beginning, even if the server is killed now.
        groups = map(str, sorted(self._groups))
        command = [*_python(_GUARD), f"{self._grace:g}", *groups]
        launcher = findLauncher()
        self._reactor.spawnProcess(
            self,
            launcher[0],
            [*launcher, *command],
            env={},
            childFDs={0: "w", 1: "r", 2: "r"},
        )

    def watch(self, group: int) -> None:
        """
        Watch a group, to end it if the server dies.
        """
        self._groups.add(group)
        self._tell("+", group)

    def release(self, group: int) -> None:
        """
        Stop watching a group, which has ended.
        """
        self._groups.discard(group)
        self._tell("-", group)

    def stop(self) -> Deferred[None]:
        """
        Stop the process.

        @return: fires once it has exited.
        """
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.transport is None:
            return succeed(None)
        self._stopped = Deferred()
        self.transport.closeStdin()
        return self._stopped

    def _tell(self, sign: str, group: int) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.write(f"{sign}{group}\n".encode("ascii"))
            # Now, and not in the reactor's next turn: the server may be killed.
            pipe = transport.pipes.get(0)
            if pipe is not None:
                pipe.doWrite()

    def errReceived(self, data: bytes) -> None:
        _log.error("guard: {text!r}", text=data)

    def processEnded(self, reason: Failure) -> None:
        self.transport = None
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)
            return
        _log.error(
            "the guard process has ended and will be restarted: {reason}",
            reason=reason.getErrorMessage(),
        )
        self._again = self._clock.callLater(_RESTART_DELAY, self._startAgain)

    def _startAgain(self) -> None:
        try:
            self.start()
        except OSError as error:
            _log.error("can't start the guard process: {error}", error=error)
            self._again = self._clock.callLater(_RESTART_DELAY, self._startAgain)
