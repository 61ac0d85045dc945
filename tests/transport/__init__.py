"""
The write path over real sockets, turned by hand: no reactor runs here.
"""
