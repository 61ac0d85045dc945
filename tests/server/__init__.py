"""The Twisted face, in memory: no sockets, no sleeping, no real time."""
