"""
Bytes to and from sockets: the epoll set, the direct transport, the send queue and the
flusher, and how ports are shared and closed.

It knows no WebSocket: it carries what the server's connections frame. So nothing here
imports C{wsplug.server}.
"""
