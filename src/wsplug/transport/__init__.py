"""
Moves bytes to and from sockets: the epoll set, the direct transport, the send queue,
the flusher, and shared and closing ports.

It knows nothing about WebSockets, and imports nothing from C{wsplug.server}, which does
the framing.
"""
