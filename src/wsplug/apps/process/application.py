"""
The application of each mode.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from wsplug import HandshakeRefused, WebSocketApplication
from wsplug.apps.process import environment
from wsplug.apps.process.options import ProcessOptions
from wsplug.apps.process.private import PrivateClient
from wsplug.apps.process.programs import Programs, ownerOf
from wsplug.apps.process.rooms import Room, RoomClient
from wsplug.displaynames import cleanName
from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainResource,
    IServices,
    IWebSocketProtocol,
)
from wsplug.plain import JSONResource
from wsplug.roompages import RoomPages
from wsplug.staticfiles import StaticFiles

__all__ = ["PrivatePrograms", "RoomPrograms", "SharedProgram"]

_PAGES: Final = str(Path(__file__).with_name("pages"))

_MAX_NAME: Final = 64
"""
Characters that a room's name may have.
"""

_DOT_SEGMENTS: Final = (b".", b"..")
"""
Path segments that browsers remove from URLs (RFC 3986 section 3.3).
"""

_ABOUT: Final = b"program.json"

_RESERVED_NAMES: Final = frozenset(
    (".", "..", "-", _ABOUT.decode(), *os.listdir(_PAGES))
)
"""
Names that a room can't have, because something else is at its URL.
"""


_DESCRIPTORS: Final = 4
"""
File descriptors that a program takes: three pipes, and one more while it starts.
"""


class _ProgramInfo(msgspec.Struct):
    """
    What the page is told of the program.
    """

    title: str
    mode: str


def _describe(options: ProcessOptions) -> JSONResource:
    """
    Describe the program to the page.
    """
    info = _ProgramInfo(options.title, options.mode)
    return JSONResource(msgspec.json.encode(info))


class _ProcessApplication(WebSocketApplication):
    """
    The base of all modes.

    @ivar maxDescriptors: how many file descriptors the programs may take at one time.
        The server leaves so many fewer for connections.
    @ivar danger: what strangers can do; the log warns of it, if they reach the server
        without a login.
    """

    pages: IPlainResource
    # How long a message may wait for the program is limited by input-timeout.
    handlerTimeout = 0.0
    danger = "use a program"

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        self._programs = Programs(options, services)
        pages = StaticFiles(_PAGES)
        pages.putChild(_ABOUT, _describe(options))
        self.pages = pages
        self.maxDescriptors = _DESCRIPTORS * options.max_programs

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
            raise HandshakeRefused(400, "the path contains a NUL character")
        # As in PATH_INFO, where encoded slashes are decoded.
        segments = b"/".join(request.postpath).split(b"/")
        if any(each in _DOT_SEGMENTS for each in segments):
            raise HandshakeRefused(404, "the path has a segment . or ..")
        owner = ownerOf(request)
        self._programs.check(owner)
        return PrivateClient(self._programs, environment.ofRequest(request), owner)


class SharedProgram(_ProcessApplication):
    """
    C{mode=shared}: one program for all clients. It starts with the server.
    """

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        super().__init__(options, services)
        self.maxDescriptors = _DESCRIPTORS
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
        others = {_ABOUT: _describe(options)}
        self.pages = RoomPages(_PAGES, deep=False, others=others)
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
    Return the room of a request. As in the chat, different spellings of spaces and
    accents give the same name.

    @raise HandshakeRefused: no room can have this name, or its URL is taken.
    """
    segments = request.segments
    if len(segments) > 1:
        raise HandshakeRefused(404, "a room's name is a single path segment")
    name = segments[0] if segments else ""
    if len(name) > _MAX_NAME or not name.isprintable():
        raise HandshakeRefused(
            404, f"a room's name has at most {_MAX_NAME} characters, all printable"
        )
    clean = cleanName(name)
    if bool(clean) != bool(name) or "/" in clean or clean in _RESERVED_NAMES:
        raise HandshakeRefused(
            404,
            "a room's name has no /, isn't . or .., and isn't the name of a file here",
        )
    return clean
