"""
C{--app chat}: rooms, names, direct messages, history; for the page that comes with it,
for programs, and for the browser clients of the old tutorials.

    - L{application}: the application, its options, and where its parts meet.
    - L{protocol}: a connection that speaks C{wsplug.chat.v1}.
    - L{classic}: a connection of a tutorial's client.
    - L{people}: who they are; L{callnames}: what they are called; L{rooms}: where they
      are; L{moves}: how often that may change; L{presences}: how it is told.
    - L{talk}: what is said, from one to the others.
    - L{messages}: what goes over the wire and through the broker.
"""

from wsplug.apps.chat.application import chat

__all__ = ["chat"]
