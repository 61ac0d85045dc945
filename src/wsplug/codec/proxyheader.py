"""
The PROXY protocol, versions 1 and 2: a header, in front of the first byte, in which a
TCP proxy describes the client. Sections are those of haproxy's C{proxy-protocol.txt}.

Goal: bytes come in, split anywhere. The result is the content of the header and the
bytes after it, or the reason why the header is invalid.

Invariants: at most L{MAX_SIZE} bytes of a header are kept. A byte that no header can
begin with is refused when it arrives. The result doesn't depend on how the input is
split.

The extensions of version 2 (TLVs) are skipped. That includes the checksum
C{PP2_TYPE_CRC32C}: TCP delivers a trusted proxy's bytes without errors.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from wsplug.codec.hosts import Host, parse_host

__all__ = ["MAX_SIZE", "ProxyHeader", "ProxyHeaderParser"]

MAX_SIZE: Final = 4096
"""
The limit on a header of version 2, in bytes. The format allows 64 KiB, but addresses
take at most 232 bytes, and the extensions in use some hundred more.
"""

_MAX_LINE: Final = 107
"""
The maximum size of a header of version 1, in bytes (section 2.1).
"""

_LINE: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_PREFIX: Final = 16

_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_STREAM: Final = 1

_FAMILIES: Final = {0x00: 0, 0x10: 12, 0x20: 36, 0x30: 216}
"""
The size of the addresses of each family, in bytes: none, IPv4, IPv6, UNIX.
"""

_PORT: Final = rb"(0|[1-9][0-9]{0,4})"
_TCP: Final = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) " + _PORT + b" " + _PORT
)


class ProxyHeader(NamedTuple):
    """
    The content of a header.

    @ivar host: the client's IP address; C{None} if there is none: the proxy connects
        for itself, or for a client without an IP address.
    @ivar port: the client's port, or 0.
    @ivar path: the path of the client's UNIX socket, which can be empty; C{None} for
        other clients.
    """

    host: Host | None = None
    port: int = 0
    path: bytes | None = None

    @property
    def namesClient(self) -> bool:
        """
        Whether the header says who the client is.
        """
        return self.host is not None or self.path is not None


class ProxyHeaderParser:
    """
    Parses the header of one connection.

    @ivar rest: the bytes after the complete header, which the caller takes.
    @ivar begun: whether any byte has arrived.
    """

    __slots__ = ("_buffer", "rest")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.rest = b""

    @property
    def begun(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> ProxyHeader | None:
        """
        Process the next bytes.

        @return: the header, if it is complete; else C{None}.
        @raise ValueError: the header is invalid. The message says why, in ASCII. No
            more bytes may be fed.
        """
        buffer = self._buffer
        buffer += data
        if buffer[:1] == _SIGNATURE[:1]:
            return self._feed_binary()
        start = bytes(buffer[: len(_LINE)])
        if not _LINE.startswith(start):
            raise ValueError("no PROXY header")
        end = buffer.find(b"\r\n", 0, _MAX_LINE)
        if end < 0:
            if len(buffer) >= _MAX_LINE:
                raise ValueError(f"PROXY header of over {_MAX_LINE} bytes")
            return None
        header = _read_line(bytes(buffer[:end]))
        self._end(end + 2)
        return header

    def _feed_binary(self) -> ProxyHeader | None:
        buffer = self._buffer
        if not _SIGNATURE.startswith(buffer[: len(_SIGNATURE)]):
            raise ValueError("no PROXY header")
        if len(buffer) > 12 and buffer[12] not in (_LOCAL, _PROXY):
            raise ValueError(f"PROXY header of unknown version or command {buffer[12]}")
        if len(buffer) < 14:
            return None
        # The family doesn't matter if the proxy connects for itself.
        kind = buffer[13] if buffer[12] == _PROXY else 0
        family, transport = kind & 0xF0, kind & 0x0F
        if family not in _FAMILIES or transport > 2:
            raise ValueError(f"PROXY header of unknown address family {kind}")
        if len(buffer) < _PREFIX:
            return None
        size = _PREFIX + int.from_bytes(buffer[14:16], "big")
        if size > MAX_SIZE:
            raise ValueError(f"PROXY header of over {MAX_SIZE} bytes")
        if size < _PREFIX + _FAMILIES[family]:
            raise ValueError("PROXY header too short for its addresses")
        if len(buffer) < size:
            return None
        header = ProxyHeader()
        # Datagrams are treated as unspecified (section 2.2).
        if transport == _STREAM:
            header = _read_addresses(family, bytes(buffer[_PREFIX:size]))
        self._end(size)
        return header

    def _end(self, size: int) -> None:
        self.rest = bytes(self._buffer[size:])
        self._buffer = bytearray()


def _read_line(line: bytes) -> ProxyHeader:
    """
    Parse a header of version 1, without its line end (section 2.1).

    @raise ValueError: it is malformed.
    """
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader()
    match = _TCP.fullmatch(line)
    if match is None:
        raise ValueError("malformed PROXY header")
    version = int(match[1])
    source, target = (_read_host(match[2], version), _read_host(match[3], version))
    port = int(match[4])
    if source is None or target is None or max(port, int(match[5])) > 65535:
        raise ValueError("malformed address in a PROXY header")
    return ProxyHeader(source, port)


def _read_host(text: bytes, version: int) -> Host | None:
    decoded = text.decode("ascii")
    return parse_host(decoded) if (":" in decoded) == (version == 6) else None


def _read_addresses(family: int, block: bytes) -> ProxyHeader:
    """
    Parse the addresses of a header of version 2: source, destination, and their ports
    (section 2.2).
    """
    if family == 0x10:
        return ProxyHeader(IPv4Address(block[:4]), int.from_bytes(block[8:10], "big"))
    if family == 0x20:
        host = IPv6Address(block[:16])
        port = int.from_bytes(block[32:34], "big")
        return ProxyHeader(host.ipv4_mapped or host, port)
    if family == 0x30:
        # A path ends at its first null byte; an abstract name begins with one.
        name = block[:108]
        return ProxyHeader(path=name.partition(b"\0")[0])
    return ProxyHeader()
