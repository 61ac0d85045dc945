"""
C{--app process}: puts any program behind a WebSocket: one for each client, one for all,
or one for each room.

    - L{options} has the options, L{application} the application of each mode, L{plugin}
      chooses among them.
    - L{private} serves clients with a program of their own, L{rooms} those who share a
      program.
    - L{programs} starts programs, up to a limit. L{program} is a running program,
      L{ending} how it ended, L{restarting} when it starts again.
    - L{stdin}, L{framing}, L{stderr} and L{backlog} handle input and output.
    - L{environment} makes the environment variables.
    - L{groups} ends process groups, so that no child outlives its program. C{launch.py}
      and C{guard.py} are scripts that it runs.
"""

from wsplug.apps.process.plugin import process

__all__ = ["process"]
