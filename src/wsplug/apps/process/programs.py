"""
Starts and stops programs, up to a limit.
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
from wsplug.apps.process.program import OutputReceiver, Program
from wsplug.interfaces import IHandshakeRequest, IServices
from wsplug.networks import clientKey, hostOf

__all__ = ["Programs", "ownerOf", "unavailable"]

_RETRY_AFTER: Final = 5.0
"""
Seconds after which clients may try again if too many programs are running.
"""


def ownerOf(request: IHandshakeRequest) -> str | None:
    """
    Return the owner of a request's program: the user who has logged in, or the client's
    address prefix.

    @return: C{None} without an owner, as for clients of a UNIX socket.
    """
    name = getattr(request.avatar, "name", None)
    if isinstance(name, str):
        return f"user {name}"
    address = request.getClientAddress()
    return None if hostOf(address) is None else clientKey(address)


def unavailable(reason: str, seconds: float) -> HandshakeRefused:
    """
    Make the refusal for a client that can't have a program now.

    @param seconds: after which it may try again.
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
        Start the guard.
        """
        self._guard.start()

    def stop(self) -> Deferred[None]:
        """
        End all programs.

        @return: fires once they and their children have ended. If you cancel it, they
            are killed at once.
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
        Check that another program may start.

        @param owner: its owner, from L{ownerOf}.
        @raise HandshakeRefused: too many programs are running, in all or of this owner.
        """
        limit = self.options.max_programs
        if len(self._running) >= limit:
            raise unavailable(
                f"{limit} programs are running, the maximum; try again later",
                _RETRY_AFTER,
            )
        limit = self.options.max_address_programs
        own = sum(each == owner for each in self._running.values())
        if owner is not None and own >= limit:
            raise HandshakeRefused(
                429,
                f"{limit} programs of yours are running, the maximum; end one first",
                headers=[(b"Retry-After", b"%d" % _RETRY_AFTER)],
                setting="max-address-programs",
            )

    def run(
        self,
        receiver: OutputReceiver,
        variables: Mapping[bytes, bytes],
        owner: str | None = None,
    ) -> Program:
        """
        Start a program.

        @param receiver: gets the output.
        @param variables: environment variables, in addition to those that it inherits.
        @param owner: its owner, from L{ownerOf}.
        @raise OSError: the system can't start it.
        """
        options = self.options
        directory = options.directory
        if directory is not None:
            # Fail here: the new process couldn't report it.
            os.stat(directory)
        program = Program(options, receiver, self.clock, self._guard)
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
