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
from wsplug.interfaces import IHandshakeRequest, IServices
from wsplug.networks import hostOf, placeOf

__all__ = ["Programs", "ownerOf", "unavailable"]

_FULL_FOR: Final = 5.0
"""
Seconds after which it is worth while to ask again when too many programs run.
"""


def ownerOf(request: IHandshakeRequest) -> str | None:
    """
    Say whose a program is: the user's who has logged in, or the address' place.

    @return: C{None} where it is nobody's, as of who comes over a UNIX socket.
    """
    name = getattr(request.avatar, "name", None)
    if isinstance(name, str):
        return f"user {name}"
    address = request.getClientAddress()
    return None if hostOf(address) is None else placeOf(address)


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
        self._running: dict[Program, str | None] = {}
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

        @return: fires once nothing is left of them. Cancel it to have them killed at
            once.
        """
        stopped: Deferred[None] = Deferred(lambda _: self._kill())
        gone: list[Deferred[None]] = []
        for program in list(self._running):
            gone.append(program.whenGone)
            program.abandon()
        ending = gatherResults(gone).addCallback(lambda _: self._guard.stop())
        ending.addCallback(lambda _: None if stopped.called else stopped.callback(None))
        return stopped

    def _kill(self) -> None:
        for program in list(self._running):
            program.kill()

    def check(self, owner: str | None) -> None:
        """
        @param owner: whose the next one would be, from L{ownerOf}.
        @raise HandshakeRefused: so many programs run, of everybody or of the owner,
            that no other may.
        """
        limit = self.options.max_programs
        if len(self._running) >= limit:
            raise unavailable(
                f"all {limit} programs are taken; try again later", _FULL_FOR
            )
        limit = self.options.max_address_programs
        own = sum(each == owner for each in self._running.values())
        if owner is not None and own >= limit:
            raise HandshakeRefused(
                429,
                f"{limit} programs from here run, and no more may; end one first",
                headers=[(b"Retry-After", b"%d" % _FULL_FOR)],
                setting="max-address-programs",
            )

    def run(
        self,
        audience: Audience,
        variables: Mapping[bytes, bytes],
        owner: str | None = None,
    ) -> Program:
        """
        Start a program.

        @param variables: of its environment, besides those that it inherits.
        @param owner: whose it is, from L{ownerOf}.
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
        self._running[program] = owner
        program.whenGone.addCallback(lambda _: self._running.pop(program))
        return program
