"""
Cancels Deferreds of code that isn't the server's: applications, checkers, brokers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

__all__ = ["cancel"]

_log = Logger(__name__)


def cancel(waiting: Deferred[Any] | None) -> None:
    """
    Cancel a Deferred of an application, a checker or a broker. If the canceller raises,
    the error is logged.
    """
    if waiting is None:
        return
    try:
        waiting.cancel()
    except BaseException:
        _log.failure("a canceller failed")
