"""
C{--app chat}: rooms, names, direct messages and history, with a page, a subprotocol for
programs, and support for the browser clients of the WebSocket tutorials.

    - L{plugin} has the options, L{application} makes the protocols of connections, and
      L{service} puts the parts together.
    - L{protocol} serves connections that speak C{wsplug.chat.v1}, L{classic} those of
      the tutorials' clients.
    - L{person} describes a person; L{people}, L{nicknames} and L{rooms} know who is
      there, and where. L{presencelimits} limits how often that changes. L{presences}
      and L{notices} tell others of it.
    - L{sending} checks messages, L{publishing} publishes them, and L{delivery} delivers
      them.
    - L{requests}, L{events} and L{classicmessages} define the messages.
"""

from wsplug.apps.chat.plugin import chat

__all__ = ["chat"]
