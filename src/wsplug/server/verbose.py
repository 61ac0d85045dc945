"""
The verbose log: each handshake with its headers and the answer, each frame with its
size and its first bytes, and each request for a page.

It is for finding mistakes in clients and applications. It contains the texts of
messages, but not the secrets of requests: see L{wsplug.server.redacting}. The log limit
doesn't apply to it, since an operator asks for it, but each line is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from wsplug.codec import RequestHead, wants_upgrade
from wsplug.networks import Networks, hostOf, nameOfAddress
from wsplug.server.redacting import showHeader, showTarget

__all__ = ["EVERYBODY", "VerboseLog"]

_log = Logger(__name__)

EVERYBODY: Final = "all"
"""
The word for every client in place of an address.
"""


class _Headers(list[str]):
    """
    Headers, each a line of the event's text and an item of its JSON.
    """

    def __format__(self, spec: str) -> str:
        return "".join(f"\n{each}" for each in self)


class VerboseLog:
    """
    Writes the verbose log of a server.

    @ivar clients: as in L{__init__}.
    """

    def __init__(self, clients: Sequence[str]) -> None:
        """
        @param clients: addresses and networks, or L{EVERYBODY}.
        @raise ValueError: one of them is neither.
        """
        self.clients = tuple(clients)
        self._all = EVERYBODY in clients
        self._networks = Networks(each for each in clients if each != EVERYBODY)

    def covers(self, client: IAddress) -> bool:
        """
        Return whether the log is about a client.
        """
        return self._all or hostOf(client) in self._networks

    def warn(self) -> None:
        """
        Warn that the log will contain the texts of messages.
        """
        _log.warn(
            "the log contains the texts of messages, because of verbose: {clients}",
            clients=", ".join(self.clients),
            setting="verbose",
        )

    def requested(self, client: IAddress, head: RequestHead) -> None:
        """
        Log a handshake.
        """
        if self.covers(client):
            _log.debug(
                "{peer} received {method} {target}{headers}",
                peer=nameOfAddress(client),
                method=head.method.decode("ascii", "backslashreplace"),
                target=showTarget(head.target),
                headers=_showHeaders(head.headers),
            )

    def answered(self, client: IAddress, response: bytes) -> None:
        """
        Log the answer to a handshake.

        @param response: its head, and maybe its body, which isn't logged.
        """
        if not self.covers(client):
            return
        line, *lines = response.partition(b"\r\n\r\n")[0].split(b"\r\n")
        pairs = (each.partition(b": ") for each in lines)
        _log.debug(
            "{peer} sent {status} {phrase}{headers}",
            peer=nameOfAddress(client),
            status=int(line[9:12]),
            phrase=line[13:].decode("ascii", "backslashreplace"),
            headers=_showHeaders((name.lower(), value) for name, _, value in pairs),
        )

    def refused(
        self, client: IAddress, head: RequestHead | None, response: bytes
    ) -> None:
        """
        Log that a request was refused.

        @param head: the request's; C{None} if it isn't whole, or malformed.
        @param response: the refusal.
        """
        if head is None or wants_upgrade(head):
            self.answered(client, response)
        else:
            self.served(client, head.method, head.target, int(response[9:12]))

    def served(
        self, client: IAddress, method: bytes, target: bytes, status: int
    ) -> None:
        """
        Log a plain HTTP request and its answer.
        """
        if self.covers(client):
            _log.debug(
                "{peer} received {method} {target}, sent {status}",
                peer=nameOfAddress(client),
                method=method.decode("ascii", "backslashreplace"),
                target=showTarget(target),
                status=status,
            )


def _showHeaders(headers: Iterable[tuple[bytes, bytes]]) -> _Headers:
    return _Headers(
        f"{name[:100].decode('ascii', 'backslashreplace')}: {showHeader(name, value)}"
        for name, value in headers
    )
