"""
The same as for the server: nothing is logged that a test does not expect.
"""

from tests.server.conftest import logs

__all__ = ["logs"]
