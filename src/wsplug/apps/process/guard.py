"""
A script: end the process groups that a server leaves behind when it dies without
having ended them, as by SIGKILL.

It reads a line with C{+NUMBER} for each group that begins, and with C{-NUMBER} for each
that is gone. The end of its input is the server's end: then it does with what is left
as the server would have done, SIGTERM after a while, and SIGKILL after another.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress


def exists(group: int) -> bool:
    """
    Tell whether anybody is in a process group.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody is, with other rights
    return True


def send(groups: Iterable[int], number: int) -> None:
    """
    Send a signal to process groups.
    """
    for group in groups:
        with suppress(OSError):  # gone meanwhile, or out of reach
            os.killpg(group, number)


def read(lines: Iterable[bytes]) -> set[int]:
    """
    Keep the books until the server's end.

    @return: the groups that are left.
    """
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith(b"+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main(grace: float) -> None:
    """
    Guard.

    @param grace: seconds that groups get to end by themselves, and after SIGTERM.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # They are meant for the server. Its end is what ends this.
        signal.signal(number, signal.SIG_IGN)
    groups = read(sys.stdin.buffer)
    for last in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + grace
        while groups and time.monotonic() < deadline:
            time.sleep(0.05)
            groups = set(filter(exists, groups))
        send(groups, last)


if __name__ == "__main__":
    main(float(sys.argv[1]))
