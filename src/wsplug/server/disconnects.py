"""
Why a connection was lost, as far as the network or TLS reports it.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import INegotiated
from twisted.python.failure import Failure

try:
    from OpenSSL.SSL import Error as _TLSError
except ImportError:  # the extra "tls" is not installed

    class _TLSError(Exception):  # type: ignore[no-redef]
        """
        Nobody raises it.
        """


__all__ = ["explainLoss", "explainTLS", "speaksTLS"]


_PLAINER: Final = {
    "http request": "this is HTTP without TLS",
    "wrong version number": "this is not TLS",
}
"""
What OpenSSL calls what comes from peers who don't speak TLS at all.
"""


def speaksTLS(transport: Any) -> bool:
    """
    Tell whether a transport is one that calls C{handshakeCompleted} of
    C{twisted.internet.interfaces.IHandshakeListener}.
    """
    return INegotiated.providedBy(transport)


def explainTLS(reason: Failure) -> str | None:
    """
    Say what TLS could not go on with, in OpenSSL's words: C{"http request"} where the
    peer speaks HTTP without TLS.

    @return: C{None} where it isn't TLS that has failed.
    """
    error: Any = reason.value
    if not isinstance(error, _TLSError):
        return None
    try:
        words = str(error.args[0][-1][2])
    except (IndexError, TypeError):
        words = ""
    return _PLAINER.get(words, words) or "broken off"


def explainLoss(reason: Failure) -> str:
    """
    Say why a peer is gone.
    """
    tls = explainTLS(reason)
    if tls is not None:
        return f"TLS: {tls}"
    if reason.check(ConnectionDone):
        return "went away without closing"
    return reason.getErrorMessage()
