"""The head of an HTTP/1 request (RFC 9112, RFC 6455 section 4.2.1)."""

from __future__ import annotations

import pytest

from tests.codec.threeways import feed_head, head_all_ways, refused_after
from wsplug.codec import HeadParser, RequestHead
from wsplug.errors import HandshakeRefused

LINE = b"GET /chat HTTP/1.1\r\n"
HOST = b"Host: server.example.com\r\n"

EXAMPLE = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Origin: http://example.com\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
"""RFC 6455 section 1.3."""

TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200))


def head(data: bytes) -> RequestHead:
    """Parse a valid head, in all ways."""
    result = head_all_ways(data)
    assert isinstance(result, RequestHead), result
    return result


def refusal(data: bytes) -> HandshakeRefused:
    """Have an invalid head refused, in all ways."""
    result = head_all_ways(data)
    assert isinstance(result, HandshakeRefused), result
    return result


def test_example() -> None:
    """The handshake of RFC 6455 section 1.3, field by field."""
    result = head(EXAMPLE)
    assert result.raw == EXAMPLE
    assert (result.method, result.target, result.version) == (b"GET", b"/chat", (1, 1))
    assert result.headers == (
        (b"host", b"server.example.com"),
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"origin", b"http://example.com"),
        (b"sec-websocket-protocol", b"chat, superchat"),
        (b"sec-websocket-version", b"13"),
    )
    assert result.body_size == 0


