"""
How much of what was sent a peer has received, as far as the kernel knows.

The kernel buffers megabytes for a connection. So the send buffer alone doesn't show
that a peer reads slowly, but steadily.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from wsplug.transport.below import belowTLS

__all__ = ["AskProgress", "Progress", "progressOf"]


class Progress(NamedTuple):
    """
    How far a peer has come.

    @ivar taken: a number that grows by the bytes that it takes. For TCP it is how many
        it has acknowledged so far, else what it has left, below zero.
    @ivar left: bytes that the kernel holds, and it has not taken yet.
    """

    taken: int
    left: int


AskProgress = Callable[[Any], "Progress | None"]
"""
Says how far the peer of a transport has come; C{None} where nobody knows.
"""

# struct tcp_info of Linux 4.1 and newer (linux/tcp.h): the offset of its
# tcpi_bytes_acked, 64 bits, behind 8 bytes, 24 numbers of 32 bits and two of 64.
_ACKED: Final = 120
_INFO_SIZE: Final = _ACKED + 8


def progressOf(transport: Any) -> Progress | None:
    """
    Ask the kernel, which is Linux.

    @param transport: of TCP, TLS over it, or a UNIX socket.
    @return: C{None} where it doesn't tell.
    """
    if sys.platform != "linux":
        return None
    try:
        handle = belowTLS(transport).getHandle()
        return _ask(handle) if isinstance(handle, socket.socket) else None
    except (AttributeError, OSError, ValueError):
        return None  # it has none, or none any more


def _ask(handle: socket.socket) -> Progress:
    """
    @raise OSError: the kernel doesn't tell.
    @raise ValueError: the socket is closed.
    """
    from fcntl import ioctl
    from termios import TIOCOUTQ

    # SIOCOUTQ, which has the same number.
    (left,) = struct.unpack("i", ioctl(handle, TIOCOUTQ, bytes(4)))
    if handle.family != socket.AF_UNIX:
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        if len(info) == _INFO_SIZE:
            (taken,) = struct.unpack_from("=Q", info, _ACKED)
            return Progress(taken, left)
    return Progress(-left, left)
