"""
Every error that wsplug raises or reports.

::

    WSPlugError
    ├── PeerError               the peer broke a rule
    │   ├── HandshakeRefused    has the HTTP status of the response
    │   └── ProtocolViolation   has the close code of the response
    ├── ConnectionClosed        why a connection ended; for connectionLost
    ├── BrokerError             a channel can't be published to or read
    │   └── PublicationTooLarge the publication exceeds what a channel keeps
    └── ConfigurationError      the configuration is wrong; one line tells the fix
        ├── UnknownApplication  C{--app} names an application that doesn't exist
        ├── PluginFailed        C{--app} names an application that doesn't load
        ├── InvalidOption       an option or its value is wrong
        └── StartupError        the configuration is right; the system refuses it

Nothing of Twisted's is imported here, because the codec uses these errors, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

from wsplug.printable import escapeUnprintable

__all__ = [
    "OPERATOR",
    "BrokerError",
    "ConfigurationError",
    "ConnectionClosed",
    "HandshakeRefused",
    "InvalidOption",
    "PeerError",
    "PluginFailed",
    "ProtocolViolation",
    "PublicationTooLarge",
    "Side",
    "StartupError",
    "StoreFull",
    "UnknownApplication",
    "WSPlugError",
]


class WSPlugError(Exception):
    """
    The base class of wsplug's errors.
    """


class PeerError(WSPlugError):
    """
    The peer broke a rule.

    @ivar reason: what it did, for a person, in ASCII.
    @ivar setting: the name of the setting with the limit that it exceeded
        (C{"max-message-size"}); C{None} if it broke a rule of the protocol.
    """

    reason: str
    setting: str | None


_HEADER_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE: Final = re.compile(rb"[^\x00\r\n]*")


def _checkTypes(
    status: object, reason: object, headers: Iterable[object], body: object
) -> None:
    """
    Raise C{TypeError} if the arguments can't make a response.
    """
    if not isinstance(status, int):
        raise TypeError(f"an HTTP status must be an int, not {type(status).__name__}")
    if not isinstance(reason, str):
        raise TypeError(
            f"a refusal's reason must be a str, not {type(reason).__name__}"
        )
    if body is not None and not isinstance(body, bytes):
        raise TypeError(f"a refusal's body must be bytes, not {type(body).__name__}")
    for pair in headers:
        if not (
            isinstance(pair, Sequence)
            and len(pair) == 2
            and all(isinstance(each, bytes) for each in pair)
        ):
            raise TypeError(
                f"a refusal's header must be two bytes objects, not {pair!r}"
            )


class HandshakeRefused(PeerError):
    """
    A handshake is refused with an HTTP status.

    Raise it from C{buildProtocol} to turn a client away.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes | None = None,
        setting: str | None = None,
    ) -> None:
        """
        @param status: the HTTP status, 300 to 599.
        @param reason: why, for a person. It is logged and, if there is no C{body},
            sent to the client as plain text.
        @param headers: additional response headers, as raw names and values.
        @param body: the whole body of the response. Give its C{Content-Type} in
            C{headers}.
        @param setting: the name of the setting behind the refusal.
        @raise ValueError: the status isn't one that refuses a request, or a header's
            name or value is invalid (RFC 9110 section 5).
        @raise TypeError: an argument has the wrong type. It is raised here so that the
            traceback leads to the mistake.
        """
        pairs: tuple[Any, ...]
        pairs = tuple(headers) if isinstance(headers, Iterable) else (headers,)
        _checkTypes(status, reason, pairs, body)
        if not 300 <= status <= 599:
            raise ValueError(
                f"the HTTP status of a refusal must be from 300 to 599, not {status}"
            )
        for name, value in pairs:
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name!r}: {value!r} is not a valid header")
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = pairs
        self.body = body
        self.setting = setting

    def __str__(self) -> str:
        setting = f" ({self.setting})" if self.setting else ""
        return f"{self.status} {self.reason}".rstrip() + setting


class ProtocolViolation(PeerError):
    """
    The peer violated RFC 6455, RFC 7692 or a limit after the handshake.
    """

    def __init__(self, code: int, reason: str, setting: str | None = None) -> None:
        """
        @param code: the close code that answers it (RFC 6455 section 7.4.1).
        @param reason: the close reason: at most 123 bytes of ASCII.
        @param setting: the name of the setting with the limit.
        """
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.setting = setting

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


