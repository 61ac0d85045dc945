"""
Telling systemd how the service is (C{sd_notify(3)}; C{Type=notify} in its unit).

Datagrams of lines C{NAME=VALUE} go to the socket that the environment names. The
watchdog gets a sign of life from the reactor itself: where something hangs, none goes
out, and systemd starts the service anew.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, MutableMapping
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Notifier", "describe", "makeNotifier"]

_STATUS_INTERVAL: Final = 10.0
"""
Seconds between two looks at what the status is.
"""

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def makeNotifier(
    environment: MutableMapping[str, str],
    clock: IReactorTime,
    status: Callable[[], str],
) -> Notifier | None:
    """
    Make what tells systemd, if that wants to be told.

    @param environment: the process's. What it says about this is taken out of it:
        programs that the process starts aren't to tell anything.
    @param status: gives the line that C{systemctl status} shows.
    """
    address, usec, pid = (environment.pop(name, "") for name in _VARIABLES)
    if not address.startswith(("/", "@")):
        return None
    watchdog = 0.0
    if usec.isdecimal() and pid in ("", str(os.getpid())):
        watchdog = int(usec) / 1_000_000
    return Notifier(address, clock, status, watchdog)


class Notifier:
    """
    Tells systemd.
    """

    _log = Logger()

    def __init__(
        self,
        address: str,
        clock: IReactorTime,
        status: Callable[[], str],
        watchdog: float = 0.0,
    ) -> None:
        """
        @param address: the socket's path, or with C{@} in front its abstract name.
        @param status: see L{makeNotifier}.
        @param watchdog: seconds after which systemd takes silence for the end; 0 where
            it doesn't mind.
        """
        self._address = "\0" + address[1:] if address[0] == "@" else address
        self._status = status
        self._said = ""
        self._failed = False
        self._calls = [(self._tellStatus, _STATUS_INTERVAL)]
        if watchdog:
            self._calls.append((self._tellAlive, watchdog / 2))
        self._clock = clock
        self._loops: list[LoopingCall] = []

    def ready(self) -> None:
        """
        The service is up.
        """
        self._said = self._status()
        self._send(f"READY=1\nSTATUS={self._said}")
        for call, interval in self._calls:
            loop = LoopingCall(call)
            loop.clock = self._clock
            loop.start(interval, now=False)
            self._loops.append(loop)

    def stopping(self) -> None:
        """
        The service drains, or stops. Signs of life go on until L{stop}.
        """
        self._send("STOPPING=1")
        self._tellStatus()

    def stop(self) -> None:
        """
        Tell nothing more.
        """
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.stop()

    def _tellStatus(self) -> None:
        status = self._status()
        if status != self._said:
            self._said = status
            self._send(f"STATUS={status}")

    def _tellAlive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        flags = getattr(socket, "MSG_NOSIGNAL", 0) | socket.MSG_DONTWAIT
        data = text.encode("utf-8")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto(data, flags, self._address)
        except OSError as error:
            if not self._failed:
                self._log.warn("can't tell systemd: {error}", error=error)
            self._failed = True


def describe(connections: int, ready: bool) -> str:
    """
    Put the service's state in a line.
    """
    plural = "" if connections == 1 else "s"
    state = f"{connections} connection{plural}"
    return state if ready else f"draining, {state}"
