"""
The header of the PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt).
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsplug.codec.proxyheader import MAX_SIZE, ProxyHeader, ProxyHeaderParser

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IPV4 = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + b"\x12\x34\x00\x50"
IPV6 = ip_address("2001:db8::1").packed + ip_address("::2").packed + b"\x00\x07\x00\x50"
UNIX = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")
TAIL = b"\x16\x03\r\nPROXY"


def binary(command: int, family: int, block: bytes = b"", size: int = -1) -> bytes:
    length = size if size >= 0 else len(block)
    return SIGNATURE + bytes([command, family]) + length.to_bytes(2, "big") + block


def read(pieces: list[bytes]) -> tuple[ProxyHeader | str | None, bytes]:
    """
    Feed pieces until the header is there or refused.

    @return: it, or why it is none; and what is behind it.
    """
    parser = ProxyHeaderParser()
    for index, piece in enumerate(pieces):
        try:
            header = parser.feed(piece)
        except ValueError as error:
            return str(error), b""
        if header is not None:
            return header, parser.rest + b"".join(pieces[index + 1 :])
    return None, b""


def all_ways(data: bytes) -> tuple[ProxyHeader | str | None, bytes]:
    """
    Read the same bytes whole, byte by byte and cut once. The results must be the same.
    """
    result = read([data])
    assert read([data[at : at + 1] for at in range(len(data))]) == result
    for cut in range(0, len(data), 1 + len(data) // 20):
        assert read([data[:cut], data[cut:]]) == result
    return result


@pytest.mark.parametrize(
    ("data", "host", "port"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", "192.0.2.1", 4660),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 0 65535\r\n", "192.0.2.1", 0),
        (b"PROXY TCP6 2001:db8::1 ::2 7 80\r\n", "2001:db8::1", 7),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::2 7 80\r\n", "192.0.2.1", 7),
        (binary(0x21, 0x11, IPV4), "192.0.2.1", 0x1234),
        (binary(0x21, 0x21, IPV6), "2001:db8::1", 7),
        (binary(0x21, 0x11, IPV4 + b"\x03\x00\x04abcd"), "192.0.2.1", 0x1234),
        (
            binary(0x21, 0x11, IPV4.ljust(MAX_SIZE - 16, b"\x04")),
            "192.0.2.1",
            0x1234,
        ),
    ],
)
def test_clients(data: bytes, host: str, port: int) -> None:
    """
    Both versions name the client. Extensions are skipped, and no byte after the header
    is lost.
    """
    expected = ProxyHeader(ip_address(host), port)
    assert all_ways(data) == (expected, b"")
    assert all_ways(data + TAIL) == (expected, TAIL)


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
        b"PROXY UNKNOWN \xff\x00\r\n",
        binary(0x20, 0x00),
        binary(0x20, 0x11, IPV4),
        binary(0x20, 0xFF, b"whatever"),
        binary(0x21, 0x00),
        binary(0x21, 0x00, b"whatever"),
        binary(0x21, 0x01),
        binary(0x21, 0x10, IPV4),
        binary(0x21, 0x12, IPV4),
        binary(0x21, 0x32, UNIX),
    ],
)
def test_nobody(data: bytes) -> None:
    """
    Health checks, and clients of a kind that has no address.
    """
    assert all_ways(data + TAIL) == (ProxyHeader(), TAIL)


def test_unix() -> None:
    """
    A client that reached the proxy through a UNIX socket.
    """
    assert all_ways(binary(0x21, 0x31, UNIX))[0] == ProxyHeader(path=b"/run/a")
    assert all_ways(binary(0x21, 0x31, bytes(216)))[0] == ProxyHeader(path=b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n", "no PROXY header"),
        (b"\x16\x03\x01", "no PROXY header"),
        (b"proxy TCP4", "no PROXY header"),
        (b"PROXYTCP4", "no PROXY header"),
        (b"\r\nPROXY TCP4", "no PROXY header"),
        (b"\r\n\r\n\x00\r\nQUIT\r", "no PROXY header"),
        (b"PROXY\r\n", "no PROXY header"),
        (b"PROXY \r\n", "malformed PROXY header"),
        (b"PROXY TCP4\r\n", "malformed PROXY header"),
        (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "malformed PROXY header"),
        (b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "malformed PROXY header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "malformed PROXY header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n", "malformed PROXY header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "malformed PROXY header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n", "malformed PROXY header"),
        (b"PROXY UNKNOWNS\r\n", "malformed PROXY header"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "malformed address"),
        (b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "malformed address"),
        (b"PROXY TCP4 ::1 ::2 1 2\r\n", "malformed address"),
        (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "malformed address"),
        (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "over 107 bytes"),
        (b"PROXY " + b"x" * 500, "over 107 bytes"),
        (binary(0x11, 0x11, IPV4), "version or command 17"),
        (binary(0x22, 0x11, IPV4), "version or command 34"),
        (binary(0x21, 0x41, IPV4), "address family 65"),
        (binary(0x21, 0x13, IPV4), "address family 19"),
        (binary(0x21, 0x11, IPV4[:-1]), "too short"),
        (binary(0x21, 0x21, IPV4), "too short"),
        (binary(0x21, 0x31, UNIX[:-1]), "too short"),
        (binary(0x21, 0x11, b"", MAX_SIZE - 15), "over 4096 bytes"),
        (binary(0x20, 0x00, b"", 65535), "over 4096 bytes"),
    ],
)
def test_wrong(data: bytes, words: str) -> None:
    """
    An invalid header is refused with the reason, as early as possible.
    """
    reason, _ = all_ways(data)
    assert isinstance(reason, str)
    assert words in reason
    assert all_ways(data + TAIL) == (reason, b"")


def test_longest_line() -> None:
    """
    A line may have 107 bytes, and a parser keeps no more.
    """
    line = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(line) == 107
    assert all_ways(line) == (ProxyHeader(), b"")


@pytest.mark.parametrize(
    "data",
    [b"", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r", binary(0x21, 0x21, IPV6)[:-1]],
)
def test_not_yet(data: bytes) -> None:
    """
    The parser waits while the input may become a header.
    """
    assert all_ways(data) == (None, b"")


@given(
    st.one_of(
        st.binary(max_size=80),
        st.binary(max_size=120).map(lambda data: b"PROXY " + data),
        st.builds(
            binary, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=240)
        ),
    )
)
def test_anything(data: bytes) -> None:
    """
    The result doesn't depend on the cut, and no other error is raised.
    """
    all_ways(data)