BAD: list[tuple[str, bytes, int]] = [
    ("NUL in a value", LINE + HOST + b"X: a\x00b\r\n\r\n", 400),
    ("escape in a value", LINE + HOST + b"X: \x1b[2J\r\n\r\n", 400),
    ("DEL in a value", LINE + HOST + b"X: \x7f\r\n\r\n", 400),
    ("control byte in a name", LINE + HOST + b"X\x01: a\r\n\r\n", 400),
    ("control byte in the target", b"GET /\x07 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("tab in the target", b"GET /\t HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("two Hosts", LINE + HOST + HOST + b"\r\n", 400),
    ("two Hosts, cased apart", LINE + HOST + b"hOST: b\r\n\r\n", 400),
    ("no Host", LINE + b"X: y\r\n\r\n", 400),
    ("no headers", LINE + b"\r\n", 400),
    ("malformed Host", LINE + b"Host: a b\r\n\r\n", 400),
    ("Host with a path", LINE + b"Host: a/b\r\n\r\n", 400),
    ("Host with a user", LINE + b"Host: a@b\r\n\r\n", 400),
    ("Host with a word for a port", LINE + b"Host: a:http\r\n\r\n", 400),
    ("Host with a quote", LINE + b'Host: a"b\r\n\r\n', 400),
    ("Host in brackets, open", LINE + b"Host: [::1\r\n\r\n", 400),
    ("folded header", LINE + HOST + b"X: a\r\n b\r\n\r\n", 400),
    ("folded with a tab", LINE + HOST + b"X: a\r\n\tb\r\n\r\n", 400),
    ("folded at once", LINE + b" " + HOST + b"\r\n", 400),
    ("bare line feeds", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare line feed in a value", LINE + HOST + b"X: a\nY: b\r\n\r\n", 400),
    ("bare carriage return", LINE + HOST + b"X: a\rY: b\r\n\r\n", 400),
    ("two carriage returns", LINE + HOST + b"\r\r\n\r\n", 400),
    ("whitespace before the colon", LINE + b"Host : a\r\n\r\n", 400),
    ("empty name", LINE + HOST + b": a\r\n\r\n", 400),
    ("no colon", LINE + HOST + b"X\r\n\r\n", 400),
    ("non-ASCII name", LINE + HOST + b"\xc3\xbc: a\r\n\r\n", 400),
    ("non-ASCII in the target", b"GET /\xc3\xbc HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("two spaces", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("space behind the version", b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
    ("no version", b"GET /\r\n\r\n", 400),
    ("lower-case version", b"GET / http/1.1\r\n" + HOST + b"\r\n", 400),
    ("long version", b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", 400),
    ("another protocol", b"GET / RTSP/1.0\r\n" + HOST + b"\r\n", 400),
    ("space in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("HTTP/0.9", b"GET / HTTP/0.9\r\n\r\n", 505),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    ("HTTP/2.0 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("garbage", b"@\xfe hello", 400),
    ("garbage, later", b"GET@ / HTTP/1.1\r\n\x00", 400),
    ("garbage over the limit", b"\xfe" * 20000, 400),
    ("TLS client hello", TLS_HELLO, 400),
    ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 400),
    ("endless method", b"G" * 33, 400),
    (
        "CL and TE",
        LINE + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    ("TE in HTTP/1.0", b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("two CL", LINE + HOST + b"Content-Length: 3\r\ncontent-length: 3\r\n\r\n", 400),
    ("list of CL", LINE + HOST + b"Content-Length: 3, 3\r\n\r\n", 400),
    ("signed CL", LINE + HOST + b"Content-Length: +3\r\n\r\n", 400),
    ("negative CL", LINE + HOST + b"Content-Length: -3\r\n\r\n", 400),
    ("hexadecimal CL", LINE + HOST + b"Content-Length: 0x3\r\n\r\n", 400),
    ("underscored CL", LINE + HOST + b"Content-Length: 1_0\r\n\r\n", 400),
    ("non-ASCII CL", LINE + HOST + b"Content-Length: \xb2\r\n\r\n", 400),
    ("empty CL", LINE + HOST + b"Content-Length:\r\n\r\n", 400),
    (
        "absolute form without a host",
        b"GET http:/// HTTP/1.1\r\n" + HOST + b"\r\n",
        400,
    ),
    ("with a user", b"GET http://u@a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("absolute form without Host", b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
    ("endless CL", LINE + HOST + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n", 400),
    ("TE gzip", LINE + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    ("TE list", LINE + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("empty TE", LINE + HOST + b"Transfer-Encoding: ,\r\n\r\n", 501),
    ("two TE", LINE + HOST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", 501),
]


@pytest.mark.parametrize(
    ("data", "status"), [pytest.param(*case[1:], id=case[0]) for case in BAD]
)
def test_bad(data: bytes, status: int) -> None:
    """RFC 9112 sections 2.2, 3, 5 and 6.3: each invalid head gets its status."""
    result = refusal(data)
    assert result.status == status
    assert result.reason
    assert result.setting is None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (b"X: a\r\n b\r\nY\r\n", "folded header"),
        (b"Y\r\nX: a\r\n b\r\n", "malformed header"),
        (b"X: a\r\n\tY: b\r\n", "folded header"),
        (b"X Y: a\r\n", "malformed header"),
    ],
)
def test_first_bad_line(lines: bytes, reason: str) -> None:
    """RFC 9112 section 5: of several invalid lines, the first is named. A field within
    a line isn't a field."""
    assert refusal(LINE + HOST + lines + b"\r\n").reason == reason


GOOD: list[tuple[str, bytes, bytes, bytes]] = [
    ("absolute form", b"GET http://a/b?c HTTP/1.1\r\n" + HOST, b"GET", b"/b?c"),
    ("without a path", b"GET HTTP://a:80 HTTP/1.1\r\n" + HOST, b"GET", b"/"),
    ("with a query only", b"GET https://a?b HTTP/1.1\r\n" + HOST, b"GET", b"/?b"),
    ("another scheme", b"GET ftp://a/b HTTP/1.1\r\n" + HOST, b"GET", b"ftp://a/b"),
    ("asterisk form", b"OPTIONS * HTTP/1.1\r\n" + HOST, b"OPTIONS", b"*"),
    ("leading line ends", b"\r\n\r\n" + LINE + HOST, b"GET", b"/chat"),
    ("obs-text value", LINE + HOST + b"X: \xfc\xff\x80\r\n", b"GET", b"/chat"),
    ("tab in a value", LINE + HOST + b"X: a\tb\r\n", b"GET", b"/chat"),
    ("IPv6 Host", LINE + b"Host: [2001:db8::1]:9000\r\n", b"GET", b"/chat"),
    ("empty Host", LINE + b"Host:\r\n", b"GET", b"/chat"),
    ("Host with a port", LINE + b"Host: a-b.example:80\r\n", b"GET", b"/chat"),
    ("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n", b"GET", b"/"),
    ("method of one's own", b"M-SEARCH / HTTP/1.1\r\n" + HOST, b"M-SEARCH", b"/"),
    ("longest method", b"G" * 32 + b" / HTTP/1.1\r\n" + HOST, b"G" * 32, b"/"),
]


@pytest.mark.parametrize(
    ("data", "method", "target"), [pytest.param(*case[1:], id=case[0]) for case in GOOD]
)
def test_good(data: bytes, method: bytes, target: bytes) -> None:
    """RFC 9112 section 3 and RFC 9110 section 7.2: unusual, but valid."""
    result = head(data + b"\r\n")
    assert (result.method, result.target) == (method, target)


def test_absolute_form() -> None:
    """RFC 9112 section 3.2.2: the target names the host, and takes precedence over
    Host. The code after the parser sees one form."""
    result = head(b"GET http://a.example:8/b?c HTTP/1.1\r\nX: y \r\n" + HOST + b"\r\n")
    assert result.raw == b"GET /b?c HTTP/1.1\r\nhost: a.example:8\r\nx: y\r\n\r\n"
    assert result.all(b"host") == [b"a.example:8"]
    assert result.items(b"x") == [b"y"]
    result.compact()
    assert result.headers == ((b"host", b"a.example:8"), (b"x", b"y"))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"X:a", b"a"),
        (b"X:", b""),
        (b"X: \t ", b""),
        (b"X: \t a b\t ", b"a b"),
        (b"X: :a:", b":a:"),
        (b"x: \xfc", b"\xfc"),
    ],
)
def test_values(line: bytes, value: bytes) -> None:
    """RFC 9110 section 5.5: whitespace around a value isn't part of it."""
    result = head(LINE + HOST + line + b"\r\n\r\n")
    assert result.headers[1] == (b"x", value)
    assert result.all(b"x") == [value]


def test_compact() -> None:
    """A compact head keeps only its bytes, and gives the same answers."""
    fields = b"X: a, b\r\nY:\t c \r\nx: d\r\n"
    result, other = head(LINE + HOST + fields + b"\r\n"), head(EXAMPLE)
    before = [result.headers, result.all(b"x"), result.items(b"x"), result.all(b"no")]
    result.compact()
    after = [result.headers, result.all(b"x"), result.items(b"x"), result.all(b"no")]
    assert after == before
    assert before[1:] == [[b"a, b", b"d"], [b"a", b"b", b"d"], []]
    assert other.all(b"x") == []


def test_lists() -> None:
    """RFC 9110 section 5.6.1: a list may span several lines, and may have empty
    elements."""
    result = head(LINE + HOST + b"X: a, b,,\r\nY: z\r\nx:\t c ,\r\n\r\n")
    assert result.items(b"x") == [b"a", b"b", b"c"]
    assert result.items(b"none") == []


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        (b"", 0),
        (b"Content-Length: 0\r\n", 0),
        (b"Content-Length: 17\r\n", 17),
        (b"Transfer-Encoding: Chunked\r\n", None),
        (b"Transfer-Encoding: chunked,\r\n", None),
        (b"Transfer-Encoding: , chunked\r\n", None),
        (b"Transfer-Encoding:\r\nTransfer-Encoding: ,chunked ,, \r\n", None),
    ],
)
def test_body_size(fields: bytes, size: int | None) -> None:
    """RFC 9112 section 6.3: how the body's end is found."""
    assert head(b"POST / HTTP/1.1\r\n" + HOST + fields + b"\r\n").body_size == size


class TestLimits:
    """A head over a limit gets a 431, and one within the limits doesn't."""

    def test_size_met(self) -> None:
        """A head of exactly 16 KiB is accepted."""
        start = LINE + HOST + b"X: "
        data = start + b"x" * (16384 - len(start) - 4) + b"\r\n\r\n"
        result, rest, _ = feed_head([data + b"rest"])
        assert isinstance(result, RequestHead)
        assert (len(result.raw), rest) == (16384, b"rest")

    def test_size_passed(self) -> None:
        """A head of one byte more is refused, at the last byte or before."""
        start = LINE + HOST + b"X: "
        data = start + b"x" * (16385 - len(start) - 4) + b"\r\n\r\n"
        for chunks in ([data], [data[:16000], data[16000:]]):
            result, _, _ = feed_head(chunks)
            assert isinstance(result, HandshakeRefused)
            assert (result.status, result.setting) == (431, "max-head-size")
        assert refused_after(data) == 16385

    def test_size_without_end(self) -> None:
        """A head that never ends is refused at the limit."""
        result = head_all_ways(LINE + HOST + b"X: " + b"x" * 500, max_size=200)
        assert isinstance(result, HandshakeRefused)
        assert (result.status, result.setting) == (431, "max-head-size")

    @pytest.mark.parametrize(("count", "status"), [(100, None), (101, 431)])
    def test_headers(self, count: int, status: int | None) -> None:
        """A hundred headers are accepted, and one more isn't."""
        data = LINE + HOST + b"X: y\r\n" * (count - 1) + b"\r\n"
        result, _, _ = feed_head([data])
        if status is None:
            assert isinstance(result, RequestHead)
            assert len(result.headers) == count
        else:
            assert isinstance(result, HandshakeRefused)
            assert (result.status, result.setting) == (status, "max-headers")


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (TLS_HELLO, 1),
        (b"\x00" * 9, 1),
        (b"\xff" * 9, 1),
        (b" GET / HTTP/1.1", 1),
        (b"GET\r\n", 4),
        (b"G@T / HTTP/1.1", 2),
        (b"GE\x00T / HTTP/1.1", 3),
        (b"GET / HTTP/1.1\nHost", 15),
        (LINE + b"X: a\rb", len(LINE) + 6),
        (LINE + b"X: \x00b", len(LINE) + 4),
        (b"G" * 40, 33),
    ],
)
def test_refused_at_the_bad_byte(data: bytes, at: int) -> None:
    """A byte that no head may contain is refused as soon as it arrives."""
    assert refused_after(data) == at


def test_keep_alive() -> None:
    """One parser reads one head after another, and returns what follows each."""
    parser = HeadParser()
    assert parser.begun is False
    first = parser.feed(EXAMPLE + b"GET /2 HT")
    assert isinstance(first, RequestHead)
    assert (first.target, parser.rest, parser.begun) == (b"/chat", b"GET /2 HT", False)
    assert parser.feed(parser.rest) is None
    assert parser.begun is True
    second = parser.feed(b"TP/1.1\r\n" + HOST + b"\r\n\x00\xff")
    assert isinstance(second, RequestHead)
    assert (second.target, parser.rest, parser.begun) == (b"/2", b"\x00\xff", False)
    for octet in b"GET /3 HTTP/1.1\r\n" + HOST + b"\r":
        assert parser.feed(bytes([octet])) is None
    third = parser.feed(b"\n")
    assert isinstance(third, RequestHead)
    assert (third.target, parser.rest) == (b"/3", b"")


def test_behind_the_head_is_anything() -> None:
    """Bytes after a head aren't part of it: frames may follow at once."""
    result, rest, _ = feed_head([EXAMPLE + b"\x81\x80\x00\x01\x02\x03\n"])
    assert isinstance(result, RequestHead)
    assert rest == b"\x81\x80\x00\x01\x02\x03\n"


def test_empty_lines_begin_nothing() -> None:
    """RFC 9112 section 2.2: empty lines between requests belong to no request."""
    parser = HeadParser()
    for octet in b"\r\n\r\n":
        assert parser.feed(bytes([octet])) is None
        assert parser.begun is False


@pytest.mark.parametrize(
    ("data", "method"),
    [
        (b"", b""),
        (b"HEA", b""),
        (b"HEAD /", b"HEAD"),
        (b"\r\nHEAD / HTTP/1.1\r\nBad Name: a\r\n\r\n", b"HEAD"),
        (b"HEAD / HTTP/1.1\nHost: a\n\n", b"HEAD"),
        (b"\x16\x03\x01\x02", b""),
        (b"HEAD\r\n\r\n", b""),
    ],
)
def test_method_of_an_incomplete_head(data: bytes, method: bytes) -> None:
    """The method is known as soon as it has arrived, however the bytes are split."""
    whole, single = HeadParser(), HeadParser()
    whole.feed(data)
    assert whole.method == method
    for number in range(len(data)):
        if single.feed(data[number : number + 1]) is not None:
            break
    assert single.method == method
