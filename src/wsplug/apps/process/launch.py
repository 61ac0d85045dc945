"""
A script that starts a new session and process group, and then executes its arguments.
It replaces the C{setsid} command on systems without it.
"""

import os
import sys


def main(command: list[str]) -> None:
    """
    Execute a program.

    @param command: its absolute path, and its arguments.
    """
    os.setsid()
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(126)


if __name__ == "__main__":
    main(sys.argv[1:])
