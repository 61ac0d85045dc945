"""
The server's settings: every limit and timeout, with its default.

The command line, the configuration file, the code that mounts wsplug and the table in
the page of options all take them from here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

from wsplug.codec.httphead import DEFAULT_MAX_HEAD_SIZE, DEFAULT_MAX_HEADERS
from wsplug.codec.receiver import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_MESSAGE_SIZE
from wsplug.options import (
    Kind,
    Option,
    boolean,
    count,
    delay,
    integer,
    seconds,
    size,
    threshold,
)

__all__ = ["SETTINGS", "Settings"]


@dataclass(frozen=True)
class Settings:
    """
    How the server treats its connections. L{SETTINGS} says what each one means; times
    are in seconds and 0 switches one off, sizes are in bytes and
    C{wsplug.options.UNLIMITED} switches one off.
    """

    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    max_fragments: int = DEFAULT_MAX_FRAGMENTS
    max_head_size: int = DEFAULT_MAX_HEAD_SIZE
    max_headers: int = DEFAULT_MAX_HEADERS
    max_connections: int = 10_000
    max_messages: int = 200
    max_bytes: int = 1024 * 1024
    max_address_connections: int = 256
    max_address_handshakes: int = 20
    max_address_messages: int = 2000
    max_address_bytes: int = 10 * 1024 * 1024
    max_address_log_lines: int = 10
    cool_down: float = 10.0
    max_auth_failures: int = 10
    max_auth_failures_total: int = 1000
    open_timeout: float = 10.0
    close_timeout: float = 5.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    handler_timeout: float = 300.0
    send_limit: int = 1024 * 1024
    send_timeout: float = 30.0
    max_waiting: int = 256 * 1024 * 1024
    max_unfinished: int = 256 * 1024 * 1024
    stop_timeout: float = 10.0
    stall_threshold: float = 0.5
    drain_time: float = 3.0
    compression: bool = True
    compression_level: int = 6
    compression_min_size: int = 128
    context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15

    def changed(self, values: dict[str, Any]) -> Settings:
        """
        Give the settings with some changed.

        @param values: by the names of L{SETTINGS}, with dashes; others are passed
            over.
        """
        names = {field.name for field in fields(self)}
        changes = {name.replace("-", "_"): value for name, value in values.items()}
        return replace(
            self, **{name: changes[name] for name in names if name in changes}
        )


_DEFAULTS: Final = Settings()


def _setting(name: str, kind: Any, help: str, shown: str | None = None) -> Option:
    return Option(name, kind, getattr(_DEFAULTS, name.replace("-", "_")), help, shown)


def _time(name: str, help: str, kind: Kind = seconds) -> Option:
    default = getattr(_DEFAULTS, name.replace("-", "_"))
    return _setting(name, kind, help, f"{default:g}")


SETTINGS: Final[tuple[Option, ...]] = (
    _setting(
        "max-message-size",
        size,
        "bytes that a message may have, inflated; over it: close 1009",
        "1MiB",
    ),
    _setting(
        "max-fragments",
        count,
        "frames that a message may come in; over it: close 1008",
    ),
    _setting(
        "max-head-size",
        size,
        "bytes that a request's head may have; over it: 431",
        "16KiB",
    ),
    _setting("max-headers", count, "headers that a request may have; over it: 431"),
    _setting("max-connections", count, "connections at one time; over it: 503"),
    _setting(
        "max-messages",
        count,
        "messages a second on a connection; over ten seconds' worth: close 1008",
    ),
    _setting(
        "max-bytes",
        size,
        "bytes a second on a connection; over ten seconds' worth: close 1008",
        "1MiB",
    ),
    _setting(
        "max-address-connections",
        count,
        "connections at one time from an address, or of a user; over it: 429",
    ),
    _setting(
        "max-address-handshakes",
        count,
        "handshakes a second from an address; over ten seconds' worth: 429",
    ),
    _setting(
        "max-address-messages",
        count,
        "messages a second on all connections from an address, or of a user; over "
        "ten seconds' worth: close 1008",
    ),
    _setting(
        "max-address-bytes",
        size,
        "the same of bytes",
        "10MiB",
    ),
    _setting(
        "max-address-log-lines",
        count,
        "lines a second that are logged about an address; over ten seconds' worth: "
        "counted, and told in one line",
    ),
    _time(
        "cool-down",
        "seconds for which an address that sent too much gets no new connection: 429",
        delay,
    ),
    _setting(
        "max-auth-failures",
        count,
        "failed logins a minute from one address; over it: 429",
    ),
    _setting(
        "max-auth-failures-total",
        count,
        "failed logins with passwords a minute from all addresses; over it: 429 to "
        "passwords",
    ),
    _time("open-timeout", "seconds that a handshake may take; over it: 408"),
    _time("close-timeout", "seconds that a closing handshake may take"),
    _time("ping-interval", "seconds of silence after which a client is pinged"),
    _time("ping-timeout", "seconds that its answer may take; over it: dropped"),
    _time(
        "handler-timeout",
        "seconds for which an application may hold a connection's input before it is "
        "done with a message; over it: close 1011",
    ),
    _setting(
        "send-limit",
        size,
        "bytes that may wait for a client that does not read; over it: close 1013",
        "1MiB",
    ),
    _time(
        "send-timeout",
        "seconds that a client may take to read 128KiB; over it: close 1013",
    ),
    _setting(
        "max-waiting",
        size,
        "bytes that may wait for all clients together; over it, those for whom most "
        "waits: close 1013",
        "256MiB",
    ),
    _setting(
        "max-unfinished",
        size,
        "bytes of messages that are not whole yet, of all clients together; over it, "
        "those with the largest: close 1013",
        "256MiB",
    ),
    _time("stop-timeout", "seconds that connections get to close when the server ends"),
    _time(
        "stall-threshold",
        "seconds that an application may hold the reactor; over it: a line in the log",
    ),
    _time(
        "drain-time",
        "seconds in which 5000 connections or more are told that it ends; fewer: less",
        delay,
    ),
    _setting("compression", boolean, "whether permessage-deflate is agreed on"),
    _setting("compression-level", integer(1, 9), "1 is fastest, 9 is smallest"),
    _setting(
        "compression-min-size", threshold, "messages of fewer bytes are not compressed"
    ),
    _setting(
        "context-takeover",
        boolean,
        "compress across messages: smaller, but up to 300 KiB for each connection",
    ),
    _setting(
        "server-max-window-bits",
        integer(8, 15),
        "size of the server's compression window, as a power of two",
    ),
    _setting(
        "client-max-window-bits",
        integer(8, 15),
        "the same of the clients', of those that can be told",
    ),
)
