"""
Notifications about the service's state to systemd (C{sd_notify(3)}; C{Type=notify} in
the unit).

They are datagrams of lines C{NAME=VALUE}, sent to the socket that the environment
names. The reactor itself sends the keep-alives for the watchdog. When the reactor
hangs, they stop, and systemd restarts the service.
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
Seconds between two checks of the status.
"""

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def makeNotifier(
    environment: MutableMapping[str, str],
    clock: IReactorTime,
    status: Callable[[], str],
) -> Notifier | None:
    """
    Make the notifier, if systemd expects notifications.

    @param environment: the process's. The variables for notifications are removed, so
        that child processes send none.
    @param status: returns the line that C{systemctl status} shows.
    @return: C{None} if systemd expects no notifications.
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
    Sends notifications to systemd.
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
        @param address: the socket's path, or C{@} and its abstract name.
        @param status: see L{makeNotifier}.
        @param watchdog: seconds without a keep-alive after which systemd restarts the
            service; 0 if there is no watchdog.
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
        The service drains, or stops. Keep-alives continue until L{stop}.
        """
        self._send("STOPPING=1")
        self._tellStatus()

    def stop(self) -> None:
        """
        Send nothing more.
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
                self._log.warn("can't notify systemd: {error}", error=error)
            self._failed = True


def describe(connections: int, ready: bool) -> str:
    """
    Describe the service's state in a line.
    """
    plural = "" if connections == 1 else "s"
    state = f"{connections} connection{plural}"
    return state if ready else f"draining, {state}"
