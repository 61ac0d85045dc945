"""
The server as a process of the system: ports that another process takes over, systemd,
and what C{twistd} needs to know before it starts.
"""
