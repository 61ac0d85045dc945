"""
Which certificate the server shows, and which ones it asks for.
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
    Where the certificates are.

    @ivar certificate: the path of the server's own, with those in between that lead to
        an authority behind it. Relative paths are made absolute: daemons move.
    @ivar key: the path of its private key; C{None} where it is in the same file.
    @ivar clientCA: the path of the authorities that sign clients' certificates; C{None}
        where clients aren't asked for any.
    @ivar clientRequired: whether they have to show one.
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
        All of them.
        """
        paths = (self.certificate, self.key, self.clientCA)
        return tuple(path for path in paths if path is not None)


@dataclass(frozen=True)
class TLSOptions:
    """
    TLS for C{port}; endpoint strings have their own ways.

    @ivar certificate: a path; C{None} for no TLS.
    @ivar key: a path.
    @ivar clientCA: a path.
    @ivar client: whether clients have to show a certificate.
    """

    certificate: str | None = option(
        path,
        None,
        "PEM file of the certificate with its chain. The port speaks TLS then.",
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
        "Whether clients need a certificate. With optional, those without one are let "
        "in without a name.",
        name="tls-client",
        needs="tls-client-ca",
    )

    def findFiles(self) -> TLSFiles | None:
        """
        Put the options together.

        @return: C{None} where there is to be no TLS.
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
