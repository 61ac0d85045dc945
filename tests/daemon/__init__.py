"""The server as a process of the system."""
