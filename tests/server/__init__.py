"""Tests of the server on Twisted, in memory: without sockets, sleeping or real time."""
