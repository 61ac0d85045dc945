"""Tests of TLS the short way."""
