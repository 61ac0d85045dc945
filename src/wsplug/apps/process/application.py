"""
C{process} as an application: where its parts meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.web.resource import IResource
from zope.interface import implementer

from wsplug import HandshakeRefused, WebSocketApplication
from wsplug.apps.process import environment
from wsplug.apps.process.options import OPTIONS, ProcessOptions
from wsplug.apps.process.private import PrivateClient
from wsplug.apps.process.programs import Programs, ownerOf
from wsplug.apps.process.rooms import Room, RoomClient
from wsplug.displaynames import cleanName
from wsplug.errors import InvalidOption
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
)
from wsplug.roompages import RoomPages

__all__ = ["process"]

_PAGES: Final = str(Path(__file__).with_name("pages"))

_LONGEST_NAME: Final = 64

_NO_SEGMENTS: Final = (b".", b"..")
"""
What no browser has an address with.
"""

_NO_ROOMS: Final = frozenset((".", "..", "-", *os.listdir(_PAGES)))
"""
What no room's name can be: at such an address is something else.
"""


class _ProcessApplication(WebSocketApplication):
    """
    What the modes have in common.
    """

    pages: str | IResource = _PAGES
    # A message waits for the program to read, which has a time of its own.
    handlerTimeout = 0.0

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        self._programs = Programs(options, services)

    def startApplication(self) -> Any:
        self._programs.start()

    def stopApplication(self) -> Any:
        return self._programs.stop()


class PrivatePrograms(_ProcessApplication):
    """
    C{mode=client}: a program for each client.
    """

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        if any(b"\0" in segment for segment in request.postpath):
            raise HandshakeRefused(400, "no program can have a path with a NUL")
        # As PATH_INFO has them, in which a coded slash is one like others.
        segments = b"/".join(request.postpath).split(b"/")
        if any(each in _NO_SEGMENTS for each in segments):
            raise HandshakeRefused(404, "no program can have a path with . or ..")
        owner = ownerOf(request)
        self._programs.check(owner)
        return PrivateClient(self._programs, environment.ofRequest(request), owner)


class SharedProgram(_ProcessApplication):
    """
    C{mode=shared}: one program for all clients, from the server's start on.
    """

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        super().__init__(options, services)
        self._room = Room(self._programs, environment.ofServer())

    def startApplication(self) -> None:
        super().startApplication()
        self._room.start()

    def stopApplication(self) -> Any:
        self._room.stop()
        return super().stopApplication()

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        self._room.check(None)
        return RoomClient(self._programs, self._room)


class RoomPrograms(_ProcessApplication):
    """
    C{mode=room}: a program for each room.
    """

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        super().__init__(options, services)
        self.pages = RoomPages(_PAGES, deep=False)
        self._rooms: dict[str, Room] = {}

    def stopApplication(self) -> Any:
        for room in self._rooms.values():
            room.stop()
        return super().stopApplication()

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        name = _roomOf(request)
        owner = ownerOf(request)
        room = self._rooms.get(name)
        if room is None:
            room = Room(
                self._programs,
                environment.ofRoom(name),
                lambda: self._rooms.pop(name, None),
            )
            room.check(owner)
            self._rooms[name] = room
        else:
            room.check(owner)
        return RoomClient(self._programs, room, owner)


def _roomOf(request: IHandshakeRequest) -> str:
    """
    Read a room's name. It is the same however its spaces and accents are written, as in
    the chat.

    @raise HandshakeRefused: it is none, or one whose page would be at another address.
    """
    segments = request.segments
    if len(segments) > 1:
        raise HandshakeRefused(404, "a room's name is one segment of a path")
    name = segments[0] if segments else ""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise HandshakeRefused(
            404, f"a room's name has at most {_LONGEST_NAME} characters to be seen"
        )
    clean = cleanName(name)
    if bool(clean) != bool(name) or "/" in clean or clean in _NO_ROOMS:
        raise HandshakeRefused(
            404, "a room's name is no . or .., has no /, and is that of no file here"
        )
    return clean


_MODES: Final[
    dict[str, Callable[[ProcessOptions, IServices], IWebSocketApplication]]
] = {
    "client": PrivatePrograms,
    "shared": SharedProgram,
    "room": RoomPrograms,
}


@implementer(IWebSocketApplicationPlugin)
class _ProcessPlugin:
    """
    What C{--app process} names.
    """

    name = "process"
    help = "Put any program behind a WebSocket: one for each client, room, or for all."
    options = OPTIONS

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        if not hasattr(os, "killpg"):
            raise InvalidOption(
                "process runs on POSIX systems (Linux, macOS, the BSDs) only: it ends "
                "programs with all that they have started"
            )
        parsed = ProcessOptions.of(options)
        return _MODES[parsed.mode](parsed, services)


process = _ProcessPlugin()
"""
The application's plugin.
"""
