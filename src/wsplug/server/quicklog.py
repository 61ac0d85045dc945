"""
Fast logging for lines that a server writes whenever a client connects or leaves.
"""

from __future__ import annotations

from time import time

from twisted.logger import Logger, LogLevel

__all__ = ["logInfo"]


def logInfo(log: Logger, text: str, **fields: object) -> None:
    """
    Log a line like C{log.info}, but faster. C{log.info} looks up the level by its name
    and checks for a current exception each time. This passes the event directly to the
    observer.

    @param log: the logger of a module, not of an object.
    @param text: the format string.
    @param fields: the other fields of the event.
    """
    log.observer(
        {
            "log_logger": log,
            "log_level": LogLevel.info,
            "log_namespace": log.namespace,
            "log_source": None,
            "log_format": text,
            "log_time": time(),
            **fields,
        }
    )
