"""
What proxies say about clients: X-Forwarded-For, X-Forwarded-Proto, Forwarded (RFC
7239).
"""

from __future__ import annotations

from ipaddress import ip_address
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsplug.codec.forwarded import (
    Hop,
    read_forwarded,
    read_schemes,
    read_x_forwarded_for,
)


def hop(host: str | None = None, port: int = 0, scheme: str | None = None) -> Hop:
    return Hop(None if host is None else ip_address(host), port, scheme)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (b"192.0.2.1", hop("192.0.2.1")),
        (b"192.0.2.1:4711", hop("192.0.2.1", 4711)),
        (b"2001:DB8::1", hop("2001:db8::1")),
        (b"[2001:db8::1]", hop("2001:db8::1")),
        (b"[2001:db8::1]:65535", hop("2001:db8::1", 65535)),
        (b"fe80::1%eth0", hop("fe80::1")),
        (b"::ffff:192.0.2.1", hop("192.0.2.1")),
        (b"[::ffff:192.0.2.1]:80", hop("192.0.2.1", 80)),
        (b"unknown", hop()),
        (b"Unknown", hop()),
        (b"unix:", hop()),
        (b"_hidden", hop()),
        (b"", None),
        (b"localhost", None),
        (b"192.0.2", None),
        (b"192.0.2.256", None),
        (b"192.0.2.01", None),
        (b"192.0.2.1:", None),
        (b"192.0.2.1:65536", None),
        (b"192.0.2.1:x", None),
        (b"192.0.2.1 192.0.2.2", None),
        (b"[192.0.2.1]", None),
        (b"[2001:db8::1", None),
        (b"2001:db8::1]", None),
        (b"[]", None),
        (b"1:2:3", None),
        ("१.2.3.4".encode(), None),
        (b"\xff", None),
    ],
)
def test_x_forwarded_for(element: bytes, expected: Hop | None) -> None:
    """
    All forms that proxies write are understood, and no other forms.
    """
    assert list(read_x_forwarded_for([element])) == [expected]


def test_order() -> None:
    """
    Elements are returned from the last to the first, over all headers. Empty ones are
    malformed.
    """
    values = [b"192.0.2.1,192.0.2.2", b" 192.0.2.3 ,\t", b"192.0.2.4"]
    assert list(read_x_forwarded_for(values)) == [
        hop("192.0.2.4"),
        None,
        hop("192.0.2.3"),
        hop("192.0.2.2"),
        hop("192.0.2.1"),
    ]
    assert list(read_x_forwarded_for([])) == list(read_forwarded([])) == []


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        # RFC 7239 section 4.
        (b'for="_gazonk"', hop()),
        (b'For="[2001:db8:cafe::17]:4711"', hop("2001:db8:cafe::17", 4711)),
        (
            b"for=192.0.2.60;proto=http;by=203.0.113.43",
            hop("192.0.2.60", 0, "http"),
        ),
        (b'for="192.0.2.60:80"', hop("192.0.2.60", 80)),
        (b"for=unknown", hop()),
        (b"for=_SEVKISEK", hop()),
        (b'for="192.0.2.60:_port"', hop("192.0.2.60")),
        (b'FOR="192.0.2.60";Proto=HTTPS', hop("192.0.2.60", 0, "https")),
        (
            b'proto=https;host="a,b;c=\\"d\\"";for=192.0.2.60',
            hop("192.0.2.60", 0, "https"),
        ),
        (b"proto=https", hop(None, 0, "https")),
        (b"by=192.0.2.60", hop()),
        # What is not the RFC's, but means one thing only.
        (b"for=192.0.2.60:80 ; proto=https", hop("192.0.2.60", 80, "https")),
        (b"for=[2001:db8::1]", hop("2001:db8::1")),
        (b"for=192.0.2.60;", hop("192.0.2.60")),
        (b'for="192.0.2.6\\0"', hop("192.0.2.60")),
        # What is nothing.
        (b"", None),
        (b";", None),
        (b"for", None),
        (b"for=", None),
        (b'for=""', None),
        (b'for="192.0.2.60', None),
        (b"for=192.0.2.60 proto=http", None),
        (b"for=192.0.2.60;for=192.0.2.61", None),
        (b"for = 192.0.2.60", None),
        (b"for=2001:db8::1", None),
        (b'for="2001:db8::1"', None),
        (b"for=192.0.2.60;proto=", None),
        (b'for=192.0.2.60;proto="a b"', None),
        (b"for=unix:", None),
        (b"192.0.2.60", None),
    ],
)
def test_forwarded(element: bytes, expected: Hop | None) -> None:
    """
    All forms of the RFC are understood, in any case, quoted or not, and no other forms.
    """
    assert list(read_forwarded([element])) == [expected]


def test_forwarded_order() -> None:
    """
    Elements are returned from the last to the first, over all headers. Commas within
    quotes don't separate.
    """
    values = [b'for=192.0.2.1, host="a, for=192.0.2.9";for=192.0.2.2', b"for=192.0.2.3"]
    assert list(read_forwarded(values)) == [
        hop("192.0.2.3"),
        hop("192.0.2.2"),
        hop("192.0.2.1"),
    ]


@pytest.mark.parametrize(
    "made_up",
    [
        b'for="192.0.2.9',
        b"for=192.0.2.9\\",
        b'for="192.0.2.9\\',
        b'"\\"\\\\"',
        b",,,",
        b";",
        b'for=192.0.2.9;host="',
    ],
)
def test_what_is_left_of_an_element(made_up: bytes) -> None:
    """
    What a client sends in front of the proxy's element doesn't change that element: no
    open quote includes it, and no backslash escapes its comma.
    """
    values = [made_up + b", for=192.0.2.1;proto=https"]
    assert next(read_forwarded(values)) == hop("192.0.2.1", 0, "https")
    values = [made_up + b', for="192.0.2.1";by="a\\",b"']
    assert next(read_forwarded(values)) == hop("192.0.2.1")


@given(st.binary(max_size=60))
def test_anything_to_the_left(made_up: bytes) -> None:
    """
    Likewise for any bytes.
    """
    element = b', for="192.0.2.1:80";host="a\\",for=192.0.2.9"'
    assert next(read_forwarded([made_up + element])) == hop("192.0.2.1", 80)
    assert next(read_x_forwarded_for([made_up + b",192.0.2.1"])) == hop("192.0.2.1")


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_anything(values: list[bytes]) -> None:
    """
    No input raises.
    """
    for read in (read_x_forwarded_for, read_forwarded):
        for each in read(values):
            assert each is None or 0 <= each.port < 65536
    read_schemes(values)


def test_schemes() -> None:
    """
    Schemes are returned from the last to the first, in lower case.
    """
    values = [b"HTTPS, http", b"wss,"]
    assert read_schemes(values) == [None, "wss", "http", "https"]
    assert read_schemes([]) == []


@pytest.mark.parametrize("octets", [b'"', b"\\", b'\\"', b",", b"for=1.2.3.4,"])
def test_linear(octets: bytes) -> None:
    """
    A whole head of any bytes is parsed quickly.
    """
    value = octets * (16384 // len(octets))
    start = perf_counter()
    next(read_forwarded([value]))
    next(read_x_forwarded_for([value]))
    assert perf_counter() - start < 0.5
