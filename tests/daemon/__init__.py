"""The server as a system process."""
