"""
Detects what blocks the reactor.

While an application computes or waits for a disk, the server serves nobody. A thread
asks the reactor a few times a second to respond. If the response takes too long, the
thread takes the stack of the reactor's thread. The log shows it once the reactor runs
again, or earlier if that takes very long.

It sees only time that passes within one operation. A C function that sleeps without
releasing the GIL looks like a stopped process, and is ignored like one: see
L{StallDetector.look}.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Lock, Thread, get_ident
from types import FrameType
from typing import Final, NamedTuple

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from wsplug.server.mounts import Mount
from wsplug.server.statistics import Statistics

__all__ = ["Sample", "StallDetector", "findCulprit"]

_LOOKS: Final = 4
"""
The maximum number of looks per second.
"""

_PATIENCE: Final = 10.0
"""
The seconds after which the log says that the reactor is still blocked. The next line
follows after twice as many, and so on.
"""

_log = Logger(__name__)


class Sample(NamedTuple):
    """
    What the reactor's thread was executing.

    @ivar application: the name of the application whose code it was; empty if unknown.
    @ivar where: C{"FILE:LINE, FUNCTION"}, and the calling line of the application's
        code if that is another.
    """

    application: str
    where: str


class StallDetector:
    """
    Watches a reactor from a thread.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        statistics: Statistics,
        mounts: Iterable[Mount],
        threshold: float,
        *,
        now: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
    ) -> None:
        """
        @param statistics: knows which application runs, and counts stalls.
        @param mounts: the applications. They are found by their modules if
            C{statistics} knows none.
        @param threshold: the maximum seconds for the reactor to respond.
        @param now: returns seconds of a monotonic clock.
        @param worked: returns the seconds of processor time that the process has used.
        """
        self._reactor = reactor
        self._statistics = statistics
        self._mounts = list(mounts)
        self._threshold = threshold
        self._interval = max(1 / _LOOKS, threshold / 2)
        self._now = now
        self._worked = worked
        self._ended = Event()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._watched = 0
        self._lookedAt = 0.0
        self._lastWorked = 0.0
        self._answered = True
        self._askedAt = 0.0
        self._sample: Sample | None = None
        self._reportAfter = _PATIENCE

    # In the reactor's thread

    def start(self) -> None:
        """
        Start to watch. Call this in the reactor's thread, when the reactor runs.
        """
        self.watch()
        # A daemon thread doesn't keep the process from ending.
        self._thread = Thread(target=self._run, name="wsplug-stalls", daemon=True)
        self._thread.start()

    def watch(self) -> None:
        """
        Treat the calling thread as the reactor's thread.
        """
        self._watched = get_ident()
        self._lookedAt = self._now()
        self._lastWorked = self._worked()

    def stop(self) -> None:
        """
        Stop the thread, and wait until it has ended.
        """
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _answer(self) -> None:
        """
        Respond, in the reactor's thread.
        """
        with self._lock:
            seconds = self._now() - self._askedAt
            sample, self._sample = self._sample, None
            self._answered = True
        if sample is not None:
            self._statistics.countStall(sample.application, seconds)
            _report(sample, seconds, "")

    # In the thread

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            self.look()

    def look(self) -> None:
        """
        Ask the reactor to respond. If it hasn't responded to the last question for too
        long, take a sample.

        If this thread itself is late, and the process has hardly used any processor
        time meanwhile, the process was stopped (C{SIGSTOP}, a debugger, a virtual
        machine that was moved), or the machine is overloaded. No application causes
        that, so it isn't counted.
        """
        now, worked = self._now(), self._worked()
        late = now - self._lookedAt - self._interval
        stopped = late > self._interval and worked - self._lastWorked < late / 2
        self._lookedAt, self._lastWorked = now, worked
        overdue: Sample | None = None
        with self._lock:
            if self._answered:
                self._answered = False
                self._askedAt = now
                self._reportAfter = _PATIENCE
                self._reactor.callFromThread(self._answer)
                return
            if stopped:
                self._askedAt += late
            seconds = now - self._askedAt
            if self._sample is None and seconds >= self._threshold:
                self._sample = self._takeSample()
            if self._sample is not None and seconds >= self._reportAfter:
                self._reportAfter *= 2
                overdue = self._sample = self._takeSample()
        if overdue is not None:
            _report(overdue, seconds, " so far")

    def _takeSample(self) -> Sample:
        frame = sys._current_frames().get(self._watched)
        return findCulprit(frame, self._statistics.serving, self._mounts)


def findCulprit(
    frame: FrameType | None, serving: str | None, mounts: Iterable[Mount]
) -> Sample:
    """
    Find out which application's code a thread executes.

    @param frame: the innermost frame.
    @param serving: the application that was called, if it is known. It isn't in a
        delayed call. Then the application is the one whose package contains the
        innermost frame that belongs to any.
    @param mounts: the applications.
    """
    mounts = list(mounts)
    if frame is None:
        return Sample(serving or "", "an unknown location")
    where = _location(frame)
    for each in _outwards(frame):
        names = _owners(str(each.f_globals.get("__name__")), mounts)
        if serving is not None:
            names &= {serving}
        if names:
            if each is not frame:
                where += f", called from {_location(each)}"
            # If a package has several, it isn't known which one it was.
            name = names.pop() if len(names) == 1 else ""
            return Sample(serving or name, where)
    return Sample(serving or "", where)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _owners(module: str, mounts: Iterable[Mount]) -> set[str]:
    """
    Return the names of the applications that a module belongs to.
    """
    owners = set()
    for mount in mounts:
        own = str(mount.application.__module__)
        if module == own:
            return {mount.name}
        package = getattr(sys.modules.get(own), "__package__", None)
        if package and (module + ".").startswith(package + "."):
            owners.add(mount.name)
    return owners


def _location(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno}, {code.co_name}"


def _report(sample: Sample, seconds: float, suffix: str) -> None:
    who = "{application}" if sample.application else "something"
    _log.warn(
        who + " has blocked the reactor for {seconds} s" + suffix + ", at {where}",
        application=sample.application,
        seconds=round(seconds, 3),
        where=sample.where,
    )
