"""
What can't be listened on, and why: in one line.
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

    It is what Twisted raises then, with the same attributes, for whoever has the server
    in a service of their own; and a L{StartupError}, so that C{twistd wsplug} ends with
    one line.

    @ivar interface: the address; empty where it isn't known.
    @ivar port: the port, or the path; C{None} where it isn't known.
    @ivar socketError: what the system, or the endpoint, has raised.
    """

    def __init__(self, message: str, error: BaseException) -> None:
        """
        @param error: what came of the endpoint's C{listen}.
        """
        self.interface: Any = getattr(error, "interface", "")
        self.port: Any = getattr(error, "port", None)
        self.socketError: Any = getattr(error, "socketError", error)
        message = " ".join(message.split())
        # Neither class is made for another one beside it.
        Exception.__init__(self, message)
        self.code = message

    def __str__(self) -> str:
        return str(self.code)


def explainListening(failure: Failure, name: str) -> None:
    """
    Say in one line why an endpoint can't be listened on.

    @param failure: of its C{listen}.
    @param name: what to call it.
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
                "; ports below 1024 take root, who can give the rights up again with "
                "twistd --uid, or the right CAP_NET_BIND_SERVICE"
            )
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    raise ListeningFailed(f"can't listen on {name}: {reason}{hint}", error)
