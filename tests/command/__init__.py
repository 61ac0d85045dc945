"""Tests of the command, as users meet it."""
