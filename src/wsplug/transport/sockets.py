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
Bytes that are read from one connection before others have their turn. They can be
thousands of frames; what is more doesn't make it faster, but has others wait longer.
"""

MAX_BUFFERED_READ: Final = 1024 * 1024
"""
The same, of a large message, whose bytes are read straight into its buffer.
"""

_JOINED_SIZE: Final = 16 * 1024
"""
Pieces of which it is cheaper to make one than to tell the kernel of each.
"""

_MAX_PIECES: Final = 1024
"""
Pieces that the kernel takes in one call (Linux' C{UIO_MAXIOV}).
"""

_buffer: Final = memoryview(bytearray(READ_SIZE))


def receive(source: socket) -> bytes | None:
    """
    Read what is there, up to L{READ_SIZE}, by way of a buffer that all connections
    share: a small message costs no large allocation, a large one few calls.

    @return: no bytes where the peer has ended its half of the connection; C{None}
        where nothing is there.
    @raise OSError: the connection is broken.
    """
    try:
        size = source.recv_into(_buffer)
    except BlockingIOError:
        return None
    return bytes(_buffer[:size])


def receive_into(source: socket, payload: PayloadBuffer) -> int | None:
    """
    Read what is there into the buffer of a payload, up to L{MAX_BUFFERED_READ}.

    @return: how many bytes; 0 and C{None} as L{receive} gives none of them.
    @raise OSError: the connection is broken.
    """
    with payload.rest() as rest, rest[:MAX_BUFFERED_READ] as room:
        try:
            return source.recv_into(room)
        except BlockingIOError:
            return None


def send(target: socket, data: bytes) -> int:
    """
    Send as much as the kernel takes.

    @return: how many bytes it took: 0 also where the connection is broken, which
        reading finds out.
    """
    try:
        return target.send(data)
    except OSError:
        return 0


def send_pieces(target: socket, pieces: list[bytes | memoryview]) -> int:
    """
    Send as much as the kernel takes of some pieces.

    @param pieces: bytes, and views of bytes.
    @return: as L{send} does.
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
    Do the same with as many pieces as the kernel takes; one by one where Python can't
    give it several, as on Windows.
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
