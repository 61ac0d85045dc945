"""
How much of the output a peer has received, as far as the kernel knows.

The kernel buffers megabytes for a connection. So the send buffer alone doesn't show
that a peer reads, slowly but steadily.
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
    A peer's progress.

    @ivar taken: a number that grows by the bytes that the peer receives. For TCP, it is
        the number of acknowledged bytes; otherwise, the negative number of bytes that
        are left.
    @ivar left: the bytes in the kernel that the peer has not received yet.
    """

    taken: int
    left: int


AskProgress = Callable[[Any], "Progress | None"]
"""
Returns the progress of a transport's peer; C{None} if it isn't known.
"""

# struct tcp_info of Linux 4.1 and newer (linux/tcp.h): the offset of tcpi_bytes_acked
# (64 bits), after 8 bytes, 24 numbers of 32 bits and two of 64.
_ACKED: Final = 120
_INFO_SIZE: Final = _ACKED + 8


def progressOf(transport: Any) -> Progress | None:
    """
    Ask the kernel (Linux only).

    @param transport: the transport of a TCP, TLS or UNIX connection.
    @return: C{None} if the kernel doesn't say.
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
    @raise OSError: the kernel doesn't say.
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
