"""As in the server's tests: nothing is logged that a test doesn't expect."""

from tests.server.conftest import logs

__all__ = ["logs"]