OPERATOR: Final = "operator"
"""
The name in place of a setting's if an operator has ended or refused a connection.
"""


class Side(str, Enum):
    """
    Who ended a connection.
    """

    PEER = "peer"
    """The client: it sent its close frame first, or disconnected without one."""

    SERVER = "server"
    """wsplug: for a violation, a limit, a timeout, an operator, or at its stop."""

    APPLICATION = "application"
    """The application: it closed the connection, or failed."""

    def __str__(self) -> str:
        return self.value


class ConnectionClosed(WSPlugError):
    """
    Why a WebSocket connection ended. C{connectionLost} gets it as the value of a
    C{Failure}.

    @ivar code: the close code (RFC 6455 section 7.1.5): the peer's if it closed first,
        otherwise the server's; 1005 if the close frame had none, 1006 if the connection
        ended without a close frame.
    @ivar reason: the close reason; if none was sent, what wsplug knows.
    @ivar side: who ended the connection.
    @ivar setting: the name of the setting that caused it (C{"ping-timeout"}), or
        C{None}.
    @ivar clean: whether both close frames were exchanged (section 7.1.4).
    """

    def __init__(
        self,
        code: int,
        reason: str,
        side: Side,
        setting: str | None = None,
        clean: bool = False,
    ) -> None:
        super().__init__(code, reason, side, setting, clean)
        # On Python 3.10, str() of an enumeration's member gives its name.
        self.code = int(code)
        self.reason = reason
        self.side = side
        self.setting = setting
        self.clean = clean

    def __str__(self) -> str:
        by = f"by the {self.side}" + ("" if self.clean else ", without a handshake")
        setting = f" ({self.setting})" if self.setting else ""
        reason = f": {escapeUnprintable(self.reason)}" if self.reason else ""
        return f"closed {by}, {self.code}{reason}{setting}"


class BrokerError(WSPlugError):
    """
    A channel can't be published to or read: for instance, the disk is full, or too much
    waits to be stored. The operation had no effect.
    """


class PublicationTooLarge(BrokerError):
    """
    A publication alone exceeds what a channel keeps. You can publish it without storing
    it.
    """

    def __init__(self, channel: str, size: int, most: int) -> None:
        """
        @param size: the publication's size, in bytes.
        @param most: the maximum size, in bytes.
        """
        super().__init__(channel, size, most)
        self.channel = channel
        self.size = size
        self.most = most

    def __str__(self) -> str:
        return (
            f"{self.channel}: {self.size} bytes; a stored publication may have at most "
            f"{self.most}"
        )


class StoreFull(BrokerError):
    """
    A value doesn't fit into an application's store any more. The store is unchanged.
    """

    def __init__(self, key: str, size: int, most: int) -> None:
        """
        @param size: the value's size, in bytes.
        @param most: bytes that the application's keys and values may have together.
        """
        super().__init__(key, size, most)
        self.key = key
        self.size = size
        self.most = most

    def __str__(self) -> str:
        return (
            f"{self.key}: {self.size} bytes don't fit; an application's store has at "
            f"most {self.most}"
        )


class ConfigurationError(WSPlugError):
    """
    The configuration is wrong. The message is one line that names the problem and the
    fix.
    """


class UnknownApplication(ConfigurationError):
    """
    There is no application with that name, or in that file or module.
    """


class PluginFailed(ConfigurationError):
    """
    An application's plugin, file or module exists, but doesn't load.
    """


class InvalidOption(ConfigurationError):
    """
    An option is unknown or missing, or has an invalid value.
    """


class StartupError(ConfigurationError, SystemExit):
    """
    The configuration is right, but the server can't start: a port is in use, a
    certificate can't be read, an application's C{startApplication} failed.

    It is a C{SystemExit} so that C{twistd} ends with the message as one line on
    standard error and exit status 1, instead of a traceback. It is an C{Exception} so
    that a daemonizing C{twistd} passes the message to the waiting parent process.
    """

    def __init__(self, message: str) -> None:
        message = " ".join(message.split())  # wrapped errors may have several lines
        super().__init__(message)
        self.code = message
