"""
One input, fed in every way that a network may cut it.

What a parser makes of its input must not depend on how the input arrives: each case
runs whole, byte by byte and with a tail behind it, and the ways must agree. The
frames that go in are made here and not by the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsplug.codec import (
    HeadParser,
    Inflater,
    MessageReceiver,
    RequestHead,
)
from wsplug.errors import HandshakeRefused, ProtocolViolation

KEY = b"\x37\xfa\x21\x3d"
"""The mask of RFC 6455's examples (section 5.7)."""

EventTuple = tuple[Any, ...]
InflaterMaker = Callable[[], Inflater]


class Recorder:
    """
    A sink that records what it gets.
    """

    def __init__(self) -> None:
        self.events: list[EventTuple] = []

    def text_received(self, message: str) -> None:
        self.events.append(("text", message))

    def binary_received(self, message: bytes) -> None:
        assert type(message) is bytes
        self.events.append(("binary", message))

    def ping_received(self, payload: bytes) -> None:
        assert type(payload) is bytes
        self.events.append(("ping", payload))

    def pong_received(self, payload: bytes) -> None:
        assert type(payload) is bytes
        self.events.append(("pong", payload))

    def close_received(self, code: int, reason: str) -> None:
        self.events.append(("close", code, reason))

    def fragments_received(self, count: int) -> None:
        self.events.append(("fragments", count))

    def violation_received(self, violation: ProtocolViolation) -> None:
        self.events.append(
            ("violation", int(violation.code), violation.reason, violation.setting)
        )


def xor(payload: bytes, key: bytes = KEY) -> bytes:
    """Mask as RFC 6455 section 5.3 describes it, one octet at a time."""
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(payload))


def frame(
    first: int,
    payload: bytes = b"",
    *,
    key: bytes | None = KEY,
    form: int | None = None,
    declared: int | None = None,
) -> bytes:
    """
    Make a frame by RFC 6455 section 5.2, right or wrong.

    @param key: C{None} for a frame that is not masked.
    @param form: 7, 16 or 64: how wide the length is written.
    @param declared: the length to write, where it is not the payload's.
    """
    size = len(payload) if declared is None else declared
    if form is None:
        form = 7 if size < 126 else 16 if size < 65536 else 64
    bit = 0 if key is None else 128
    if form == 7:
        header = bytes([first, bit + size])
    elif form == 16:
        header = bytes([first, bit + 126]) + size.to_bytes(2, "big")
    else:
        header = bytes([first, bit + 127]) + size.to_bytes(8, "big")
    if key is None:
        return header + payload
    return header + key + xor(payload, key)


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Cut data at some positions. Empty pieces are kept."""
    start = 0
    for cut in sorted(cuts):
        yield data[start:cut]
        start = cut
    yield data[start:]


def ways(data: bytes) -> Iterator[list[bytes]]:
    """The ways in which an input is fed: the first is whole, the next in bytes."""
    yield [data]
    yield [bytes([octet]) for octet in data]
    yield [b"", *pieces(data, [1, 1]), b""]
    for cut in (2, 3, 5, 6, 7, 9, 13, 14, 15, len(data) // 2, len(data) - 1):
        if 0 < cut < len(data):
            yield list(pieces(data, [cut]))
    for step in (2, 3, 7, 126):
        if step < len(data):
            yield list(pieces(data, range(step, len(data), step)))


def receive(
    chunks: Iterable[bytes],
    *,
    limit: int = 1000,
    inflater: InflaterMaker | None = None,
    from_client: bool = True,
) -> list[EventTuple]:
    """Feed a new receiver, and return what its sink got."""
    sink = Recorder()
    receiver = MessageReceiver(
        sink,
        max_message_size=limit,
        inflater=inflater() if inflater else None,
        from_client=from_client,
    )
    for chunk in chunks:
        receiver.feed(chunk)
    return sink.events


def receive_all_ways(
    data: bytes,
    *,
    limit: int = 1000,
    inflater: InflaterMaker | None = None,
    from_client: bool = True,
) -> list[EventTuple]:
    """
    Receive one input in each way, and return the events, which must be the same.
    """

    def run(chunks: Iterable[bytes]) -> list[EventTuple]:
        return receive(chunks, limit=limit, inflater=inflater, from_client=from_client)

    events = run([data])
    for chunks in ways(data):
        assert run(chunks) == events, [len(chunk) for chunk in chunks]
    _with_tail(data, events, run, from_client)
    return events


def _with_tail(
    data: bytes,
    events: list[EventTuple],
    run: Callable[[Iterable[bytes]], list[EventTuple]],
    from_client: bool,
) -> None:
    """
    What stands behind an input must not change what the input is: after the end
    nothing follows, and elsewhere the events so far stay the beginning.
    """
    ping = frame(0x89, b"tail", key=KEY if from_client else None)
    ended = bool(events) and events[-1][0] in ("violation", "close")
    tailed = run([data + ping])
    if ended:
        assert tailed == events
    else:
        assert tailed[: len(events)] == events
    assert run([data, ping]) == tailed
    assert run(bytes([octet]) for octet in data + ping) == tailed


HeadResult = tuple[Any, ...]


def describe(result: RequestHead | HandshakeRefused | None) -> HeadResult:
    """Make a head parser's result comparable."""
    if result is None:
        return ("more",)
    if isinstance(result, HandshakeRefused):
        return (
            "refused",
            result.status,
            result.reason,
            result.headers,
            result.body,
            result.setting,
        )
    return (
        "head",
        result.raw,
        result.method,
        result.target,
        result.version,
        result.headers,
        result.body_size,
    )


