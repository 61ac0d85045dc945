"""What hypothesis generates: messages, streams of frames, cuts, request heads."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.codec.threeways import EventTuple
from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CONTINUATION,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    DeflateAgreement,
    Deflater,
    encode_frame,
)


@dataclass(frozen=True)
class Message:
    """
    A message, and how it goes on the wire.

    @ivar cuts: where its payload is cut into fragments, in parts of 256.
    @ivar controls: pings and pongs before each fragment but the first.
    """

    payload: str | bytes
    compressed: bool
    cuts: tuple[int, ...]
    controls: tuple[tuple[int, bytes], ...]


texts = st.text(max_size=200) | st.text("ab\u00fc\u20ac\U0001f600", max_size=600)
binaries = st.binary(max_size=300) | st.builds(
    lambda unit, count: unit * count,
    st.binary(min_size=1, max_size=20),
    st.integers(0, 400),
)
controls = st.tuples(st.sampled_from([OP_PING, OP_PONG]), st.binary(max_size=125))
messages = st.builds(
    Message,
    texts | binaries,
    st.booleans(),
    st.lists(st.integers(0, 256), max_size=4).map(lambda cuts: tuple(sorted(cuts))),
    st.lists(controls, max_size=4).map(tuple),
)
masks = st.binary(min_size=4, max_size=4)
window_bits = st.integers(8, 15)
agreements = st.builds(
    DeflateAgreement, st.booleans(), st.booleans(), window_bits, window_bits
)
cut_points = st.lists(st.integers(0, 1 << 16), max_size=30)


def encode(
    sequence: list[Message], deflater: Deflater | None, mask: bytes | None
) -> tuple[bytes, list[EventTuple]]:
    """
    Encode messages. Return the bytes, and the expected events.
    """
    wire = b""
    events: list[EventTuple] = []
    for message in sequence:
        payload = message.payload
        opcode = OP_BINARY
        event: EventTuple = ("binary", payload)
        if isinstance(payload, str):
            opcode, event = OP_TEXT, ("text", payload)
            payload = payload.encode("utf-8")
        if message.compressed and deflater is not None:
            payload = deflater.deflate(payload)
            opcode |= RSV1
        places = [len(payload) * cut // 256 for cut in message.cuts]
        bounds = list(zip([0, *places], [*places, len(payload)], strict=True))
        for i, (start, end) in enumerate(bounds):
            if 0 < i <= len(message.controls):
                control, own_payload = message.controls[i - 1]
                wire += encode_frame(FIN | control, own_payload, mask)
                kind = "ping" if control == OP_PING else "pong"
                events.append((kind, own_payload))
            first = opcode if i == 0 else OP_CONTINUATION
            fin = FIN if i == len(bounds) - 1 else 0
            wire += encode_frame(first | fin, payload[start:end], mask)
        events.append(event)
    return wire, events


def cut(data: bytes, points: list[int]) -> list[bytes]:
    """Cut data at any positions."""
    places = sorted(point % (len(data) + 1) for point in points)
    bounds = zip([0, *places], [*places, len(data)], strict=True)
    return [data[start:end] for start, end in bounds]


def mutate(data: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    """Overwrite some bytes of a valid stream."""
    changed = bytearray(data)
    for place, replacement in changes:
        start = place % (len(data) + 1)
        changed[start : start + len(replacement)] = replacement
    return bytes(changed)


mutations = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=3)), max_size=4
)

_names = st.sampled_from(
    [
        b"Host",
        b"Upgrade",
        b"Connection",
        b"Sec-WebSocket-Key",
        b"Sec-WebSocket-Version",
        b"Sec-WebSocket-Protocol",
        b"Sec-WebSocket-Extensions",
        b"Content-Length",
        b"Transfer-Encoding",
        b"X",
    ]
)
_values = st.sampled_from(
    [
        b"localhost:9000",
        b"websocket",
        b"keep-alive, Upgrade",
        b"dGhlIHNhbXBsZSBub25jZQ==",
        b"13",
        b"8",
        b"chat, superchat",
        b"permessage-deflate; client_max_window_bits",
        b'a; b="c\\d", e',
        b"0",
        b"chunked",
        b"",
    ]
) | st.binary(max_size=12)
_right = [
    (b"Host", b"a"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"Sec-WebSocket-Version", b"13"),
]


def _head(
    method: bytes, version: bytes, right: int, more: list[tuple[bytes, bytes]]
) -> bytes:
    lines = [method + b" /chat " + version]
    lines += [name + b": " + value for name, value in _right[:right] + more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


heads = st.builds(
    _head,
    st.sampled_from([b"GET", b"GET", b"POST", b"OPTIONS"]),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"]),
    st.integers(0, len(_right)),
    st.lists(st.tuples(_names, _values), max_size=4),
)

extension_values = st.binary(max_size=60) | st.text('ab=;,"\\ \t1', max_size=60).map(
    lambda text: text.encode("ascii")
)
