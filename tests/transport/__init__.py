"""
Tests of the write path over real sockets. No reactor runs: the tests turn it by hand.
"""
