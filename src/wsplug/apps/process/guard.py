"""
A script that ends process groups when the server has died without ending them, for
example by SIGKILL.

Its arguments are the grace period and the groups that run. It reads a line C{+NUMBER}
for each group that starts, and C{-NUMBER} for each that has ended. Its input ends with
the server. Then it ends the remaining groups as the server would have done: with
SIGTERM after a grace period, and SIGKILL after another one.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress


def exists(group: int) -> bool:
    """
    Return whether a process group has members.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # its members run with other privileges
    return True


def send(groups: Iterable[int], number: int) -> None:
    """
    Send a signal to process groups.
    """
    for group in groups:
        with suppress(OSError):  # it has ended, or has other privileges
            os.killpg(group, number)


def read(lines: Iterable[bytes], groups: set[int]) -> set[int]:
    """
    Read which groups start and end, until the server ends.

    @param groups: the groups that run.
    @return: the groups that are left.
    """
    groups = set(groups)
    for line in lines:
        group = int(line[1:])
        if line.startswith(b"+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main(grace: float, groups: set[int]) -> None:
    """
    Run the script.

    @param grace: seconds that groups get to exit before SIGTERM, and after it.
    @param groups: the groups that run.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # These are meant for the server. This script ends after the server.
        signal.signal(number, signal.SIG_IGN)
    groups = read(sys.stdin.buffer, groups)
    for last in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + grace
        while groups and time.monotonic() < deadline:
            time.sleep(0.05)
            groups = set(filter(exists, groups))
        send(groups, last)


if __name__ == "__main__":
    main(float(sys.argv[1]), set(map(int, sys.argv[2:])))