def feed_head(
    chunks: Iterable[bytes], parser: HeadParser | None = None
) -> tuple[RequestHead | HandshakeRefused | None, bytes, int]:
    """
    Feed a head parser up to its first answer.

    @return: the answer, what came behind a head, and how many bytes were fed.
    """
    parser = HeadParser() if parser is None else parser
    fed = 0
    rest = b""
    result: RequestHead | HandshakeRefused | None = None
    for chunk in chunks:
        if result is not None:
            rest += chunk
            continue
        fed += len(chunk)
        result = parser.feed(chunk)
        if isinstance(result, RequestHead):
            rest = parser.rest
    return result, rest, fed


def head_all_ways(
    data: bytes,
    *,
    max_size: int = 16384,
    max_headers: int = 100,
) -> RequestHead | HandshakeRefused | None:
    """
    Parse one head in each way, and return the result, which must be the same.
    """

    def run(chunks: Iterable[bytes]) -> tuple[HeadResult, bytes]:
        result, rest, _ = feed_head(chunks, HeadParser(max_size, max_headers))
        return describe(result), rest if isinstance(result, RequestHead) else b""

    result, rest, _ = feed_head([data], HeadParser(max_size, max_headers))
    expected = describe(result), rest
    if not isinstance(result, RequestHead):
        expected = describe(result), b""
    for chunks in ways(data):
        assert run(chunks) == expected, [len(chunk) for chunk in chunks]
    if result is not None:
        tail = b"\x81\x80\x00\x00\x00\x00\r\n\r\n"
        tailed = describe(result), expected[1] + tail
        if not isinstance(result, RequestHead):
            tailed = expected
        assert run([data + tail]) == tailed
        assert run(bytes([octet]) for octet in data + tail) == tailed
    return result


def refused_after(data: bytes) -> int:
    """Return the number of bytes, fed one by one, until a head is refused."""
    result, _, fed = feed_head(bytes([octet]) for octet in data)
    assert isinstance(result, HandshakeRefused)
    return fed


def ended_after(
    data: bytes, *, limit: int = 1000, inflater: InflaterMaker | None = None
) -> int:
    """Return the number of bytes, fed one by one, until a receiver ends."""
    sink = Recorder()
    receiver = MessageReceiver(
        sink, max_message_size=limit, inflater=inflater() if inflater else None
    )
    for fed, octet in enumerate(data, 1):
        receiver.feed(bytes([octet]))
        if sink.events and sink.events[-1][0] in ("violation", "close"):
            return fed
    raise AssertionError("the input did not end the receiver")
