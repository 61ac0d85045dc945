"""
An endpoint that adds TLS to another one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from wsplug.tls.options import TLSFiles
from wsplug.tls.reloading import ReloadedCertificate

__all__ = ["TLSEndpoint"]


class _TLSFactory(TLSMemoryBIOFactory):
    """
    Watches the certificate's files while the port is listening.

    @ivar needsCertificate: whether clients need a certificate of their own.
    """

    def __init__(
        self,
        certificate: ReloadedCertificate,
        needsCertificate: bool,
        wrapped: IProtocolFactory,
        clock: Any,
    ) -> None:
        super().__init__(certificate, False, wrapped, clock)
        self._certificate = certificate
        self.needsCertificate = needsCertificate

    def startFactory(self) -> None:
        super().startFactory()  # type: ignore[no-untyped-call]
        self._certificate.start()

    def stopFactory(self) -> None:
        self._certificate.stop()
        super().stopFactory()  # type: ignore[no-untyped-call]


@implementer(IStreamServerEndpoint)
class TLSEndpoint:
    """
    Listens on another endpoint, with TLS.

    @ivar certificate: the server's certificate.
    """

    def __init__(
        self, wrapped: IStreamServerEndpoint, files: TLSFiles, reactor: Any
    ) -> None:
        """
        @param wrapped: an endpoint for TCP or another byte stream.
        @raise wsplug.errors.InvalidOption: the files can't be used.
        """
        self.certificate = ReloadedCertificate(files, reactor)
        self._needsCertificate = files.clientCA is not None and files.clientRequired
        self._wrapped = wrapped
        self._reactor = reactor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        factory = _TLSFactory(
            self.certificate, self._needsCertificate, protocolFactory, self._reactor
        )
        return self._wrapped.listen(factory)
