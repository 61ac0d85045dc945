"""
The options that say which certificate the server shows, and which it wants to see.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsplug.errors import InvalidOption
from wsplug.options import Option, choice, text

__all__ = ["TLS", "TLSFiles", "filesOf"]

TLS: Final = (
    Option(
        "tls-cert",
        text,
        None,
        "PEM file of the certificate, with its chain: port speaks TLS then",
        "none",
    ),
    Option(
        "tls-key",
        text,
        None,
        "PEM file of its private key, where that is not in the same file",
        "the file of tls-cert",
    ),
    Option(
        "tls-client-ca",
        text,
        None,
        "PEM file of the authorities whose certificates clients have to show",
        "none",
    ),
    Option(
        "tls-client",
        choice("required", "optional"),
        "required",
        "whether clients without a certificate are refused, or let in as nobody",
    ),
)
"""
They go with C{port}; endpoint strings have their own ways.
"""


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


def filesOf(values: Mapping[str, Any]) -> TLSFiles | None:
    """
    Put the options together.

    @param values: parsed values by the names of L{TLS}; what wasn't given isn't there.
    @return: C{None} where there is to be no TLS.
    @raise InvalidOption: one is there without the one that it goes with.
    """
    certificate = values.get("tls-cert")
    if certificate is None:
        for option in TLS:
            if option.name in values:
                raise InvalidOption(f"{option.name} goes with tls-cert")
        return None
    if "tls-client" in values and "tls-client-ca" not in values:
        raise InvalidOption("tls-client goes with tls-client-ca")
    for option in TLS:
        if values.get(option.name) == "":
            raise InvalidOption(f"{option.name} takes a path, not ''")
    return TLSFiles(
        certificate,
        values.get("tls-key"),
        values.get("tls-client-ca"),
        values.get("tls-client", "required") == "required",
    )
