"""
The programs that run, up to a limit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from twisted.internet.defer import Deferred, gatherResults

from wsplug import HandshakeRefused
from wsplug.apps.process import environment
from wsplug.apps.process.groups import Guard, findLauncher
from wsplug.apps.process.options import ProcessOptions
from wsplug.apps.process.program import Audience, Program
from wsplug.interfaces import IServices

__all__ = ["Programs", "unavailable"]

_FULL_FOR: Final = 5.0
"""
Seconds after which it is worth while to ask again when too many programs run.
"""


def unavailable(reason: str, seconds: float) -> HandshakeRefused:
    """
    Make the refusal of a client for whom there is no program now.

    @param seconds: after which there may be one.
    """
    after = max(1, -int(-seconds // 1))
    return HandshakeRefused(503, reason, headers=[(b"Retry-After", b"%d" % after)])


class Programs:
    """
    Starts and stops programs.

    @ivar options: the application's.
    @ivar clock: an C{IReactorTime}.
    """

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        self.options = options
        self.clock = services.clock
        self._reactor = services.reactor
        self._guard = Guard(services.reactor, services.clock, options.grace)
        self._running: dict[Program, None] = {}
        self._launcher = findLauncher()
        self._inherited = environment.inherited(options.env)

    def start(self) -> None:
        """
        Be ready.
        """
        self._guard.start()

    def stop(self) -> Deferred[None]:
        """
        End all programs.

        @return: fires once nothing is left of them.
        """
        gone: list[Deferred[None]] = []
        for program in list(self._running):
            gone.append(program.whenGone)
            program.abandon()
        return gatherResults(gone).addCallback(lambda _: self._guard.stop())

    def check(self) -> None:
        """
        @raise HandshakeRefused: so many programs run that no other may.
        """
        limit = self.options.max_programs
        if len(self._running) >= limit:
            raise unavailable(
                f"all {limit} programs are taken; try again later", _FULL_FOR
            )

    def run(self, audience: Audience, variables: Mapping[bytes, bytes]) -> Program:
        """
        Start a program.

        @param variables: of its environment, besides those that it inherits.
        @raise OSError: the system can't.
        """
        options = self.options
        directory = options.directory
        if directory is not None:
            # As the process that is to be the program would find out too late.
            os.stat(directory)
        program = Program(options, audience, self.clock, self._guard)
        launcher = self._launcher
        self._reactor.spawnProcess(
            program,
            launcher[0],
            [*launcher, *options.command],
            env={**self._inherited, **variables},
            path=directory,
        )
        self._running[program] = None
        program.whenGone.addCallback(lambda _: self._running.pop(program))
        return program
