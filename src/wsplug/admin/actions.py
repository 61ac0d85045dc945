"""
The actions of operators: notices, closings, bans and draining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from wsplug.admin.clients import ClientList
from wsplug.admin.messages import (
    BanAddress,
    BanInfo,
    Banned,
    CloseClients,
    Closed,
    Drain,
    Draining,
    LiftBan,
    Lifted,
    Noticed,
    SendNotice,
)
from wsplug.codec.closecodes import MAX_REASON_SIZE, CloseCode, may_be_sent
from wsplug.errors import OPERATOR, Side
from wsplug.guard.bans import Ban, parsePrefix
from wsplug.interfaces import IServerConnection
from wsplug.jsonmessages import RequestRefused
from wsplug.networks import Network, hostOf, nameOfAddress
from wsplug.server.factory import WebSocketFactory

__all__ = ["Actions", "showBan"]


def showBan(ban: Ban) -> BanInfo:
    """
    Describe a ban for operators.
    """
    return BanInfo(ban.prefix, ban.until, ban.note)


class Actions:
    """
    Executes operators' requests, and logs them.
    """

    _log = Logger()

    def __init__(
        self,
        server: WebSocketFactory,
        clients: ClientList,
        drain: Callable[[bool], object],
    ) -> None:
        """
        @param clients: the numbered connections.
        @param drain: closes all connections; with C{True}, the server doesn't serve
            again.
        """
        self._server = server
        self._clients = clients
        self._drain = drain

    def notice(self, asked: SendNotice, operator: IAddress) -> Noticed:
        """
        Send a notice to clients, through their applications.

        @param operator: the operator's address.
        @raise RequestRefused: there is no such client or application.
        """
        if asked.client is not None and asked.application is not None:
            raise RequestRefused("invalid", "name a client or an application, not both")
        chosen: Iterable[IServerConnection]
        if asked.client is not None:
            chosen = [self._find(asked.client)]
            to = nameOfAddress(chosen[0].request.getClientAddress())
        elif asked.application is not None:
            name = asked.application
            if all(mount.name != name for mount in self._server.mounts):
                raise RequestRefused("not-here", f"no application is called {name!r}")
            chosen = [each for each in self._server.connections if each.name == name]
            to = name
        else:
            chosen, to = list(self._server.connections), "everybody"
        self._log.info(
            "{operator} sends a notice to {to}",
            operator=nameOfAddress(operator),
            to=to,
        )
        told = [connection.notify(asked.text) for connection in chosen]
        return Noticed(reached=sum(told), unable=len(told) - sum(told))

    def close(self, asked: CloseClients, operator: IAddress) -> Closed:
        """
        Close one connection, or all connections from an address prefix.

        @raise RequestRefused: there is no such client, the address is invalid, or the
            close frame can't be sent.
        """
        if (asked.client is None) == (asked.address is None):
            raise RequestRefused("invalid", "name either a client or an address")
        if not may_be_sent(asked.code):
            raise RequestRefused(
                "invalid", f"code: {asked.code} may not be sent (RFC 6455 section 7.4)"
            )
        size = len(asked.reason.encode("utf-8", "replace"))
        if size > MAX_REASON_SIZE:
            raise RequestRefused(
                "too-long",
                f"reason: {size} bytes; at most {MAX_REASON_SIZE} are allowed",
            )
        if asked.client is not None:
            chosen = [self._find(asked.client)]
            what = nameOfAddress(chosen[0].request.getClientAddress())
        else:
            network = _parse(asked.address or "")
            chosen = self._of(network)
            what = f"all of {network}"
        self._log.info(
            "{operator} closes {what}: {code}",
            operator=nameOfAddress(operator),
            what=what,
            code=asked.code,
        )
        return Closed(count=_close(chosen, asked.code, asked.reason))

    def ban(self, asked: BanAddress, operator: IAddress, isHere: bool) -> Banned:
        """
        Ban an address prefix for some time, and close its connections.

        @param isHere: whether the operator connects to this server, so that the ban
            could include them.
        @raise RequestRefused: the address or the time is invalid, the prefix contains
            the operator's address, or there are too many bans.
        """
        network = _parse(asked.address)
        own = hostOf(operator)
        if isHere and own is not None and own in network:
            raise RequestRefused(
                "own-address", "the ban would include your own address"
            )
        try:
            ban = self._server.bans.add(network, asked.seconds, asked.note)
        except ValueError as error:
            raise RequestRefused("invalid", str(error)) from None
        self._log.info(
            "{operator} bans {prefix} for {seconds:g} seconds",
            operator=nameOfAddress(operator),
            prefix=ban.prefix,
            seconds=asked.seconds,
        )
        count = _close(self._of(network), CloseCode.POLICY_VIOLATION, "banned")
        return Banned(ban=showBan(ban), count=count)

    def lift(self, asked: LiftBan, operator: IAddress) -> Lifted:
        """
        Lift a ban.

        @raise RequestRefused: there is no such ban.
        """
        network = _parse(asked.address)
        if not self._server.bans.lift(network):
            raise RequestRefused("not-here", f"{network} is not banned")
        self._log.info(
            "{operator} lifts the ban of {prefix}",
            operator=nameOfAddress(operator),
            prefix=str(network),
        )
        return Lifted(address=asked.address)

    def drain(self, asked: Drain, operator: IAddress) -> Draining:
        """
        Close all connections, in batches.
        """
        self._log.info(
            "{operator} drains the server{why}",
            operator=nameOfAddress(operator),
            why=" for good" if asked.for_good else "",
        )
        self._drain(asked.for_good)
        return Draining()

    def _find(self, number: int) -> IServerConnection:
        connection = self._clients.find(number)
        if connection is None:
            raise RequestRefused("not-here", "this client is gone")
        return connection

    def _of(self, network: Network) -> list[IServerConnection]:
        """
        Return the connections from an address prefix.
        """
        found: list[IServerConnection] = []
        for connection in self._server.connections:
            host = hostOf(connection.request.getClientAddress())
            if host is not None and host in network:
                found.append(connection)
        return found


def _close(connections: Iterable[IServerConnection], code: int, reason: str) -> int:
    closed = list(connections)
    for connection in closed:
        connection.close(code, reason, Side.SERVER, OPERATOR)
    return len(closed)


def _parse(address: str) -> Network:
    try:
        return parsePrefix(address.strip())
    except ValueError as error:
        raise RequestRefused("invalid", f"address: {error}") from None
