"""
Who is connected: the rows of a list that a person can read.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from twisted.internet.interfaces import IAddress

from wsplug.admin.messages import Client, Clients
from wsplug.interfaces import IServerConnection
from wsplug.networks import clientKey, nameOfAddress
from wsplug.server.factory import WebSocketFactory

__all__ = ["SORTS", "ClientList", "clip"]

_TEXT: Final = 200
"""
Characters of a text that are shown: a request's path may have thousands.
"""

SORTS: Final[dict[str, Callable[[IServerConnection], float]]] = {
    "newest": lambda connection: connection.opened,
    "longest": lambda connection: -connection.opened,
    "waiting": lambda connection: connection.bytesWaiting,
}
"""
What comes first.
"""


def clip(text: str, size: int = _TEXT) -> str:
    """
    Make a text of anybody's short, and one that can be sent.
    """
    if len(text) > size:
        text = text[: size - 1] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")


class ClientList:
    """
    The connections of a server, by numbers that operators call them by.
    """

    def __init__(self, server: WebSocketFactory) -> None:
        self._server = server
        self._next = count(1)
        self._numbers: dict[IServerConnection, int] = {}
        self._connections: dict[int, IServerConnection] = {}

    def find(self, number: int) -> IServerConnection | None:
        """
        Give the connection with a number; C{None} if it is gone.
        """
        connection = self._connections.get(number)
        return connection if connection in self._server.connections else None

    def list(self, sort: str, search: str, limit: int) -> Clients:
        """
        Give the first ones.

        @param sort: one of L{SORTS}.
        @param search: what their address, application, path or name has to hold; each
            of its words, in any case.
        """
        connections = self._server.connections
        words = search.lower().split()
        found: Any = connections
        if words:
            found = [each for each in connections if _holds(each, words)]
        first = heapq.nlargest(limit, found, key=SORTS[sort])
        return Clients(
            clients=[self._show(each) for each in first],
            found=len(found),
            total=len(connections),
        )

    def forget(self) -> None:
        """
        Forget the numbers of those who are gone.
        """
        connections = self._server.connections
        for connection, number in list(self._numbers.items()):
            if connection not in connections:
                del self._numbers[connection], self._connections[number]

    def forgetAll(self) -> None:
        """
        Forget all numbers: nobody knows them.
        """
        self._numbers.clear()
        self._connections.clear()

    def _show(self, connection: IServerConnection) -> Client:
        number = self._numbers.get(connection)
        if number is None:
            number = self._numbers[connection] = next(self._next)
            self._connections[number] = connection
        client, path, name = _describe(connection)
        return Client(
            number,
            nameOfAddress(client),
            clientKey(client),
            connection.name,
            clip(path),
            connection.opened,
            connection.bytesWaiting,
            clip(name) if name is not None else None,
        )


def _describe(connection: IServerConnection) -> tuple[IAddress, str, str | None]:
    """
    Give a connection's client, path, and the name of its avatar.
    """
    request: Any = connection.request
    name = getattr(request.avatar, "name", None)
    return (
        request.getClientAddress(),
        request.path.decode("utf-8", "replace"),
        None if name is None else str(name),
    )


def _holds(connection: IServerConnection, words: list[str]) -> bool:
    client, path, name = _describe(connection)
    text = f"{nameOfAddress(client)} {connection.name} {path} {name or ''}".lower()
    return all(word in text for word in words)
