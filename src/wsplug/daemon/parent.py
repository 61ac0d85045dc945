"""
The process that starts a daemon, which waits until that is up.

C{twistd} forks, and the process that it was started as waits until the daemon has
called C{startService}: when an application fails later than that, it has ended with
status 0 already. So it waits here, from right after the fork, until the applications
have started; and if they don't it says why, in whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

__all__ = ["DaemonsParent"]

_UP: Final = b"0"
_DIED: Final = "the daemon has ended before it was up; its log may say why"


class DaemonsParent:
    """
    What a daemon tells the process that has started it. It is made there, right before
    the fork.
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
        It won't be.

        @param message: why, in one line.
        """
        self._tell(message.encode("utf-8", "backslashreplace"))

    def _tell(self, data: bytes) -> None:
        if self._write < 0:
            return
        with suppress(BrokenPipeError):  # nobody may wait any more
            os.write(self._write, data)
        os.close(self._write)
        os.close(self._read)
        self._read = self._write = -1

    def _forked(self) -> None:
        """
        Wait, in the process that has forked; its children, which may fork too, don't.
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
            # Not even a Ctrl-C lets it go on as if it hadn't waited.
            self._end(status)
