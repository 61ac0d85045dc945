"""
An epoll set for all connections, which is one descriptor for the reactor.

Twisted's reactors wrap each event in a logging context, and arm, disarm and dispatch in
layers made for every kind of descriptor. An epoll set is itself a descriptor, and is
readable when any descriptor in it is ready. So the reactor watches one descriptor. When
it is readable, all ready connections are served in one pass, and their output is
flushed at the end of it.

A pass is fair: it reads from each connection once, up to the limits in
L{wsplug.transport.sockets}, and serves a limited number of connections before the
reactor continues.
"""

from __future__ import annotations

import select
from typing import Any, Final

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from wsplug.transport.flusher import Flusher

__all__ = ["EpollSet"]

_log = Logger(__name__)

_READABLE: Final = getattr(select, "EPOLLIN", 0)
_WRITABLE: Final = getattr(select, "EPOLLOUT", 0)
# The event to watch for on a connection while reading is paused. The kernel always
# reports a broken connection, if any event is watched for.
_ENDED: Final = getattr(select, "EPOLLRDHUP", 0)
_BROKEN: Final = getattr(select, "EPOLLERR", 0)
_GONE: Final = getattr(select, "EPOLLHUP", 0) | getattr(select, "EPOLLERR", 0)

_PASS: Final = 256
"""
The maximum number of connections that one pass serves before the reactor continues.
"""

_REASONS: Final = {
    ConnectionDone: Failure(CONNECTION_DONE),
    ConnectionLost: Failure(CONNECTION_LOST),
}
"""
The failures with which nearly all connections end. They are shared, as in Twisted's
reactors.
"""


class EpollSet:
    """
    The connections' reactor. It delegates everything but descriptors to the real
    reactor.
    """

    __slots__ = (
        "_descriptors",
        "_epoll",
        "_events",
        "_finished",
        "_flusher",
        "_reactor",
        "_serving",
    )

    def __init__(self, reactor: Any, flusher: Flusher) -> None:
        """
        @param reactor: the real reactor.
        @param flusher: corked during a pass.
        """
        self._reactor = reactor
        self._flusher = flusher
        self._epoll: Any = None
        self._descriptors: dict[int, Any] = {}
        self._events: dict[int, int] = {}
        self._serving = False
        self._finished: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as what the reactor provides and this doesn't
            raise AttributeError(name)
        return getattr(self._reactor, name)

    # Called by connections

    def addReader(self, reader: Any) -> None:
        self._change(reader, _READABLE, _ENDED | _BROKEN)

    def addWriter(self, writer: Any) -> None:
        self._change(writer, _WRITABLE, 0)

    def removeReader(self, reader: Any) -> None:
        self._change(reader, 0, _READABLE | _ENDED | _BROKEN)

    def removeWriter(self, writer: Any) -> None:
        self._change(writer, 0, _WRITABLE)

    def addWatcher(self, watcher: Any) -> None:
        """
        Watch for the end of a connection while reading is paused. If the peer ends its
        output, this calls the connection's C{peerEnded}, once. If the connection
        breaks, it is lost.
        """
        self._change(watcher, _ENDED, 0)

    def removeAll(self) -> list[Any]:
        removed = list(self._descriptors.values())
        for descriptor in removed:
            self._change(descriptor, 0, ~0)
        return removed

    def getReaders(self) -> list[Any]:
        return self._having(_READABLE)

    def getWriters(self) -> list[Any]:
        return self._having(_WRITABLE)

    def _having(self, event: int) -> list[Any]:
        return [
            self._descriptors[fd]
            for fd, events in self._events.items()
            if events & event
        ]

    def _change(self, descriptor: Any, add: int, remove: int) -> None:
        fd = descriptor.fileno()
        before = self._events.get(fd, 0)
        after = (before | add) & ~remove
        if after == before or fd < 0:
            return
        if not before:
            if self._epoll is None:
                self._begin()
            self._epoll.register(fd, after)
            self._descriptors[fd] = descriptor
        elif after:
            self._epoll.modify(fd, after)
        else:
            self._epoll.unregister(fd)
            del self._events[fd]
            del self._descriptors[fd]
            if not self._events:
                self._end()
            return
        self._events[fd] = after

    def _begin(self) -> None:
        self._epoll = select.epoll()
        self._reactor.addReader(self)

    def _end(self) -> None:
        """
        Remove the epoll set from the reactor: the last connection is gone.
        """
        self._reactor.removeReader(self)
        self._epoll.close()
        self._epoll = None

    def finish(self, descriptor: Any) -> None:
        """
        End a connection that has nothing more to send, at the end of the present pass.
        Outside of a pass, end it in the reactor's next turn.
        """
        if not self._finished and not self._serving:
            self._reactor.callLater(0, self._finishAll)
        self._finished.append(descriptor)

    def _finishAll(self) -> None:
        finished, self._finished = self._finished, []
        for descriptor in finished:
            if descriptor.isFinishing():
                self._disconnect(descriptor, CONNECTION_DONE, False)

    # Called by the reactor

    def fileno(self) -> int:
        return -1 if self._epoll is None else int(self._epoll.fileno())

    def logPrefix(self) -> str:
        return "wsplug"

    def connectionLost(self, reason: Failure) -> None:
        """
        Disconnect all connections: the reactor releases its descriptors when it ends.
        """
        for descriptor in self.removeAll():
            try:
                descriptor.connectionLost(reason)
            except BaseException:
                _log.failure("a connection failed at its end")

    def doRead(self) -> None:
        """
        Serve the descriptors that are ready.
        """
        epoll = self._epoll
        if epoll is None:
            return
        descriptors = self._descriptors
        flusher = self._flusher
        flusher.cork()
        self._serving = True
        try:
            for fd, event in epoll.poll(0, _PASS):
                # A connection that was served before may have closed this one.
                descriptor = descriptors.get(fd)
                if descriptor is not None:
                    self._serve(descriptor, fd, event)
        finally:
            flusher.uncork()
            self._serving = False
            self._finishAll()

    def _serve(self, descriptor: Any, fd: int, event: int) -> None:
        reading = True
        try:
            if event & _READABLE:
                why = descriptor.doRead()
            elif event & _GONE:
                reading = bool(self._events[fd] & _READABLE)
                why = CONNECTION_DONE if reading else CONNECTION_LOST
            elif event & _ENDED:
                # The end of output stays visible: from now on, watch only for a broken
                # connection.
                self._change(descriptor, _BROKEN, _ENDED)
                why = descriptor.peerEnded()
            else:
                why = None
            # The input may have led to its end.
            there = fd in self._descriptors and self._descriptors[fd] is descriptor
            if why is None and event & _WRITABLE and there:
                reading = False
                why = descriptor.doWrite()
        except BaseException as error:
            # As in Twisted's reactors: even if an application calls sys.exit() within a
            # pass, the other connections are served.
            _log.failure("a connection failed")
            why = error
        if why is not None:
            self._disconnect(descriptor, why, reading)

    def _disconnect(self, descriptor: Any, why: Any, reading: bool) -> None:
        """
        Disconnect, as reactors do when C{doRead} or C{doWrite} returns a reason.
        """
        self.removeReader(descriptor)
        reason = _REASONS.get(type(why)) or Failure(why)
        try:
            if reading and isinstance(why, ConnectionDone):
                descriptor.readConnectionLost(reason)
            else:
                self.removeWriter(descriptor)
                descriptor.connectionLost(reason)
        except BaseException:  # as in _serve
            _log.failure("a connection failed at its end")


classImplements(EpollSet, IReactorFDSet, IReadDescriptor)
