"""
Who is an operator: whoever knows the token, and, where there is none, whoever comes to
the admin endpoint, but no page from elsewhere.
"""

from __future__ import annotations

import math
from typing import Final

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger

from wsplug.digests import digestOf, findDigest
from wsplug.failures import Failures
from wsplug.networks import nameOfAddress

__all__ = ["Access", "AccessDenied"]

_FAILURES: Final = 10
"""
Wrong tokens that a place may try at once.
"""

_PERIOD: Final = 300.0
"""
Seconds in which it may try as many in the long run.
"""


class AccessDenied(Exception):
    """
    This is no operator.

    @ivar retryAfter: seconds after which the next token is looked at; 0 for at once.
    """

    def __init__(self, reason: str, retryAfter: int = 0) -> None:
        super().__init__(reason)
        self.retryAfter = retryAfter


class Access:
    """
    The check of tokens. How long it takes says nothing about the right one, and a place
    that was wrong too often has to wait, whatever it sends.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, token: str | None) -> None:
        """
        @param token: the right one; C{None} where there is none, and everybody is an
            operator who comes this far.
        """
        self._digest = None if token is None else digestOf(token)
        self._failures = Failures(clock, _FAILURES, seconds=_PERIOD)

    @property
    def isOpen(self) -> bool:
        """
        Whether no token is needed.
        """
        return self._digest is None

    def check(self, token: str, client: IAddress) -> None:
        """
        Judge a token.

        @param client: who sent it.
        @raise AccessDenied: it is wrong, or too many were before it.
        """
        if self._digest is None:
            return
        counters = self._failures.countersOf(client)
        excess = self._failures.count(counters)
        if excess is not None:
            raise AccessDenied("too many wrong tokens", math.ceil(excess.wait))
        if findDigest(token, [self._digest]) is not None:
            self._failures.discount(counters)
            return
        self._log.warn(
            "{client} was refused as an operator: a wrong token",
            client=nameOfAddress(client),
        )
        raise AccessDenied("this token is wrong")
