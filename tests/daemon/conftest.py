"""As in the server's tests, a test fails if it logs anything that it doesn't expect."""

from tests.server.conftest import logs

__all__ = ["logs"]
