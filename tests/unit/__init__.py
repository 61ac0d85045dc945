"""Tests of single modules around the server."""
