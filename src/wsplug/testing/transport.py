"""
The network of a test: the server's end of a connection to a client in the same process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["MemoryTLSTransport", "MemoryTransport"]


@implementer(ITCPTransport, IPushProducer)
class MemoryTransport:
    """
    The server's end of a connection in memory.

    @ivar bufferSize: bytes that may wait before the producer is paused, as in Twisted's
        own transports.
    @ivar reading: whether the protocol reads.
    @ivar aborted: whether the protocol has called C{abortConnection}.
    @ivar protocol: the protocol that receives the data.
    """

    bufferSize = 64 * 1024

    def __init__(
        self, peer: IPv4Address | IPv6Address, host: IPv4Address | IPv6Address
    ) -> None:
        self.reading = True
        self.aborted = False
        self.disconnecting = False
        self._peer = peer
        self._host = host
        self.protocol: Any = None
        self._out = bytearray()
        self._in = bytearray()
        self._eof = False
        self._eofTold = False
        self._producer: IPushProducer | None = None
        self._producerPaused = False
        self._halfClosed = False
        self._lost = False

    # What the protocol calls

    def write(self, data: bytes) -> None:
        if self._lost or self.disconnecting or self._halfClosed:
            return
        self._out += data
        if len(self._out) > self.bufferSize and not self._producerPaused:
            self._producerPaused = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        self._halfClosed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self._out.clear()
        self._lose(Failure(ConnectionAborted()))

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producerPaused = False

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def stopProducing(self) -> None:
        self.loseConnection()

    def getPeer(self) -> IPv4Address | IPv6Address:
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:
        return self._host

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass

    # What the client's end does

    def attach(self, protocol: Any) -> None:
        """
        Connect a protocol.
        """
        self.protocol = protocol
        protocol.makeConnection(self)

    def take(self) -> bytes:
        """
        Read all that the protocol has written.
        """
        data = bytes(self._out)
        self._out.clear()
        if self._producerPaused:
            self._producerPaused = False
            if self._producer is not None:
                self._producer.resumeProducing()
        return data

    def put(self, data: bytes) -> None:
        """
        Send data to the protocol. It is kept while the protocol doesn't read.
        """
        self._in += data

    def shut(self) -> None:
        """
        Close the client's end. The protocol first receives the data that was put.
        """
        self._eof = True

    def step(self) -> bool:
        """
        Deliver what can be delivered.

        @return: whether something was delivered.
        """
        if self._lost:
            return False
        if self._isOver():
            self._lose(Failure(ConnectionDone()))
            return True
        if self._in and self.reading:
            data = bytes(self._in)
            self._in.clear()
            self.protocol.dataReceived(data)
            return True
        if self._eof and not self._in:
            return self._end()
        return False

    def _end(self) -> bool:
        """
        Report the end of the client's data to the protocol, as Twisted's transports do.
        """
        halfCloseable: Any = IHalfCloseableProtocol(self.protocol, None)
        if halfCloseable is None:
            self._lose(Failure(ConnectionDone()))
            return True
        told, self._eofTold = self._eofTold, True
        if not told:
            halfCloseable.readConnectionLost()
            if self._isOver():
                self._lose(Failure(ConnectionDone()))
        return not told

    def _isOver(self) -> bool:
        """
        Return whether the protocol has ended the connection and everything is sent. If
        the client has closed its end, it is enough that the network has the output.
        """
        room = self.bufferSize if self._eofTold else 0
        return self.disconnecting and len(self._out) <= room

    @property
    def lost(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self._lost

    @property
    def closedForWriting(self) -> bool:
        """
        Whether the client, after reading everything, gets an end of file.
        """
        return self._lost or (self._halfClosed and not self._out)

    def _lose(self, reason: Failure) -> None:
        if self._lost:
            return
        self._lost = True
        producer, self._producer = self._producer, None
        protocol, self.protocol = self.protocol, None
        if producer is not None:
            producer.stopProducing()
        protocol.connectionLost(reason)


@implementer(INegotiated)
class MemoryTLSTransport(MemoryTransport):
    """
    The server's end of a connection that counts as encrypted, and whose client has a
    certificate.
    """

    negotiatedProtocol = None

    def __init__(
        self,
        peer: IPv4Address | IPv6Address,
        host: IPv4Address | IPv6Address,
        certificate: Certificate,
    ) -> None:
        super().__init__(peer, host)
        self._certificate = certificate

    def getPeerCertificate(self) -> object:
        from OpenSSL.crypto import X509

        return X509.from_cryptography(self._certificate)

    def attach(self, protocol: Any) -> None:
        super().attach(protocol)
        if IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()
