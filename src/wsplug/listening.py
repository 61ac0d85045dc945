"""
Errors of listening, explained in one line.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from wsplug.daemon.unixsockets import explainLock
from wsplug.errors import StartupError

__all__ = ["ListeningFailed", "explainListening"]


class ListeningFailed(StartupError, CannotListenError):
    """
    An endpoint can't be listened on.

    It is a Twisted C{CannotListenError} with the usual attributes, for programs that
    embed the server; and a L{StartupError}, so that C{twistd wsplug} ends with one
    line.

    @ivar interface: the address; empty if it isn't known.
    @ivar port: the port, or the path; C{None} if it isn't known.
    @ivar socketError: the error of the system or of the endpoint.
    """

    def __init__(self, message: str, error: BaseException) -> None:
        """
        @param error: the error of the endpoint's C{listen}.
        """
        self.interface: Any = getattr(error, "interface", "")
        self.port: Any = getattr(error, "port", None)
        self.socketError: Any = getattr(error, "socketError", error)
        message = " ".join(message.split())
        # The initializers of the two base classes don't cooperate.
        Exception.__init__(self, message)
        self.code = message

    def __str__(self) -> str:
        return str(self.code)


def explainListening(failure: Failure, name: str) -> None:
    """
    Explain in one line why an endpoint can't be listened on.

    @param failure: from its C{listen}.
    @param name: the endpoint's name in the message.
    @raise ListeningFailed: always.
    """
    error: Any = failure.value
    cause = error
    hint = ""
    if isinstance(error, CannotListenError):
        port: Any = error.port
        hint = explainLock(error)
        cause = error.socketError
        if isinstance(cause, PermissionError) and isinstance(port, int) and port < 1024:
            hint = (
                "; ports below 1024 need root (twistd --uid drops its privileges) or "
                "the capability CAP_NET_BIND_SERVICE"
            )
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    raise ListeningFailed(f"can't listen on {name}: {reason}{hint}", error)
