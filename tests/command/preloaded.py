"""
C{twistd}, many times over, without half a second of imports for each: this process has
imported all, and forks one that goes on as C{twistd} would have.

Reads from standard input, in lines of JSON, a working directory and arguments, and
writes the exit status of each to standard output. What it prints is in the working
directory then, in C{stdout} and C{stderr}.
"""

from __future__ import annotations

import json
import os
import sys

from twisted.scripts.twistd import run

import wsplug.tap  # noqa: F401

assert "twisted.internet.reactor" not in sys.modules, "twistd chooses the reactor"


def become(folder: str, arguments: list[str]) -> None:
    """Continue as the new process."""
    os.chdir(folder)
    for descriptor, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
    sys.argv = [twistd, *arguments]
    sys.path[0] = os.path.dirname(twistd)


def main() -> None:
    """Start the processes one after the other. The new processes return from here."""
    # Line by line, and unbuffered: a child must not share input that is read ahead.
    lines = os.fdopen(os.dup(0), "rb", buffering=0)
    while line := lines.readline():
        folder, arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            lines.close()
            become(folder, arguments)
            sys.exit(run())
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
