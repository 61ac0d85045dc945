"""Messages compressed and inflated (RFC 7692 section 7.2)."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest

from wsplug.codec import DeflateAgreement, DeflatePolicy, Deflater, Inflater
from wsplug.errors import ProtocolViolation

HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
"""Section 7.2.3.1: "Hello" in one block with fixed codes."""

EXAMPLES: list[tuple[str, bytes, bytes]] = [
    ("7.2.3.1, one block", HELLO, b"Hello"),
    ("7.2.3.3, stored block", b"\x00\x05\x00\xfa\xffHello\x00", b"Hello"),
    ("7.2.3.4, final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
    (
        "7.2.3.5, two blocks",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        b"Hello",
    ),
    ("7.2.3.6, empty", b"\x00", b""),
    (
        "7.2.3.4, two final blocks",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00" * 2 + b"\x00",
        b"HelloHello",
    ),
]


def inflate(inflater: Inflater, wire: bytes, step: int, room: int = 1000) -> bytes:
    """Inflate a whole message, a few bytes at a time."""
    out = b""
    for start in range(0, len(wire), step):
        out += inflater.inflate(wire[start : start + step], room - len(out))
    return out + inflater.finish(room - len(out))


def fresh(wire: bytes, bits: int) -> bytes:
    """
    Inflate one message with zlib, in steps of one byte, so that its window is as small
    as possible.
    """
    stream = zlib.decompressobj(-bits)
    data = wire + b"\x00\x00\xff\xff"
    out = b""
    for octet in data:
        tail = bytes([octet])
        while tail:
            out += stream.decompress(tail, 1)
            tail = stream.unconsumed_tail
    return out + stream.flush()


class TestInflater:
    """Examples, limits, and memory."""

    @pytest.mark.parametrize(
        ("wire", "message"),
        [pytest.param(*case[1:], id=case[0]) for case in EXAMPLES],
    )
    @pytest.mark.parametrize("step", [1, 2, 3, 100])
    @pytest.mark.parametrize("takes_over", [False, True])
    def test_examples(
        self, wire: bytes, message: bytes, step: int, takes_over: bool
    ) -> None:
        """The examples of section 7.2.3, twice with the same inflater."""
        inflater = Inflater(15, takes_over=takes_over)
        assert inflate(inflater, wire, step) == message
        assert inflate(inflater, wire, step) == message

    def test_takeover(self) -> None:
        """With context takeover, one inflater reads all messages, and repetitions get
        shorter."""
        inflater = Inflater(15, takes_over=True)
        assert inflate(inflater, HELLO, 1) == b"Hello"
        assert inflate(inflater, b"\xf2\x00\x11\x00\x00", 1) == b"Hello"

    def test_no_takeover(self) -> None:
        """Without context takeover, such a reference is an error (1007, section
        7.1.1.2)."""
        inflater = Inflater(15, takes_over=False)
        assert inflate(inflater, HELLO, 1) == b"Hello"
        with pytest.raises(
            ProtocolViolation, match="1007 the message can't be decompressed"
        ):
            inflate(inflater, b"\xf2\x00\x11\x00\x00", 100)

    @pytest.mark.parametrize("step", [1, 100])
    @pytest.mark.parametrize("room", [0, 1, 4])
    def test_room(self, step: int, room: int) -> None:
        """At most one byte more than the room is inflated."""
        inflater = Inflater(15, takes_over=False)
        out = b""
        for start in range(0, len(HELLO), step):
            out += inflater.inflate(HELLO[start : start + step], room - len(out))
            if len(out) > room:
                break
        assert out == b"Hello"[: room + 1]

    def test_exact_room(self) -> None:
        """A message that fills the room exactly is complete."""
        inflater = Inflater(15, takes_over=False)
        assert inflate(inflater, HELLO, 100, room=5) == b"Hello"
        assert inflate(inflater, b"\x00", 100, room=0) == b""

    def test_bomb_is_not_held(self) -> None:
        """Of 32 MiB in 32 KiB, no more than the room is inflated."""
        compressor = zlib.compressobj(9, wbits=-15)
        bomb = compressor.compress(bytes(32 << 20)) + compressor.flush()
        inflater = Inflater(15, takes_over=False)
        tracemalloc.start()
        try:
            out = inflater.inflate(bomb, 100_000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(out) == 100_001
        assert peak < 1_000_000

    def test_final_blocks_are_bounded(self) -> None:
        """Each final block costs a decompressor: a message with many of them is
        refused."""
        inflater = Inflater(15, takes_over=False)
        assert inflater.inflate(b"\x03\x00" * 64, 10) == b""
        with pytest.raises(ProtocolViolation, match="1007 message has too many"):
            inflater.inflate(b"\x03\x00", 10)

    def test_final_blocks_are_counted_for_each_message(self) -> None:
        """The limit of final blocks applies to each message, not to the connection."""
        inflater = Inflater(15, takes_over=True)
        for _ in range(200):
            assert inflate(inflater, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 3) == b"Hello"

    @pytest.mark.parametrize("wire", [b"\xff", b"\x07", b"\x00\x05\x00\x00\x00"])
    def test_garbage(self, wire: bytes) -> None:
        """Invalid deflate data is a violation, not a zlib error."""
        inflater = Inflater(15, takes_over=False)
        with pytest.raises(ProtocolViolation) as caught:
            inflate(inflater, wire, 1)
        assert caught.value.code == 1007


def _messages() -> list[bytes]:
    """Messages with repetitions at the distances of the smallest windows, and
    others."""
    rng = random.Random(7692)
    messages = [b"Hello", b"Hello", b"x" * 3000, b"", bytes(range(256)) * 4]
    for distance in range(200, 601, 25):
        unit = rng.randbytes(distance)
        messages += [unit * 3, unit]
    return messages


@pytest.mark.parametrize("bits", range(8, 16))
class TestDeflater:
    """Compressed messages fit the negotiated window."""

    def test_shared(self, bits: int) -> None:
        """
        With one compressor for all connections, each message inflates by itself, within
        the negotiated window (sections 7.1.1.1 and 7.1.2.1).
        """
        policy = DeflatePolicy()
        deflater = policy.deflater(DeflateAgreement(True, True, bits, 15))
        for message in _messages():
            assert fresh(deflater.deflate(message), bits) == message

    @pytest.mark.parametrize("level", [1, 6, 9])
    def test_window_is_kept(self, bits: int, level: int) -> None:
        """No reference goes further back than the window, at any compression level."""
        rng = random.Random(bits)
        window = 1 << bits
        unit = rng.randbytes(window)
        deflater = Deflater(bits, level, takes_over=False)
        distances = {window, window - 100}
        if bits < 11:
            distances |= {window - 1, window - 5, window - 6, window - 7, 250, 256}
        for distance in distances:
            message = unit[:distance] * 2
            assert fresh(deflater.deflate(message), bits) == message

    def test_takeover(self, bits: int) -> None:
        """With takeover one inflater reads all, and repeats get shorter."""
        deflater = Deflater(bits, 6, takes_over=True)
        inflater = Inflater(bits, takes_over=True)
        for message in _messages():
            wire = deflater.deflate(message)
            assert inflate(inflater, wire, 1, room=len(message)) == message
        text = b"a text of some length"
        assert len(deflater.deflate(text)) > len(deflater.deflate(text))

    def test_round_trip(self, bits: int) -> None:
        """Without context takeover, the codec's own inflater reads the messages,
        too."""
        deflater = Deflater(bits, 6, takes_over=False)
        inflater = Inflater(bits, takes_over=False)
        for message in _messages():
            wire = deflater.deflate(message)
            assert inflate(inflater, wire, 1, room=len(message)) == message


def test_the_tail_is_left_out() -> None:
    """The compressed payload doesn't have the tail of the flush, and is never empty
    (section 7.2.1)."""
    deflater = Deflater(15, 6, takes_over=False)
    assert deflater.deflate(b"Hello") == HELLO
    assert deflater.deflate(b"Hello") == HELLO
    assert deflater.deflate(b"") == b"\x00"
    taking_over = Deflater(15, 6, takes_over=True)
    assert taking_over.deflate(b"Hello") == HELLO
    assert taking_over.deflate(b"Hello") == b"\xf2\x00\x11\x00\x00"
