"""
A script: become the leader of a new session and process group, then the program that
the arguments name. It stands in where there is no C{setsid} command.
"""

import os
import sys


def main(command: list[str]) -> None:
    """
    Become a program.

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
