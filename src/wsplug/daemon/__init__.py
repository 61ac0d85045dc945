"""
The server as a process of the operating system: inherited sockets, systemd, the log,
and the checks before C{twistd} starts.
"""
