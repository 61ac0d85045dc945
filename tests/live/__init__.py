"""Tests over real sockets, with clients that nobody here wrote."""
