"""
C{process} as an application: where its parts meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.web.resource import IResource
from zope.interface import implementer

from wsplug import HandshakeRefused
from wsplug.apps.process import environment
from wsplug.apps.process.options import OPTIONS, ProcessOptions
from wsplug.apps.process.private import PrivateClient
from wsplug.apps.process.programs import Programs
from wsplug.apps.process.rooms import Room, RoomClient
from wsplug.apps.roompages import RoomPages
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
)

__all__ = ["process"]

_PAGES: Final = str(Path(__file__).with_name("pages"))

_LONGEST_NAME: Final = 64


class _ProcessApplication:
    """
    What the modes have in common.
    """

    subprotocols: Sequence[str] = ()

    def __init__(self, options: ProcessOptions, services: IServices) -> None:
        self._programs = Programs(options, services)
        self.pages: str | IResource | None = _PAGES

    def startApplication(self) -> Any:
        self._programs.start()

    def stopApplication(self) -> Any:
        return self._programs.stop()


@implementer(IWebSocketApplication)
class PrivatePrograms(_ProcessApplication):
    """
    C{mode=client}: a program for each client.
    """

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        if any(b"\0" in segment for segment in request.postpath):
            raise HandshakeRefused(400, "no program can have a path with a NUL")
        self._programs.check()
        return PrivateClient(self._programs, environment.ofRequest(request))


@implementer(IWebSocketApplication)
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
        self._room.check()
        return RoomClient(self._programs, self._room)


@implementer(IWebSocketApplication)
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
        room = self._rooms.get(name)
        if room is None:
            room = Room(
                self._programs,
                environment.ofRoom(name),
                lambda: self._rooms.pop(name, None),
            )
            room.check()
            self._rooms[name] = room
        else:
            room.check()
        return RoomClient(self._programs, room)


def _roomOf(request: IHandshakeRequest) -> str:
    """
    Read a room's name.

    @raise HandshakeRefused: it is none.
    """
    segments = request.segments
    if len(segments) > 1:
        raise HandshakeRefused(404, "a room's name is one segment of a path")
    name = segments[0] if segments else ""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise HandshakeRefused(
            404, f"a room's name has at most {_LONGEST_NAME} characters to be seen"
        )
    return name


_MODES: Final = {
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
        parsed = ProcessOptions.of(options)
        application: IWebSocketApplication = _MODES[parsed.mode](parsed, services)
        return application


process = _ProcessPlugin()
"""
The application's plugin.
"""
