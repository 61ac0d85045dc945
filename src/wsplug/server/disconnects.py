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
        A placeholder: it is never raised.
        """


__all__ = ["explainLoss", "explainTLS", "speaksTLS"]


_PLAINER: Final = {
    "http request": "this is HTTP without TLS",
    "wrong version number": "this is not TLS",
}
"""
Plainer words for OpenSSL's errors about peers that don't speak TLS.
"""


def speaksTLS(transport: Any) -> bool:
    """
    Return whether a transport calls C{handshakeCompleted} of
    C{twisted.internet.interfaces.IHandshakeListener}.
    """
    return INegotiated.providedBy(transport)


def explainTLS(reason: Failure) -> str | None:
    """
    Return why TLS has failed, in plain words or in OpenSSL's.

    @return: C{None} if the reason isn't TLS.
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
    Return why a connection was lost.
    """
    tls = explainTLS(reason)
    if tls is not None:
        return f"TLS: {tls}"
    if reason.check(ConnectionDone):
        return "went away without closing"
    return reason.getErrorMessage()
