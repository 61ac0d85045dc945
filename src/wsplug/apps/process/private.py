"""
Clients with a program of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.apps.process.client import Client
from wsplug.apps.process.ending import Ending
from wsplug.apps.process.program import Program
from wsplug.apps.process.programs import Programs
from wsplug.apps.process.stdin import Input
from wsplug.interfaces import IWebSocketTransport

__all__ = ["PrivateClient"]


@implementer(IPushProducer)
class PrivateClient(Client):
    """
    A connection with a program of its own. Each ends with the other. While the client
    doesn't read, nothing is read from the program either.
    """

    _log = Logger()

    def __init__(
        self,
        programs: Programs,
        variables: Mapping[bytes, bytes],
        owner: str | None = None,
    ) -> None:
        """
        @param variables: environment variables of the program.
        @param owner: the program's owner.
        """
        super().__init__(programs.options, programs.clock)
        self._programs = programs
        self._variables = variables
        self._owner = owner
        self._program: Program | None = None

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        super().negotiationStarted(transport)
        try:
            self._program = self._programs.run(self, self._variables, self._owner)
        except OSError as error:
            ending = Ending(problem=error.strerror or str(error))
            self._log.error("{ending}", ending=ending)
            transport.loseConnection(ending.closeCode, str(ending))
        else:
            transport.attachProducer(self)

    def connectionLost(self, reason: Failure) -> None:
        self.stopProducing()

    def stdin(self) -> Input | None:
        return None if self._program is None else self._program.stdin

    def quitReceived(self) -> None:
        if self._program is not None:
            self._program.end()

    # What the program calls

    def printed(self, messages: list[str | bytes]) -> None:
        for message in messages:
            if isinstance(message, str):
                self.transport.sendTextMessage(message)
            else:
                self.transport.sendBytesMessage(message)

    def programEnded(self, ending: Ending) -> None:
        self._program = None
        self.transport.loseConnection(ending.closeCode, str(ending))

    # What the connection calls

    def pauseProducing(self) -> None:
        if self._program is not None:
            self._program.pause()

    def resumeProducing(self) -> None:
        if self._program is not None:
            self._program.resume()

    def stopProducing(self) -> None:
        program, self._program = self._program, None
        self.stopSending()
        if program is not None:
            program.abandon()
