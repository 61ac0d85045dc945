"""
Programs that several clients share. Their output goes to all of them.

A client that reads too slowly doesn't delay the program or the other clients. It is
closed with 1013 when it exceeds the server's C{max-send-buffer} or C{send-timeout}.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug import CloseCode, PreparedMessage, broadcast
from wsplug.apps.process.backlog import Backlog
from wsplug.apps.process.client import Client
from wsplug.apps.process.ending import Ending
from wsplug.apps.process.program import Program
from wsplug.apps.process.programs import Programs, unavailable
from wsplug.apps.process.restarting import MAX_DELAY, Restarts
from wsplug.apps.process.stdin import Input
from wsplug.interfaces import IWebSocketTransport

__all__ = ["Room", "RoomClient"]


class Room:
    """
    A program and its clients.

    A named room starts with its first client, and ends some time after its last one has
    left. The room that all share lives as long as the server.
    """

    _log = Logger()

    def __init__(
        self,
        programs: Programs,
        variables: Mapping[bytes, bytes],
        whenOver: Callable[[], object] | None = None,
    ) -> None:
        """
        @param variables: environment variables of the program.
        @param whenOver: called once the room has ended; C{None} if it doesn't end.
        """
        options = programs.options
        self._programs = programs
        self._options = options
        self._clock = programs.clock
        self._variables = variables
        self._whenOver = whenOver
        self._clients: dict[IWebSocketTransport, None] = {}
        self._backlog = Backlog(options.backlog, options.backlog_size)
        self._restarts = Restarts(options.restart, random.random)
        self._program: Program | None = None
        self._startedAt = 0.0
        self._restartAt = 0.0
        # How the program ended, until it is started again.
        self._ending: Ending | None = None
        self._isOver = False
        self._timer: IDelayedCall | None = None

    def start(self, owner: str | None = None) -> None:
        """
        Start the program.

        @param owner: its owner; C{None} for the server.
        """
        self._setTimer(0, None)
        self._ending = None
        self._backlog.clear()
        self._startedAt = self._clock.seconds()
        try:
            self._program = self._programs.run(self, self._variables, owner)
        except OSError as error:
            self.programEnded(Ending(problem=error.strerror or str(error)))

    def stop(self) -> None:
        """
        Don't start the program any more. L{Programs} ends it.
        """
        self._setTimer(0, None)
        self._program = None

    # For the clients

    @property
    def stdin(self) -> Input | None:
        """
        The program's standard input; C{None} if it isn't running.
        """
        return None if self._program is None else self._program.stdin

    def check(self, owner: str | None) -> None:
        """
        Check that a client may enter.

        @param owner: the program's owner, if it has to be started.
        @raise HandshakeRefused: no client may enter now.
        """
        if self._program is not None:
            if self._program.isEnding:
                raise unavailable("the room's program is still exiting", 1)
        elif self._isOver:
            pass  # its output and how it ended can still be seen
        elif self._ending is not None and self._clock.seconds() < self._restartAt:
            rest = self._restartAt - self._clock.seconds()
            raise unavailable(f"{self._ending}; it will be restarted", rest)
        else:
            self._programs.check(owner)

    def enter(self, transport: IWebSocketTransport, owner: str | None) -> None:
        """
        Add a connection: it gets the program's latest output, and all that follows.

        @param owner: the program's owner, if it has to be started.
        """
        self._clients[transport] = None
        if self._program is not None:
            self._setTimer(0, None)
        elif not self._isOver:
            self.start(owner)
        for message in self._backlog:
            transport.sendPreparedMessage(message)
        if self._isOver and self._ending is not None:
            self._clients.pop(transport, None)
            transport.loseConnection(self._ending.closeCode, str(self._ending))

    def leave(self, transport: IWebSocketTransport) -> None:
        """
        Remove a connection. It needn't be in the room.
        """
        if transport not in self._clients:
            return
        del self._clients[transport]
        if not self._clients and self._whenOver is not None:
            self._setTimer(self._options.linger, self._endProgram)

    # What the program calls

    def printed(self, messages: list[str | bytes]) -> None:
        for message in messages:
            prepared = PreparedMessage(message)
            self._backlog.add(prepared)
            broadcast(prepared, self._clients)

    def programEnded(self, ending: Ending) -> None:
        wasEnded = self._program is not None and self._program.isEnding
        self._program = None
        self._setTimer(0, None)
        if wasEnded:
            self._end()
            return
        self._ending = ending
        ran = self._clock.seconds() - self._startedAt
        delay = self._restarts.delay(ending, ran)
        if delay is None:
            self._isOver = True
            self._close(ending.closeCode, str(ending))
            self._end()
            return
        self._restartAt = self._clock.seconds() + delay
        self._log.warn(
            "{ending}; it will be restarted in {delay:.1f} s",
            ending=ending,
            delay=delay,
        )
        self._close(CloseCode.SERVICE_RESTART, f"{ending}; it will be restarted")
        if self._whenOver is None:
            self._setTimer(delay, self.start)
        else:
            # The next client starts it. The room is kept until then, or for long enough
            # that the delays of a program that keeps failing grow.
            self._setTimer(delay + MAX_DELAY, self._end)

    def _close(self, code: int, reason: str) -> None:
        clients, self._clients = self._clients, {}
        for transport in clients:
            transport.loseConnection(code, reason)

    def _endProgram(self) -> None:
        if self._program is not None:
            self._program.end()

    def _end(self) -> None:
        if self._whenOver is not None:
            self._whenOver()

    def _setTimer(self, seconds: float, call: Callable[[], object] | None) -> None:
        """
        Set the timer. It replaces any other.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if call is None else self._clock.callLater(seconds, call)


class RoomClient(Client):
    """
    A connection that shares a program.
    """

    def __init__(
        self, programs: Programs, room: Room, owner: str | None = None
    ) -> None:
        """
        @param owner: the program's owner, if it has to be started for this client.
        """
        super().__init__(programs.options, programs.clock)
        self._room = room
        self._owner = owner

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        super().negotiationStarted(transport)
        self._room.enter(transport, self._owner)

    def connectionLost(self, reason: Failure) -> None:
        self.stopSending()
        self._room.leave(self.transport)

    def stdin(self) -> Input | None:
        return self._room.stdin

    def quitReceived(self) -> None:
        self.transport.loseConnection()
