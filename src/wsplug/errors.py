"""
Every error that wsplug raises or reports.

::

    WSPlugError
    ├── PeerError               the peer did it; never an application's fault
    │   ├── HandshakeRefused    carries the HTTP status that answers it
    │   └── ProtocolViolation   carries the close code that answers it
    ├── ConnectionClosed        why a connection ended; what connectionLost gets
    ├── BrokerError             a channel can't be published to or read
    │   └── PublicationTooLarge its publisher's fault: it is more than may be kept
    └── ConfigurationError      the operator did it; one line says how to mend it
        ├── UnknownApplication  C{--app} names what is not there
        ├── PluginFailed        C{--app} names what is there and does not load
        ├── InvalidOption       an option or its value is wrong
        └── StartupError        right in itself, but the machine says no

Only the standard library is imported here, since the codec uses these too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

__all__ = [
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
    "UnknownApplication",
    "WSPlugError",
]


class WSPlugError(Exception):
    """
    The root of all errors that are wsplug's own.
    """


class PeerError(WSPlugError):
    """
    The peer broke a rule.

    @ivar reason: what it did, for a person, in ASCII.
    @ivar setting: the name of the setting that set the limit it ran into
        (C{"max-message-size"}), or C{None} where the rule is the protocol's own.
    """

    reason: str
    setting: str | None


_HEADER_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE: Final = re.compile(rb"[^\x00\r\n]*")


def _checkTypes(
    status: object, reason: object, headers: Iterable[object], body: object
) -> None:
    """
    Raise C{TypeError} where no response can be made of these.
    """
    if not isinstance(status, int):
        raise TypeError(f"an HTTP status is an int, not {type(status).__name__}")
    if not isinstance(reason, str):
        raise TypeError(f"a refusal's reason is a str, not {type(reason).__name__}")
    if body is not None and not isinstance(body, bytes):
        raise TypeError(f"a refusal's body is bytes, not {type(body).__name__}")
    for pair in headers:
        if not (
            isinstance(pair, Sequence)
            and len(pair) == 2
            and all(isinstance(each, bytes) for each in pair)
        ):
            raise TypeError(f"a refusal's header is two bytes objects, not {pair!r}")


class HandshakeRefused(PeerError):
    """
    A request to upgrade gets an HTTP error instead.

    Applications raise this from C{buildProtocol} to turn a client away.
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
        @param reason: why, for a person: it goes into the log and, where no
            C{body} is given, to the client as plain text.
        @param headers: further response headers, as raw names and values.
        @param body: the response's whole body; say its C{Content-Type} in
            C{headers}.
        @param setting: the name of the setting behind the refusal.
        @raise ValueError: the status is none that can refuse a request, or a header's
            name or value is none (RFC 9110 section 5).
        @raise TypeError: one of them is of another type. It is the application's
            mistake, told where it is made, and not while the refusal is sent.
        """
        pairs: tuple[Any, ...]
        pairs = tuple(headers) if isinstance(headers, Iterable) else (headers,)
        _checkTypes(status, reason, pairs, body)
        if not 300 <= status <= 599:
            raise ValueError(f"an HTTP status from 300 to 599 refuses, not {status}")
        for name, value in pairs:
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name!r}: {value!r} is no header")
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
    What the peer sent after the handshake breaks RFC 6455, RFC 7692 or a limit.
    """

    def __init__(self, code: int, reason: str, setting: str | None = None) -> None:
        """
        @param code: the close code that answers it (RFC 6455 section 7.4.1).
        @param reason: at most 123 bytes of ASCII: it goes on the wire.
        @param setting: the name of the setting that set the limit.
        """
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.setting = setting

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


class Side(str, Enum):
    """
    Who ended a connection.
    """

    PEER = "peer"
    """The client sent its close frame first, or went away without one."""

    SERVER = "server"
    """wsplug did: a broken rule, a limit, a timeout, or the server's stop."""

    APPLICATION = "application"
    """The application asked for it, or raised."""

    def __str__(self) -> str:
        return self.value


class ConnectionClosed(WSPlugError):
    """
    Why a WebSocket connection ended: the value of the C{Failure} that an
    application's C{connectionLost} gets.

    @ivar code: the close code (RFC 6455 section 7.1.5): the peer's where it closed
        first, ours where we did; 1005 where a close frame carried none, 1006 where
        the connection ended without a close frame.
    @ivar reason: the text that goes with the code; where none was sent, what wsplug
        knows.
    @ivar side: who ended it.
    @ivar setting: the name of the setting that ended it (C{"ping-timeout"}), or
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
        # A member of an enumeration would be text of its own kind on Python 3.10.
        self.code = int(code)
        self.reason = reason
        self.side = side
        self.setting = setting
        self.clean = clean

    def __str__(self) -> str:
        by = f"by the {self.side}" + ("" if self.clean else ", without a handshake")
        setting = f" ({self.setting})" if self.setting else ""
        reason = f": {_printable(self.reason)}" if self.reason else ""
        return f"closed {by}, {self.code}{reason}{setting}"


def _printable(text: str) -> str:
    """
    Escape what could play tricks on whoever reads the log.
    """
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text
    )


class BrokerError(WSPlugError):
    """
    A channel can't be published to or read: the disk is full, or more waits to be
    stored than may. Nothing of it has happened.
    """


class PublicationTooLarge(BrokerError):
    """
    What is to be stored is by itself more than a channel keeps. It can be published
    without being stored.
    """

    def __init__(self, channel: str, size: int, most: int) -> None:
        """
        @param size: of the publication, in bytes.
        @param most: that may be stored.
        """
        super().__init__(channel, size, most)
        self.channel = channel
        self.size = size
        self.most = most

    def __str__(self) -> str:
        return (
            f"{self.channel}: {self.size} bytes; a publication that is kept may have "
            f"{self.most}"
        )


class ConfigurationError(WSPlugError):
    """
    The configuration can't be served. The message is one line that names the thing
    and the way out.
    """


class UnknownApplication(ConfigurationError):
    """
    No application goes by that name, in that file or at that place.
    """


class PluginFailed(ConfigurationError):
    """
    An application's plugin, file or module is there, but doesn't load.
    """


class InvalidOption(ConfigurationError):
    """
    An option is unknown, missing, or has a value it can't have.
    """


class StartupError(ConfigurationError, SystemExit):
    """
    The configuration is right, but the server can't start: a port is in use, a
    certificate can't be read, an application's C{startApplication} failed.

    It is a C{SystemExit} so that C{twistd}, which lets exceptions of a starting
    service through to the interpreter, ends with the message as one line on standard
    error and exit status 1 instead of a traceback; and it is an C{Exception} so that
    a daemonizing C{twistd} passes the message on to the waiting parent process.
    """

    def __init__(self, message: str) -> None:
        message = " ".join(message.split())  # others' errors may have several lines
        super().__init__(message)
        self.code = message
