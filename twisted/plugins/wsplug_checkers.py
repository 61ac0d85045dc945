"""
The checkers of tokens that come with wsplug, for whatever takes C{--auth}.
"""

from wsplug.auth.jwt import jwtCheckerFactory
from wsplug.auth.tokens import tokenCheckerFactory

__all__ = ["jwtCheckerFactory", "tokenCheckerFactory"]
