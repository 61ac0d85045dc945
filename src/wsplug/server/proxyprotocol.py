"""
The PROXY protocol on a port: a connection of a trusted proxy starts with a header that
names the client. This module parses and removes the header, below TLS. From then on,
the transport's C{getPeer} returns the client's address.

Other connections are served without this. A PROXY header on one of them is an invalid
request.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.codec import encode_refusal
from wsplug.codec.proxyheader import ProxyHeader, ProxyHeaderParser
from wsplug.errors import HandshakeRefused
from wsplug.guard.proxies import addressOf
from wsplug.networks import nameOfAddress
from wsplug.server.closing import LateInput, endWriting, logRefusal
from wsplug.server.deadlines import Deadline
from wsplug.server.parts import ServerParts

__all__ = ["ProxiedFactory", "useProxyProtocol"]

_SETTING: Final = "proxy-protocol"


class ProxiedFactory:
    """
    Wraps a port's factory. Connections that aren't from trusted proxies go straight to
    that factory.
    """

    def __init__(self, wrapped: Any, factory: ServerParts) -> None:
        """
        @param wrapped: the port's own factory: C{factory}, or TLS around it.
        """
        self.wrapped = wrapped
        self.factory = factory

    def buildProtocol(self, addr: IAddress) -> Any:
        if self.factory.proxies.trusts(addr):
            return _ProxiedConnection(self.wrapped, self.factory)
        return self.wrapped.buildProtocol(addr)

    def doStart(self) -> None:
        self.wrapped.doStart()

    def doStop(self) -> None:
        self.wrapped.doStop()


class _ProxiedConnection(Protocol):
    """
    A trusted proxy's connection, up to the end of its header.
    """

    _log = Logger()

    def __init__(self, wrapped: Any, factory: ServerParts) -> None:
        self._wrapped = wrapped
        self._factory = factory
        self._parser: ProxyHeaderParser | None = ProxyHeaderParser()
        self._deadline: Deadline | None = None
        self._late: LateInput | None = None

    # Called by the transport

    def connectionMade(self) -> None:
        self._factory.roster.awaitHeader(self)

    def dataReceived(self, data: bytes) -> None:
        if self._parser is None:
            # Refused: discard input until the peer has closed as well.
            if self._late is None:
                self._late = LateInput(self.transport)
            self._late.take(len(data), self._deadline is not None, self.abort)
            return
        try:
            header = self._parser.feed(data)
        except ValueError as error:
            # Most likely a request, with at least the beginning of its first line.
            method = b"HEAD" if data.startswith(b"HEAD ") else b"GET"
            self._refuse(HandshakeRefused(400, str(error), setting=_SETTING), method)
            return
        if header is not None:
            self._stepOut(header, self._parser.rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        A connection without any input was a health check: it isn't logged.
        """
        self._clearDeadline()
        parser, self._parser = self._parser, None
        transport: Any = self.transport
        peer: IAddress = transport.getPeer()
        if (
            parser is not None
            and parser.begun
            and self._factory.logLimit.allows(peer, "went away")
        ):
            self._log.info(
                "{peer} went away within its PROXY header", peer=nameOfAddress(peer)
            )
        self._factory.roster.removeOpening(self)

    # Called by the factory

    def begin(self) -> None:
        """
        Start to read the header.
        """
        seconds = self._factory.settings.open_timeout
        if seconds:
            self._deadline = self._factory.deadlines.set(seconds, self._timedOut)

    def finish(self, refusal: HandshakeRefused, patience: float) -> None:
        """
        Refuse the request, because the server stops.

        @param refusal: the answer to the request after the header.
        @param patience: the seconds for which the header may still arrive; with 0, the
            connection ends at once.
        """
        if self._parser is None:
            return
        self._clearDeadline()
        if patience:
            deadlines = self._factory.deadlines
            self._deadline = deadlines.set(patience, self._endWaiting)
        else:
            self._endWaiting()

    def _endWaiting(self) -> None:
        self._deadline = None
        self._parser = None
        transport: Any = self.transport
        transport.loseConnection()

    def abort(self) -> None:
        """
        Abort the connection.
        """
        transport: Any = self.transport
        transport.abortConnection()

    # The end of the header, or of the connection

    def _stepOut(self, header: ProxyHeader, rest: bytes) -> None:
        """
        Connect the transport to the protocol that serves the client.
        """
        self._parser = None
        self._clearDeadline()
        transport: Any = self.transport
        peer: IAddress = transport.getPeer()
        if header.host is not None:
            peer = addressOf(header.host, header.port)
        elif header.path is not None:
            peer = UNIXAddress(header.path or None)
        self._factory.roster.removeOpening(self)
        try:
            served = self._wrapped.buildProtocol(peer)
            if served is not None:
                transport.getPeer = lambda: peer
                transport.proxyHeader = header
                transport.protocol = served
                served.makeConnection(transport)
        except BaseException:
            # For example, a certificate is missing. The connection is counted nowhere.
            self._log.failure("a proxy's connection could not be served")
            served = None
        if served is None:  # the factory refuses the connection
            transport.abortConnection()
        elif rest:
            served.dataReceived(rest)

    def _timedOut(self) -> None:
        self._deadline = None
        seconds = self._factory.settings.open_timeout
        self._refuse(
            HandshakeRefused(
                408,
                f"no complete PROXY header in {seconds:g} seconds",
                setting="open-timeout",
            )
        )

    def _refuse(self, refusal: HandshakeRefused, method: bytes = b"GET") -> None:
        """
        End the connection, with an answer unless that would have to be within TLS.

        @param method: the method of the request that arrived in place of a header.
        """
        self._parser = None
        self._clearDeadline()
        transport: Any = self.transport
        peer: IAddress = transport.getPeer()
        logRefusal(self._log, self._factory.logLimit, peer, refusal)
        self._factory.admittance.countRefused(peer, "", refusal)
        if self._wrapped is not self._factory:
            transport.abortConnection()
            return
        transport.write(encode_refusal(refusal, method))
        endWriting(transport)
        seconds = self._factory.settings.close_timeout
        if seconds:
            self._deadline = self._factory.deadlines.set(
                seconds, transport.abortConnection
            )

    def _clearDeadline(self) -> None:
        self._factory.deadlines.clear(self._deadline)
        self._deadline = None


def useProxyProtocol(port: IListeningPort, factory: ServerParts) -> None:
    """
    Expect a PROXY header on the connections of a port that are from trusted proxies.

    @param port: a new port, of any kind that has a factory.
    @param factory: the factory that serves the connections.
    @raise ValueError: the port has no factory.
    """
    settable: Any = port
    if not hasattr(settable, "factory"):
        raise ValueError("the PROXY protocol can't be used on this kind of endpoint")
    settable.factory = ProxiedFactory(settable.factory, factory)
