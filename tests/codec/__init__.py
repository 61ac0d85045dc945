"""Tests of the codec: bytes in, messages out, no I/O."""
