"""
C{--app process}: any program behind a WebSocket; one for each client, one for all, or
one for each room.

    - L{options}: its options, and what they say together.
    - L{application}: the application, where its parts meet.
    - L{private}: a connection with a program of its own.
    - L{rooms}: connections that share one.
    - L{programs}: those that run, up to a limit.
    - L{program}: one of them, from its start to its end; L{ending}: how it ended.
    - L{stdin}, L{framing}, L{stderr}: what goes in, and what comes out.
    - L{environment}: what a program is told of the request.
    - L{groups}: process groups, so that nothing of a program outlives it; C{launch.py}
      and C{guard.py} are scripts that run on their own.
"""

from wsplug.apps.process.application import process

__all__ = ["process"]
