"""Attacking clients over real sockets.

During each attack, other clients are served in time, and memory and descriptors stay
within bounds. Afterwards, everything is as before.

All of these tests are slow: C{pytest -m slow tests/abuse}.
"""
