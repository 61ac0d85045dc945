"""The body of an HTTP/1.1 request (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsplug.codec import BodyParser
from wsplug.errors import HandshakeRefused

LIMIT = 1000

Result = tuple[bytes | tuple[int, str] | None, bytes]


def read(chunks: Iterable[bytes], size: int | None, limit: int = LIMIT) -> Result:
    """Return the body or the refusal, and the bytes after it."""
    parser = BodyParser(size, limit)
    rest = b""
    result: bytes | HandshakeRefused | None = None
    for chunk in chunks:
        if result is not None:
            rest += chunk
            continue
        result = parser.feed(chunk)
        while result is None and parser.rest:
            result = parser.feed(parser.rest)
        assert parser.received <= limit
        rest = parser.rest
    if isinstance(result, HandshakeRefused):
        assert result.__traceback__ is None
        return (result.status, result.reason), b""
    return result, rest


def octets(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def allWays(data: bytes, size: int | None = None, limit: int = LIMIT) -> Result:
    """Check that the result is the same in one piece, byte by byte, in halves, and with
    a tail. Return it."""
    whole = read([data], size, limit)
    assert read(octets(data), size, limit) == whole
    half = len(data) // 2
    assert read([data[:half], data[half:]], size, limit) == whole
    if isinstance(whole[0], bytes):
        body, rest = whole
        assert read([data + b"tail"], size, limit) == (body, rest + b"tail")
    return whole


RIGHT = [
    pytest.param(b"0\r\n\r\n", b"", id="empty"),
    pytest.param(b"3\r\nabc\r\n0\r\n\r\n", b"abc", id="one"),
    pytest.param(
        b"3\r\nabc\r\n00a\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n", b"abc" + b"x" * 10
    ),
    pytest.param(b"A\r\n" + b"\r\n" * 5 + b"\r\n000\r\n\r\n", b"\r\n" * 5, id="zeros"),
    pytest.param(b'3;a=b\t;c="d\xff"\r\nabc\r\n0 ;x\r\n\r\n', b"abc", id="extensions"),
    pytest.param(b"0\r\nA: b\r\nC:\r\n\r\n", b"", id="trailers"),
    pytest.param(b"1;%b\r\nx\r\n0\r\n\r\n" % (b"e" * 1022), b"x", id="long line"),
    pytest.param(b"0\r\na:%b\r\n\r\n" % (b"e" * 8188), b"", id="long trailer"),
]


@pytest.mark.parametrize(("data", "body"), RIGHT)
def test_chunks(data: bytes, body: bytes) -> None:
    """RFC 9112 section 7.1: chunks give the body, and the bytes after it are left."""
    assert allWays(data) == (body, b"")
    assert allWays(data + b"GET /") == (body, b"GET /")


@pytest.mark.parametrize("size", [1, 5, LIMIT])
def test_sized(size: int) -> None:
    """RFC 9112 section 6.2: the body has exactly this size, whatever its bytes look
    like."""
    data = (b"0\r\n\r\nabc" * size)[:size]
    assert allWays(data, size) == (data, b"")
    assert allWays(data + b"next", size) == (data, b"next")
    assert allWays(data[:-1], size)[0] is None


MALFORMED = "malformed chunk in the request's body"

BAD = [
    (b"\r\n", MALFORMED),
    (b"x", MALFORMED),
    (b"-1\r\n", MALFORMED),
    (b"+1\r\n", MALFORMED),
    (b"0x1\r\n", MALFORMED),
    (b"1_0\r\n", MALFORMED),
    (b" 1\r\n", MALFORMED),
    (b"1 \r\nx\r\n", MALFORMED),
    (b"1\nx\n0\n\n", MALFORMED),
    (b"1\r\r\n", MALFORMED),
    (b"1;\0\r\n", MALFORMED),
    (b"1;a\nb\r\nx\r\n", MALFORMED),
    (b"1;\x7f\r\n", MALFORMED),
    (b"f" * 16 + b"\r\n", MALFORMED),
    (b"1\r\nxy", MALFORMED),
    (b"1\r\nx\n", MALFORMED),
    (b"1\r\nx\rx", MALFORMED),
    (b"1\r\nx0\r\n\r\n", MALFORMED),
    (b"1;" + b"e" * 1023 + b"\r\n", "a chunk's first line is too long"),
    (b"1;" + b"e" * 5000, "a chunk's first line is too long"),
    (b"1" + b" " * 5000, "a chunk's first line is too long"),
    ((b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 5, "over 4096 bytes of chunk extensions"),
    ((b"1" + b" " * 999 + b";\r\nx\r\n") * 5, "over 4096 bytes of chunk extensions"),
    (b"0\r\nno field\r\n\r\n", "malformed trailer of the request's body"),
    (b"0\r\n a: b\r\n\r\n", "malformed trailer of the request's body"),
    (b"0\r\na : b\r\n\r\n", "malformed trailer of the request's body"),
    (b"0\r\na: \0\r\n\r\n", "malformed trailer of the request's body"),
    (b"0\r\na: b\nc: d\r\n\r\n", "malformed trailer of the request's body"),
    (b"0\r\n" + b"a: b\r\n" * 5000, "over 8192 bytes of trailers"),
    (b"0\r\n" + b"a" * 9000, "over 8192 bytes of trailers"),
]


@pytest.mark.parametrize(("data", "reason"), BAD)
def test_malformed(data: bytes, reason: str) -> None:
    """A body that two readers could understand differently is refused, with its
    reason."""
    assert allWays(data) == ((400, reason), b"")


@pytest.mark.parametrize("parts", [[LIMIT + 1], [LIMIT, 1], [1, LIMIT], [1 << 59]])
def test_limit(parts: list[int]) -> None:
    """RFC 9110 section 15.5.14: a chunk that would exceed the limit is refused by its
    size, before its content arrives. With a limit of 0, any chunk is refused."""
    data = b"".join(b"%x\r\n%b\r\n" % (each, b"x" * each) for each in parts[:-1])
    data += b"%x\r\n" % parts[-1]
    reason = f"the request's body is over {LIMIT} bytes"
    assert allWays(data) == ((413, reason), b"")
    assert allWays(data, None, 0)[0] == (413, "no request body is allowed")
    assert allWays(b"0\r\n\r\n", None, 0) == (b"", b"")


STEPS = 1024


@pytest.mark.parametrize(
    ("chunk", "steps", "limit"),
    [(b"1\r\nx\r\n", 1, 5000), (b"001;\r\nx\r\n", 3, 2000)],
)
@pytest.mark.parametrize("cut", [0, 1, 4])
def test_work_of_chunks(chunk: bytes, steps: int, limit: int, cut: int) -> None:
    """One call reads a bounded number of small chunks, as each is as much work as a
    large one. The next call reads on."""
    parser = BodyParser(None, limit)
    parser.feed(chunk[:cut])
    rest = (chunk * limit)[cut:] + b"0\r\n\r\nGET /"
    result = None
    calls = 0
    while result is None:
        before = parser.received
        result = parser.feed(rest)
        rest = parser.rest
        calls += 1
        size = limit if result is not None else parser.received
        assert size - before <= STEPS // steps + 1
    assert (result, rest) == (b"x" * limit, b"GET /")
    assert calls == limit * steps // STEPS + 1


def test_work_of_trailers() -> None:
    """The same holds for the lines of a trailer section."""
    parser = BodyParser(None, LIMIT)
    rest = b"0\r\n" + b"a:\r\n" * 2000 + b"\r\n"
    sizes = []
    while (result := parser.feed(rest)) is None:
        sizes.append(len(rest) - len(parser.rest))
        rest = parser.rest
    assert result == b""
    assert sizes == [3 + 4 * (STEPS - 1)]


def test_nothing_refers_to_itself() -> None:
    """A parser without references is freed at once, without the garbage collector."""
    import gc
    import weakref

    class Watched(BodyParser):
        pass

    gc.disable()
    try:
        parser = Watched(None, LIMIT)
        parser.feed(b"3\r\nab")
        watched = weakref.ref(parser)
        del parser
        assert watched() is None
    finally:
        gc.enable()


def encode(body: bytes, cuts: list[int]) -> bytes:
    """Encode a body as chunks."""
    places = sorted({at % (len(body) + 1) for at in cuts} | {0, len(body)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces if each)


@given(
    st.binary(max_size=60),
    st.lists(st.integers(0, 100), max_size=5),
    st.lists(st.integers(0, 400), max_size=5),
    st.binary(max_size=10),
)
@example(b"", [], [], b"")
def test_any_chunks(
    body: bytes, cuts: list[int], splits: list[int], rest: bytes
) -> None:
    """A body is the same in any chunks, however the input is split."""
    data = encode(body, cuts) + b"0\r\n\r\n" + rest
    places = sorted({at % (len(data) + 1) for at in splits} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert read(pieces, None) == (body, rest)
    assert read([body + rest], len(body)) == (body, rest) or not body


@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes(data: bytes, cut: int) -> None:
    """Any input gives the same result however it is split, and raises nothing."""
    whole = read([data], None)
    assert read(octets(data), None) == whole
    assert read([data[:cut], data[cut:]], None) == whole
