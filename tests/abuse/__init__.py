"""
Clients that mean no good, over real sockets: in each of their ways, others are served
in time, memory and descriptors stay within bounds, and in the end all is as it was.

All of it is slow: C{pytest -m slow tests/abuse}.
"""
