"""
Endpoints, made from the strings that describe them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from wsplug.daemon.inherited import explainSystemd, needsSystemd, takeOver
from wsplug.errors import InvalidOption
from wsplug.printable import oneLine
from wsplug.tls.options import TLSFiles

if TYPE_CHECKING:
    from wsplug.tls.endpoint import TLSEndpoint

__all__ = ["addTLS", "makeEndpoint"]

_INSTALL_TLS: Final = "TLS needs pyOpenSSL: pip install 'wsplug[tls]'"


def makeEndpoint(reactor: Any, name: str, description: str) -> IStreamServerEndpoint:
    """
    Make an endpoint from a Twisted endpoint string.

    @param name: the name for error messages.
    @raise InvalidOption: the string is wrong, or a file that it names is.
    """
    try:
        return takeOver(serverFromString(reactor, description), reactor)
    except (Exception, SystemExit) as error:
        # Endpoint plugins raise any exception: for a wrong word, for a missing file.
        reason = oneLine(error)
        if isinstance(error, TypeError):
            # Its text is about the plugin's function, not about the string.
            reason = "the arguments are wrong for this kind of endpoint"
        elif needsSystemd(description):
            reason = explainSystemd(error)
        elif isinstance(error, ImportError) and description.startswith("ssl:"):
            reason = f"{_INSTALL_TLS} ({error})"
        raise InvalidOption(f"can't listen on {name!r}: {reason}") from None


def addTLS(
    reactor: Any, endpoint: IStreamServerEndpoint, files: TLSFiles
) -> TLSEndpoint:
    """
    Put TLS in front of an endpoint.

    @raise InvalidOption: a certificate can't be used, or pyOpenSSL isn't installed.
    """
    try:
        from wsplug.tls.endpoint import TLSEndpoint
    except ImportError as error:
        raise InvalidOption(f"tls-cert: {_INSTALL_TLS} ({error})") from None
    return TLSEndpoint(endpoint, files, reactor)
