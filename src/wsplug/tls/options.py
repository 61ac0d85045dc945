"""
The options of TLS: the server's certificate, and those of clients.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.options import choice, option, optionsOf, path

__all__ = ["TLS", "TLSFiles", "TLSOptions"]


@dataclass(frozen=True)
class TLSFiles:
    """
    The files of the certificates. Relative paths are made absolute, because daemons
    change their working directory.

    @ivar certificate: the path of the server's certificate, followed by its chain.
    @ivar key: the path of its private key; C{None} if it is in the same file.
    @ivar clientCA: the path of the authorities that sign clients' certificates; C{None}
        if clients aren't asked for one.
    @ivar clientRequired: whether clients need a certificate.
    """

    certificate: str
    key: str | None = None
    clientCA: str | None = None
    clientRequired: bool = True

    def __post_init__(self) -> None:
        for name in ("certificate", "key", "clientCA"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.path.abspath(path))

    @property
    def paths(self) -> tuple[str, ...]:
        """
        The paths of all files.
        """
        paths = (self.certificate, self.key, self.clientCA)
        return tuple(path for path in paths if path is not None)


@dataclass(frozen=True)
class TLSOptions:
    """
    TLS for the option C{port}. Endpoint strings have their own TLS options.

    @ivar certificate: the path of the certificate; C{None} for no TLS.
    @ivar key: the path of the private key; C{None} if it is in the same file.
    @ivar clientCA: the path of the clients' authorities; C{None} for no client
        certificates.
    @ivar client: C{required} or C{optional}: whether clients need a certificate.
    """

    certificate: str | None = option(
        path,
        None,
        "PEM file of the certificate with its chain. It enables TLS on the port.",
        name="tls-cert",
        shown="none",
    )
    key: str | None = option(
        path,
        None,
        "PEM file of the certificate's private key.",
        name="tls-key",
        shown="the file of tls-cert",
        needs="tls-cert",
    )
    clientCA: str | None = option(
        path,
        None,
        "PEM file of the authorities that sign the clients' certificates.",
        name="tls-client-ca",
        shown="none",
        needs="tls-cert",
    )
    client: str = option(
        choice("required", "optional"),
        "required",
        "Whether clients need a certificate. With optional, clients without one are "
        "accepted, without a name.",
        name="tls-client",
        needs="tls-client-ca",
    )

    def findFiles(self) -> TLSFiles | None:
        """
        Make the files from the options.

        @return: the files; C{None} for no TLS.
        @raise InvalidOption: a path is empty.
        """
        if self.certificate is None:
            return None
        for name, given in (
            ("tls-cert", self.certificate),
            ("tls-key", self.key),
            ("tls-client-ca", self.clientCA),
        ):
            if given == "":
                raise InvalidOption(f"{name} takes a path, not ''")
        return TLSFiles(
            self.certificate, self.key, self.clientCA, self.client == "required"
        )


TLS: Final = optionsOf(TLSOptions, "TLS")
