"""
The process that starts a daemon, and waits until the daemon is up.

C{twistd} forks, and its parent process waits only until the daemon has called
C{startService}. When an application fails later, the parent has ended with status 0
already. So the parent waits here, from right after the fork, until the applications
have started. If they fail, it prints the whole error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

__all__ = ["DaemonsParent"]

_UP: Final = b"0"
_DIED: Final = "the daemon ended before it was up; its log may say why"


class DaemonsParent:
    """
    Tells the parent process how the start of the daemon ends. The parent creates this
    object right before the fork.
    """

    def __init__(self, end: Callable[[int], NoReturn] = os._exit) -> None:
        """
        @param end: ends the process.
        """
        self._pid = os.getpid()
        self._end = end
        self._read, self._write = os.pipe()
        os.register_at_fork(after_in_parent=self._forked)

    def up(self) -> None:
        """
        The daemon is up.
        """
        self._tell(_UP)

    def failed(self, message: str) -> None:
        """
        The daemon fails to start.

        @param message: the reason, in one line.
        """
        self._tell(message.encode("utf-8", "backslashreplace"))

    def _tell(self, data: bytes) -> None:
        if self._write < 0:
            return
        with suppress(BrokenPipeError):  # the parent may be gone
            os.write(self._write, data)
        os.close(self._write)
        os.close(self._read)
        self._read = self._write = -1

    def _forked(self) -> None:
        """
        Wait, in the process that has forked. Its children may fork too, and don't wait.
        """
        if os.getpid() != self._pid or self._read < 0:
            return
        status = 1
        try:
            os.close(self._write)
            data = b""
            while part := os.read(self._read, 65536):
                data += part
            if data == _UP:
                status = 0
            else:
                message = data.decode("utf-8", "replace") or _DIED
                os.write(2, f"wsplug: {message}\n".encode("utf-8", "replace"))
        finally:
            # A Ctrl-C ends the wait, and the process with it.
            self._end(status)
