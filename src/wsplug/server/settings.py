"""
The server's settings: every limit and timeout, declared once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wsplug.codec.httphead import DEFAULT_MAX_HEAD_SIZE, DEFAULT_MAX_HEADERS
from wsplug.codec.receiver import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_MESSAGE_SIZE
from wsplug.networks import Networks
from wsplug.options import (
    ValueKind,
    boolean,
    count,
    delay,
    integer,
    option,
    optionsOf,
    seconds,
    size,
    threshold,
)
from wsplug.server.verbose import EVERYBODY

__all__ = ["SETTINGS", "Settings"]

_TIMES: Final = "Timeouts"
_LOGINS: Final = "Authentication"
_COMPRESSION: Final = "Compression"
_OPERATION: Final = "Operation"


def _parseClients(value: str) -> tuple[str, ...]:
    if value in (EVERYBODY, "yes"):
        return (EVERYBODY,)
    clients = tuple(filter(None, re.split(r"[\s,]+", value)))
    if value in ("none", "no") or not clients:
        return ()
    try:
        Networks(clients)
    except ValueError:
        raise ValueError(
            "'all', or addresses and networks with commas between them"
        ) from None
    return clients


_clients: Final = ValueKind(
    _parseClients,
    "`all`, `none`, or addresses and networks",
    lambda value: ",".join(value) or "none",
)


@dataclass(frozen=True)
class Settings:
    """
    The limits and timeouts. Times are in seconds; 0 switches a timeout off. Sizes are
    in bytes; L{wsplug.options.UNLIMITED} switches a limit off.
    """

    max_message_size: int = option(
        size,
        DEFAULT_MAX_MESSAGE_SIZE,
        "Bytes in a message, after decompression. A larger message closes the "
        "connection with code 1009.",
    )
    max_fragments: int = option(
        count,
        DEFAULT_MAX_FRAGMENTS,
        "Frames in a message. More close the connection with code 1008.",
    )
    max_head_size: int = option(
        size,
        DEFAULT_MAX_HEAD_SIZE,
        "Bytes in the head of a request. A larger head is refused with 431.",
    )
    max_headers: int = option(
        count,
        DEFAULT_MAX_HEADERS,
        "Headers in a request. More are refused with 431.",
    )
    max_connections: int = option(
        count, 10_000, "Connections at the same time. More are refused with 503."
    )
    max_message_rate: int = option(
        count,
        200,
        "Messages a second on a connection. Ten seconds' worth may come at once; more "
        "closes the connection with code 1008.",
        formerly=("max-messages",),
    )
    max_byte_rate: int = option(
        size,
        1024 * 1024,
        "Bytes a second on a connection. Ten seconds' worth may come at once; more "
        "closes the connection with code 1008.",
        formerly=("max-bytes",),
    )
    max_address_connections: int = option(
        count,
        256,
        "Connections at the same time from one address, or of one user. More are "
        "refused with 429.",
    )
    max_address_handshake_rate: int = option(
        count,
        20,
        "Handshakes a second from one address. Ten seconds' worth may come at once; "
        "more are refused with 429.",
        formerly=("max-address-handshakes",),
    )
    max_address_message_rate: int = option(
        count,
        2000,
        "Messages a second on all connections from one address, or of one user. Ten "
        "seconds' worth may come at once; more closes the connection with code 1008.",
        formerly=("max-address-messages",),
    )
    max_address_byte_rate: int = option(
        size,
        10 * 1024 * 1024,
        "Bytes a second on all connections from one address, or of one user. Ten "
        "seconds' worth may come at once; more closes the connection with code 1008.",
        formerly=("max-address-bytes",),
    )
    max_address_log_rate: int = option(
        count,
        10,
        "Log lines a second about one address. Ten seconds' worth may come at once; "
        "the server counts the others and reports them in one line.",
        formerly=("max-address-log-lines",),
    )
    console: bool = option(
        boolean,
        True,
        "Whether browsers get a page to try an application that has none of its own.",
        group=_OPERATION,
    )
    log_connections: bool = option(
        boolean,
        True,
        "Whether the log has a line for each connection that is accepted, and one for "
        "each that ends.",
        group=_OPERATION,
    )
    verbose: tuple[str, ...] = option(
        _clients,
        (),
        "Clients whose handshakes and frames are logged, with the texts of messages: "
        "192.0.2.7,10.0.0.0/8, or all. --verbose alone means all.",
        group=_OPERATION,
        bare=EVERYBODY,
    )
    cool_down: float = option(
        delay,
        10.0,
        "Seconds for which an address that exceeded a rate is refused new connections "
        "with 429.",
    )
    max_auth_failures: int = option(
        count,
        10,
        "Failed logins a minute from one address. More are refused with 429.",
        group=_LOGINS,
    )
    max_auth_failures_total: int = option(
        count,
        1000,
        "Failed logins with passwords a minute from all addresses. Above it, logins "
        "with passwords are refused with 429.",
        group=_LOGINS,
    )
    open_timeout: float = option(
        seconds,
        10.0,
        "Seconds that the opening handshake may take. A slower client is refused with "
        "408.",
        group=_TIMES,
    )
    close_timeout: float = option(
        seconds,
        5.0,
        "Seconds that the closing handshake may take.",
        group=_TIMES,
    )
    ping_interval: float = option(
        seconds,
        20.0,
        "Seconds of silence after which the server pings a client.",
        group=_TIMES,
    )
    ping_timeout: float = option(
        seconds,
        20.0,
        "Seconds that the answer to a ping may take. Without it, the connection is "
        "dropped.",
        group=_TIMES,
    )
    handler_timeout: float = option(
        seconds,
        300.0,
        "Seconds that an application may take for a message while the next ones wait. "
        "After them, the connection is closed with code 1011.",
        group=_TIMES,
    )
    max_send_buffer: int = option(
        size,
        1024 * 1024,
        "Bytes that may wait for a client that doesn't read. More close the connection "
        "with code 1013.",
        formerly=("send-limit",),
    )
    send_timeout: float = option(
        seconds,
        30.0,
        "Seconds that a client may take to read 128 KiB. A slower one is closed with "
        "code 1013.",
        group=_TIMES,
    )
    max_send_buffer_total: int = option(
        size,
        256 * 1024 * 1024,
        "Bytes that may wait for all clients together. Above it, the connections with "
        "the most bytes waiting are closed with code 1013.",
        formerly=("max-waiting",),
    )
    max_incomplete_total: int = option(
        size,
        256 * 1024 * 1024,
        "Bytes of incomplete messages from all clients together. Above it, the "
        "connections with the largest ones are closed with code 1013.",
        formerly=("max-unfinished",),
    )
    stop_timeout: float = option(
        seconds,
        10.0,
        "Seconds that connections have to close when the server stops, and that each "
        "application has to stop after that.",
        group=_TIMES,
    )
    stall_threshold: float = option(
        seconds,
        0.5,
        "Seconds that an application may block the reactor. Longer ones are logged.",
        group=_TIMES,
    )
    drain_time: float = option(
        delay,
        3.0,
        "Seconds over which a server that stops closes 5000 connections or more. Fewer "
        "take less.",
        group=_TIMES,
    )
    compression: bool = option(
        boolean,
        True,
        "Whether the server accepts permessage-deflate.",
        group=_COMPRESSION,
    )
    compression_level: int = option(
        integer(1, 9),
        6,
        "Compression level: 1 is fastest, 9 is smallest.",
        group=_COMPRESSION,
    )
    compression_min_size: int = option(
        threshold,
        128,
        "Bytes in the smallest message that is compressed.",
        group=_COMPRESSION,
    )
    context_takeover: bool = option(
        boolean,
        False,
        "Whether compression goes on across messages. It makes them smaller, and takes "
        "up to 300 KiB for each connection.",
        group=_COMPRESSION,
    )
    server_max_window_bits: int = option(
        integer(8, 15),
        15,
        "The server's compression window, as a power of two.",
        group=_COMPRESSION,
    )
    client_max_window_bits: int = option(
        integer(8, 15),
        15,
        "The clients' compression window, as a power of two, for clients that support "
        "one.",
        group=_COMPRESSION,
    )


SETTINGS: Final = optionsOf(Settings, "Limits")
"""
The options of L{Settings}.
"""
