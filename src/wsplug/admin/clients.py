"""
The list of connected clients, for people to read.
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
The maximum length of a text in the list, in characters. A path may have thousands.
"""

SORTS: Final[dict[str, Callable[[IServerConnection], float]]] = {
    "newest": lambda connection: connection.opened,
    "longest": lambda connection: -connection.opened,
    "waiting": lambda connection: connection.bufferedAmount,
}
"""
The orders of the list: the connections with the highest values come first.
"""


def clip(text: str, size: int = _TEXT) -> str:
    """
    Shorten a client's text, and make it encodable.
    """
    if len(text) > size:
        text = text[: size - 1] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")


class ClientList:
    """
    The connections of a server, with numbers for operators' requests.
    """

    def __init__(self, server: WebSocketFactory) -> None:
        self._server = server
        self._next = count(1)
        self._numbers: dict[IServerConnection, int] = {}
        self._connections: dict[int, IServerConnection] = {}

    def find(self, number: int) -> IServerConnection | None:
        """
        Return the connection with a number; C{None} if it is gone.
        """
        connection = self._connections.get(number)
        return connection if connection in self._server.connections else None

    def list(self, sort: str, search: str, limit: int) -> Clients:
        """
        Return the first connections.

        @param sort: one of L{SORTS}.
        @param search: words that the address, application, path or name must contain,
            in any case.
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
        Forget the numbers of connections that are gone.
        """
        connections = self._server.connections
        for connection, number in list(self._numbers.items()):
            if connection not in connections:
                del self._numbers[connection], self._connections[number]

    def forgetAll(self) -> None:
        """
        Forget all numbers, because no operator is left who knows them.
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
            connection.bufferedAmount,
            clip(name) if name is not None else None,
        )


def _describe(connection: IServerConnection) -> tuple[IAddress, str, str | None]:
    """
    Return a connection's client, its path, and the name that the application gives it,
    or that of its avatar.
    """
    request: Any = connection.request
    name: object = connection.clientName or getattr(request.avatar, "name", None)
    return (
        request.getClientAddress(),
        request.path.decode("utf-8", "replace"),
        None if name is None else str(name),
    )


def _holds(connection: IServerConnection, words: list[str]) -> bool:
    client, path, name = _describe(connection)
    text = f"{nameOfAddress(client)} {connection.name} {path} {name or ''}".lower()
    return all(word in text for word in words)
