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
    A producer, and what it was told last.
    """

    __slots__ = ("_failed", "_paused", "_producer")

    def __init__(
        self, producer: IPushProducer, failed: Callable[[Failure], None]
    ) -> None:
        """
        @param failed: is called when the producer raises.
        """
        self._producer = producer
        self._failed = failed
        self._paused = False

    def pause(self) -> None:
        """
        Have it pause; once, for all the batches that the peer is too slow for.
        """
        if not self._paused:
            self._paused = True
            self._tell(self._producer.pauseProducing)

    def resume(self) -> None:
        """
        Have it go on if it is paused.
        """
        if self._paused:
            self._paused = False
            self._tell(self._producer.resumeProducing)

    def stop(self) -> None:
        """
        Tell it that it is over.
        """
        self._tell(self._producer.stopProducing)

    def _tell(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException:  # as in Connection
            self._failed(Failure())
