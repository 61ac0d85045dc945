"""
Pauses and resumes an application's producer, depending on how fast the peer reads.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

__all__ = ["AttachedProducer"]


class AttachedProducer:
    """
    A producer, and whether it is paused.
    """

    __slots__ = ("_failed", "_paused", "_producer")

    def __init__(
        self, producer: IPushProducer, failed: Callable[[Failure], None]
    ) -> None:
        """
        @param failed: called when the producer raises.
        """
        self._producer = producer
        self._failed = failed
        self._paused = False

    def pause(self) -> None:
        """
        Pause the producer, unless it is paused already.
        """
        if not self._paused:
            self._paused = True
            self._tell(self._producer.pauseProducing)

    def resume(self) -> None:
        """
        Resume the producer if it is paused.
        """
        if self._paused:
            self._paused = False
            self._tell(self._producer.resumeProducing)

    def stop(self) -> None:
        """
        Stop the producer.
        """
        self._tell(self._producer.stopProducing)

    def _tell(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException:  # as in Connection
            self._failed(Failure())
