"""
Admittance: who may connect, from where, how often, and as whom.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, ISSLTransport

from wsplug.auth.authenticator import Authenticator
from wsplug.codec import RequestHead
from wsplug.errors import HandshakeRefused
from wsplug.guard.access import Access
from wsplug.guard.admission import Account, Admission, AdmissionLimits
from wsplug.guard.bans import Bans
from wsplug.guard.hosts import HostRules
from wsplug.guard.origins import OriginRules
from wsplug.guard.pagerefusals import refuseOrigins
from wsplug.guard.proxies import ClientInfo, TrustedProxies, claimsTLS
from wsplug.networks import Networks
from wsplug.server.connection import Connection
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext, ratesOf
from wsplug.server.draining import Opening
from wsplug.server.mounts import Mount
from wsplug.server.roster import Roster

__all__ = ["Admittance", "Applicant"]


class Applicant(Opening, Protocol):
    """
    An opening connection whose client asks to be admitted.
    """

    client: IAddress
    account: Account | None
    excess: HandshakeRefused | None

    def giveWay(self) -> None:
        """End, because another connection needs the slot."""


class Admittance:
    """
    The access rules of one server, and what each client has used of its limits.

    @ivar origins: which pages may connect.
    @ivar hosts: which hosts requests may be for.
    @ivar proxies: which proxies are trusted to name the client.
    @ivar bans: which clients an operator has banned.
    @ivar admission: counts the connections and handshakes of each client.
    @ivar authenticator: logs clients in; without it, they need no login.
    """

    def __init__(
        self,
        context: ConnectionContext,
        roster: Roster,
        content: Content,
        access: Access,
        authenticator: Authenticator | None,
    ) -> None:
        self._context = context
        self._roster = roster
        self._content = content
        self.origins = OriginRules(access.origins)
        self.hosts = HostRules(access.origins, access.hosts)
        self.proxies = TrustedProxies(access.proxies, context.clock)
        self.bans = Bans(context.clock)
        self.authenticator = authenticator
        settings = context.settings
        limits = AdmissionLimits(
            settings.max_address_connections,
            settings.max_address_handshake_rate,
            ratesOf(
                settings.max_address_message_rate,
                settings.max_address_byte_rate,
                settings,
            ),
            settings.cool_down,
        )
        exempt = Networks(access.exempt)
        self.admission = Admission(context.clock, limits, exempt)

    # Connections

    def admit(self, protocol: Applicant) -> HandshakeRefused | None:
        """
        Add a new connection to the roster.

        @return: the refusal to answer it with; C{None} if it is admitted.
        """
        roster = self._roster
        roster.opening.add(protocol)
        if roster.draining is not None and not roster.draining.patience:
            return roster.draining.refusal
        if roster.failed is not None:
            return roster.failed
        unwelcome = self.refusalOf(protocol.client)
        if unwelcome is not None:
            return unwelcome
        if roster.count() > self._context.settings.max_connections:
            full = HandshakeRefused(
                503,
                "too many connections",
                headers=[(b"Retry-After", b"10")],
                setting="max-connections",
            )
            if not self._content.isHealthCheck(b"/-/health"):
                return full
            protocol.excess = full
            roster.spare.take(protocol, protocol.client)
        if self.proxies.trusts(protocol.client):
            return None  # its clients are counted once it names them
        return self.admitClient(protocol)

    def admitClient(self, protocol: Applicant) -> HandshakeRefused | None:
        """
        Count a connection for its client, once the client is known: when it connects,
        or when a trusted proxy names it in a handshake.

        @return: the refusal to answer it with; C{None} if it is admitted.
        """
        try:
            protocol.account = self.admission.enter(protocol.client)
        except HandshakeRefused as refusal:
            return refusal
        return None

    def removeOpening(self, protocol: Applicant) -> None:
        """
        Remove a connection that never became a WebSocket.
        """
        self._roster.spare.leave(protocol)
        self._leave(protocol.account)
        self._roster.removeOpening(protocol)

    def remove(self, connection: Connection) -> None:
        """
        Remove a connection that has ended.
        """
        self._leave(connection.limits.account)
        self._roster.remove(connection)

    def _leave(self, account: Account | None) -> None:
        if account is not None:
            self.admission.leave(account)

    # Requests

    def refusalOf(self, client: IAddress) -> HandshakeRefused | None:
        """
        Check whether a client is banned, as soon as it is known: for a new connection,
        and for each request on it, since a proxy may send each for another client.

        @return: the refusal, if it is banned.
        """
        # A trusted proxy sends requests of others, who may not be banned.
        return None if self.proxies.trusts(client) else self.bans.refusalOf(client)

    def refusalOfHost(
        self, head: RequestHead, transport: Any, proxied: bool
    ) -> HandshakeRefused | None:
        """
        Check the host that a request is for, against DNS rebinding.

        @param proxied: whether a trusted proxy has sent the request.
        """
        return self.hosts.refusalOf(head, transport, proxied)

    def refusalOfOrigin(
        self, head: RequestHead, transport: Any, named: ClientInfo, mount: Mount
    ) -> HandshakeRefused | None:
        """
        Judge the page that a handshake comes from.

        @param named: what trusted proxies tell about the client.
        @param mount: the application that it is for.
        """
        origins = head.all(b"origin")
        if not origins:
            return None
        hosts = head.all(b"host")
        host = hosts[0] if hosts else None
        # Only pages without TLS are told apart by it.
        secure = origins[0][:5].lower() == b"http:" and (
            named.secure or ISSLTransport.providedBy(transport) or claimsTLS(head.all)
        )
        rules = self.origins if mount.origins is None else mount.origins
        if len(origins) == 1 and rules.allow(origins[0], host, secure):
            return None
        return refuseOrigins(rules, origins, host, secure)

    def countRefused(
        self, client: IAddress, name: str, refusal: HandshakeRefused
    ) -> None:
        """
        Count a refused request.

        @param client: the client that sent it.
        @param name: the application's name; empty if it isn't known.
        """
        now = self._context.clock.seconds()
        self._context.statistics.countRefused(now, client, name, refusal)
