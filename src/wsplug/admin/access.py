"""
Who is an operator: clients with the token. Without a token, all clients of the admin
endpoint are, except pages of other sites.
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
The number of wrong tokens that are allowed to a client at once.
"""

_PERIOD: Final = 300.0
"""
The seconds for which as many are allowed in the long run.
"""


class AccessDenied(Exception):
    """
    The client isn't an operator.

    @ivar retryAfter: seconds until the next attempt is allowed; 0 for at once.
    """

    def __init__(self, reason: str, retryAfter: int = 0) -> None:
        super().__init__(reason)
        self.retryAfter = retryAfter


class Access:
    """
    Checks tokens, in constant time. A client with too many wrong tokens has to wait,
    even with the right one.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, token: str | None) -> None:
        """
        @param token: the right token; C{None} if every client of the endpoint is an
            operator.
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
        Check a token.

        @param client: the client's address.
        @raise AccessDenied: the token is wrong, or there were too many wrong ones.
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
