"""
Reads from and writes to a nonblocking socket, with as little as possible around the
system call.

Plain Python uses the socket's methods, the compiled build C{wsplug.transport._sockets}.
"""

from __future__ import annotations

from socket import socket
from typing import Final

from wsplug.build import COMPILED
from wsplug.codec.masking import PayloadBuffer

__all__ = [
    "MAX_BUFFERED_READ",
    "READ_SIZE",
    "receive",
    "receive_into",
    "send",
    "send_pieces",
]

READ_SIZE: Final = 16 * 1024
"""
The bytes that are read from one connection before others get their turn. They can be
thousands of frames. More wouldn't be faster, but would make others wait longer.
"""

MAX_BUFFERED_READ: Final = 1024 * 1024
"""
Likewise, for a large message whose bytes are read directly into its buffer.
"""

_JOINED_SIZE: Final = 16 * 1024
"""
The size in bytes up to which it is cheaper to join pieces than to pass each to the
kernel.
"""

_MAX_PIECES: Final = 1024
"""
The maximum number of pieces that the kernel accepts in one call (Linux: C{UIO_MAXIOV}).
"""

_buffer: Final = memoryview(bytearray(READ_SIZE))


def receive(source: socket) -> bytes | None:
    """
    Read the available bytes, up to L{READ_SIZE}, into a buffer that all connections
    share: a small message needs no large allocation, and a large one few calls.

    @return: the bytes; empty if the peer has ended its output; C{None} if no bytes are
        available.
    @raise OSError: the connection is broken.
    """
    try:
        size = source.recv_into(_buffer)
    except BlockingIOError:
        return None
    return bytes(_buffer[:size])


def receive_into(source: socket, payload: PayloadBuffer) -> int | None:
    """
    Read the available bytes into the buffer of a payload, up to L{MAX_BUFFERED_READ}.

    @return: the number of bytes; 0 if the peer has ended its output; C{None} if no
        bytes are available.
    @raise OSError: the connection is broken.
    """
    with payload.rest() as rest, rest[:MAX_BUFFERED_READ] as room:
        try:
            return source.recv_into(room)
        except BlockingIOError:
            return None


def send(target: socket, data: bytes) -> int:
    """
    Send as much as the kernel accepts.

    @return: the number of accepted bytes. It is also 0 if the connection is broken,
        which a read reports.
    """
    try:
        return target.send(data)
    except OSError:
        return 0


def send_pieces(target: socket, pieces: list[bytes | memoryview]) -> int:
    """
    Send as much of some pieces as the kernel accepts.

    @param pieces: bytes, and views of bytes.
    @return: as for L{send}.
    """
    total = 0
    for first in range(0, len(pieces), _MAX_PIECES):
        some = pieces[first : first + _MAX_PIECES]
        size = sum(map(len, some))
        if size < _JOINED_SIZE:
            sent = send(target, b"".join(some))
        else:
            sent = _gather(target, some)
        total += sent
        if sent < size:
            break
    return total


def _gather(target: socket, pieces: list[bytes | memoryview]) -> int:
    """
    Send as many pieces at once as the kernel accepts. On systems where Python can't
    send several, such as Windows, send them one by one.
    """
    gather = getattr(target, "sendmsg", None)
    if gather is not None:
        try:
            return int(gather(pieces))
        except OSError:
            return 0
    total = 0
    for piece in pieces:
        try:
            sent = target.send(piece)
        except OSError:
            break
        total += sent
        if sent < len(piece):
            break
    return total


if COMPILED:
    from wsplug.transport._sockets import receive, send, send_pieces
