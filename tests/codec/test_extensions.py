"""The Sec-WebSocket-Extensions header (RFC 6455 section 9.1)."""

from __future__ import annotations

import pytest

from wsplug.codec import Extension, extensions, parse_extensions
from wsplug.errors import HandshakeRefused


@pytest.mark.parametrize(
    ("values", "offers"),
    [
        ([], []),
        ([b""], []),
        ([b"foo"], [("foo", [])]),
        ([b"foo, bar; baz=2"], [("foo", []), ("bar", [("baz", "2")])]),
        ([b"foo; a; b=1", b"bar"], [("foo", [("a", None), ("b", "1")]), ("bar", [])]),
        ([b'foo; a="b"'], [("foo", [("a", "b")])]),
        ([b'foo; a="1\\0"'], [("foo", [("a", "10")])]),
        ([b"foo \t;\ta = b , bar"], [("foo", [("a", "b")]), ("bar", [])]),
        ([b"foo; a; a"], [("foo", [("a", None), ("a", None)])]),
        ([b"foo,"], [("foo", [])]),
        ([b"foo, \t"], [("foo", [])]),
        # RFC 9110 section 5.6.1.2: empty elements are ignored.
        ([b","], []),
        ([b" ,\t, "], []),
        ([b", foo"], [("foo", [])]),
        ([b"foo,, bar ,"], [("foo", []), ("bar", [])]),
        ([b",foo; a,,", b",bar"], [("foo", [("a", None)]), ("bar", [])]),
        (
            [b"permessage-deflate; client_max_window_bits, permessage-deflate"],
            [
                ("permessage-deflate", [("client_max_window_bits", None)]),
                ("permessage-deflate", []),
            ],
        ),
    ],
)
def test_good(
    values: list[bytes], offers: list[tuple[str, list[tuple[str, str | None]]]]
) -> None:
    """Valid headers follow the grammar of section 9.1. Several headers are one list."""
    expected = tuple(Extension(name, tuple(pairs)) for name, pairs in offers)
    assert parse_extensions(values) == expected


@pytest.mark.parametrize(
    "value",
    [
        b";",
        b",;",
        b"foo;,bar",
        b"foo;",
        b"foo; ;bar",
        b"foo; a=",
        b"foo; =a",
        b"foo=1",
        b"foo bar",
        b"foo; a=b c",
        b'foo; a="',
        b'foo; a="b',
        b'foo; a=""',
        b'foo; a="b c"',
        b'foo; a="b"c',
        b'"foo"',
        b"foo; a@b",
        b"f\xc3\xb6\xc3\xb6",
        b"foo\x00",
        b'foo; a="\\',
        b"foo/bar",
        b"foo\r\nX: y",
    ],
)
def test_bad(value: bytes) -> None:
    """A header that doesn't follow the grammar fails the handshake (section 9.1)."""
    with pytest.raises(HandshakeRefused) as caught:
        parse_extensions([value])
    assert caught.value.status == 400


def test_headers_do_not_run_together() -> None:
    """An offer ends at the end of its header."""
    with pytest.raises(HandshakeRefused):
        parse_extensions([b"foo;", b"bar"])


def test_what_is_kept_is_bounded() -> None:
    """Parsed offers are cached. Many or long offers don't fill the memory."""
    for number in range(200):
        value = b"foo; a=%d" % number
        again = [parse_extensions([value]) for _ in range(2)]
        assert again == [(Extension("foo", (("a", str(number)),)),)] * 2
    kept = extensions._parse_kept.cache_info()
    assert (kept.currsize, kept.maxsize) == (32, 32)
    before = kept.misses
    assert len(parse_extensions([b"foo," * 100])) == 100
    assert extensions._parse_kept.cache_info().misses == before


def test_bad_each_time() -> None:
    """An invalid offer is refused each time."""
    for _ in range(2):
        with pytest.raises(HandshakeRefused):
            parse_extensions([b"foo;"])
