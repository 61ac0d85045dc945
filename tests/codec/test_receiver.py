"""Receiving frames and assembling messages (RFC 6455 sections 5 and 8, RFC 7692)."""

from __future__ import annotations

import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tests.codec.threeways import (
    EventTuple,
    InflaterMaker,
    Recorder,
    ended_after,
    frame,
    receive,
    receive_all_ways,
)
from wsplug.codec import Inflater, MessageReceiver
from wsplug.errors import ProtocolViolation

HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
TOO_BIG = ("violation", 1009, "message over 1000 bytes", "max-message-size")


def plain_inflater() -> Inflater:
    return Inflater(15, takes_over=False)


def keeping_inflater() -> Inflater:
    return Inflater(15, takes_over=True)


def violation(code: int, reason: str) -> EventTuple:
    return ("violation", code, reason, None)


def compress(data: bytes, level: int = 9) -> bytes:
    """Compress a message as in RFC 7692 section 7.2.1, with zlib alone."""
    compressor = zlib.compressobj(level, wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class TestExamples:
    """The examples of the two standards, verbatim."""

    @pytest.mark.parametrize(
        ("wire", "events"),
        [
            (
                b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                [("text", "Hello")],
            ),
            (
                b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                [("pong", b"Hello")],
            ),
            (b"\x82\x80\x00\x00\x00\x00", [("binary", b"")]),
            (b"\x81\x80\x37\xfa\x21\x3d", [("text", "")]),
            (b"\x88\x80\x00\x00\x00\x00", [("close", 1005, "")]),
            (b"\x88\x82\x00\x00\x00\x00\x03\xe8", [("close", 1000, "")]),
            (b"\x89\x80\x01\x02\x03\x04", [("ping", b"")]),
        ],
    )
    def test_from_client(self, wire: bytes, events: list[EventTuple]) -> None:
        """RFC 6455 section 5.7, masked."""
        assert receive_all_ways(wire) == events

    @pytest.mark.parametrize(
        ("wire", "events"),
        [
            (b"\x81\x05Hello", [("text", "Hello")]),
            (b"\x01\x03Hel\x80\x02lo", [("text", "Hello")]),
            (b"\x01\x03Hel\x89\x01!\x80\x02lo", [("ping", b"!"), ("text", "Hello")]),
            (b"\x89\x05Hello", [("ping", b"Hello")]),
            (b"\x82\x7e\x01\x00" + bytes(256), [("binary", bytes(256))]),
            (
                b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65536),
                [("binary", bytes(65536))],
            ),
            (b"\x88\x02\x03\xe9", [("close", 1001, "")]),
        ],
    )
    def test_from_server(self, wire: bytes, events: list[EventTuple]) -> None:
        """RFC 6455 section 5.7, unmasked: the receiver is in the client's role."""
        assert receive_all_ways(wire, from_client=False, limit=65536) == events

    @pytest.mark.parametrize(
        ("wire", "events"),
        [
            (b"\xc1\x07" + HELLO, [("text", "Hello")]),
            (b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", [("text", "Hello")]),
            (b"\xc1\x0b\x00\x05\x00\xfa\xffHello\x00", [("text", "Hello")]),
            (b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", [("text", "Hello")]),
            (
                b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
                [("text", "Hello")],
            ),
            (b"\xc1\x01\x00", [("text", "")]),
            (
                b"\x81\x05Hello\xc2\x07" + HELLO,
                [("text", "Hello"), ("binary", b"Hello")],
            ),
        ],
    )
    @pytest.mark.parametrize("maker", [plain_inflater, keeping_inflater])
    def test_compressed(
        self, wire: bytes, events: list[EventTuple], maker: InflaterMaker
    ) -> None:
        """RFC 7692 section 7.2.3."""
        assert receive_all_ways(wire, inflater=maker, from_client=False) == events

    def test_takeover(self) -> None:
        """RFC 7692 section 7.2.3.2: the second "Hello" refers to the first."""
        wire = b"\xc1\x07" + HELLO + b"\xc1\x05\xf2\x00\x11\x00\x00"
        assert receive_all_ways(wire, inflater=keeping_inflater, from_client=False) == [
            ("text", "Hello"),
            ("text", "Hello"),
        ]
        assert receive_all_ways(wire, inflater=plain_inflater, from_client=False) == [
            ("text", "Hello"),
            violation(1007, "the message can't be decompressed"),
        ]


def expected_reason(first: int, compression: bool, fragmented: bool) -> str | None:
    """
    The rules for a frame's first byte, written independently of the code (RFC 6455
    sections 5.2 and 5.4, RFC 7692 section 6.1).
    """
    fin, rsv1, rsv2, rsv3 = (bool(first & bit) for bit in (128, 64, 32, 16))
    kind = {0: "more", 1: "data", 2: "data", 8: "control", 9: "control", 10: "control"}
    name = kind.get(first % 16)
    if rsv2 or rsv3 or (rsv1 and not compression):
        return "reserved bit set"
    if name is None:
        return "reserved opcode"
    if name == "control" and not fin:
        return "fragmented control frame"
    if name == "more" and not fragmented:
        return "continuation frame outside a message"
    if name == "data" and fragmented:
        return "new message inside a fragmented one"
    if rsv1 and name != "data":
        return "compressed bit on a frame that can't have it"
    return None


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("fragmented", [False, True])
def test_each_first_byte(compression: bool, fragmented: bool) -> None:
    """All 256 first bytes in all four contexts: that byte alone decides."""
    maker = plain_inflater if compression else None
    before = frame(0x02, b"a") if fragmented else b""
    for first in range(256):
        reason = expected_reason(first, compression, fragmented)
        alone = receive_all_ways(before + bytes([first]), inflater=maker)
        whole = receive_all_ways(before + frame(first, b""), inflater=maker)
        if reason is not None:
            assert alone == [violation(1002, reason)], hex(first)
            assert whole == alone, hex(first)
        else:
            assert alone == [], hex(first)
            assert not any(event[0] == "violation" for event in whole), hex(first)
            done = first & 0x80 != 0
            assert len(whole) == done, hex(first)


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x88, 0x89, 0x8A])
def test_masking_bit(first: int) -> None:
    """RFC 6455 section 5.1: a client masks its frames, and a server doesn't. The second
    byte decides."""
    unmasked = frame(first, b"", key=None)
    masked = frame(first, b"")
    assert receive_all_ways(unmasked) == [violation(1002, "frame is not masked")]
    assert receive_all_ways(masked[:2], from_client=False) == [
        violation(1002, "frame is masked")
    ]
    assert ended_after(unmasked) == 2


@pytest.mark.parametrize(
    ("first", "kind"), [(0x89, "ping"), (0x8A, "pong"), (0x88, "close")]
)
class TestControlFrames:
    """RFC 6455 section 5.5."""

    def test_125(self, first: int, kind: str) -> None:
        """A payload of 125 bytes is accepted."""
        payload = b"\x03\xe8" + b"x" * 123
        events = receive_all_ways(frame(first, payload))
        if kind == "close":
            assert events == [("close", 1000, "x" * 123)]
        else:
            assert events == [(kind, payload)]

    @pytest.mark.parametrize("form", [16, 64])
    def test_126(self, first: int, kind: str, form: int) -> None:
        """126 bytes are refused at the second byte, in either form of the length."""
        wire = frame(first, bytes(126), form=form)
        expected = [violation(1002, "control frame over 125 bytes")]
        assert receive_all_ways(wire) == expected
        assert receive_all_ways(wire[:2]) == expected
        assert ended_after(wire) == 2


class TestLengths:
    """RFC 6455 section 5.2."""

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537])
    @pytest.mark.parametrize("first", [0x81, 0x82])
    def test_right(self, size: int, first: int) -> None:
        """Each form of a length is accepted, at its limits."""
        expected = ("text", "x" * size) if first == 0x81 else ("binary", b"x" * size)
        wire = frame(first, b"x" * size)
        if size > 1000:
            # Byte by byte in each of the ways would take too long.
            ways = [
                [wire],
                [wire[:9], wire[9:]],
                [wire[:14], wire[14:]],
                list(_step(wire)),
            ]
            for chunks in ways:
                assert receive(chunks, limit=70000) == [expected]
        else:
            assert receive_all_ways(wire) == [expected]

    @pytest.mark.parametrize(
        ("size", "form"),
        [(0, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)],
    )
    def test_not_shortest(self, size: int, form: int) -> None:
        """The length has to use the minimal number of bytes."""
        wire = frame(0x82, b"", form=form, declared=size)
        assert receive_all_ways(wire, limit=70000) == [
            violation(1002, "length not in its shortest form")
        ]

    @pytest.mark.parametrize("size", [2**63, 2**64 - 1])
    def test_top_bit(self, size: int) -> None:
        """The most significant bit has to be 0."""
        assert receive_all_ways(frame(0x82, b"", declared=size)) == [
            violation(1002, "length over 63 bits")
        ]

    def test_largest(self) -> None:
        """The largest length is valid, but over the limit."""
        assert receive_all_ways(frame(0x82, b"", declared=2**63 - 1)) == [TOO_BIG]


def _step(wire: bytes) -> list[bytes]:
    return [wire[i : i + 1000] for i in range(0, len(wire), 1000)]


class TestFragments:
    """RFC 6455 section 5.4."""

    def test_interleaved(self) -> None:
        """Control frames between fragments are delivered first. Fragments may be
        empty."""
        wire = (
            frame(0x01, b"He")
            + frame(0x89, b"1")
            + frame(0x00, b"")
            + frame(0x8A, b"")
            + frame(0x00, b"ll")
            + frame(0x89, b"2")
            + frame(0x80, b"o")
            + frame(0x82, b"next")
        )
        assert receive_all_ways(wire) == [
            ("ping", b"1"),
            ("pong", b""),
            ("ping", b"2"),
            ("text", "Hello"),
            ("binary", b"next"),
        ]

    def test_characters_across_fragments(self) -> None:
        """Section 5.6: a fragment may end within a character."""
        text = "\u03ba\u1f79\U0001f600"
        wire = b"".join(
            frame(0x01 if i == 0 else 0x00, bytes([octet]))
            for i, octet in enumerate(text.encode())
        )
        assert receive_all_ways(wire + frame(0x80)) == [("text", text)]

    def test_close_between(self) -> None:
        """A close frame ends everything, even within a message."""
        wire = frame(0x01, b"He") + frame(0x88, b"\x03\xe9") + frame(0x80, b"llo")
        assert receive_all_ways(wire) == [("close", 1001, "")]

    def test_compressed_with_pings(self) -> None:
        """RFC 7692 section 6.1: only the first frame has RSV1. Pings are unaffected."""
        wire = (
            frame(0x41, HELLO[:2])
            + frame(0x89, b"!")
            + frame(0x00, HELLO[2:])
            + frame(0x80, b"")
            + frame(0x81, b"plain")
        )
        assert receive_all_ways(wire, inflater=plain_inflater) == [
            ("ping", b"!"),
            ("text", "Hello"),
            ("text", "plain"),
        ]

    def test_plain_inside_a_context(self) -> None:
        """RFC 7692 section 6: an uncompressed message isn't part of the compression
        context."""
        wire = (
            frame(0xC1, HELLO)
            + frame(0x01, b"pl")
            + frame(0x80, b"ain")
            + frame(0xC1, b"\xf2\x00\x11\x00\x00")
        )
        assert receive_all_ways(wire, inflater=keeping_inflater) == [
            ("text", "Hello"),
            ("text", "plain"),
            ("text", "Hello"),
        ]


class TestLimits:
    """The size of a message is checked before it is buffered."""

    @pytest.mark.parametrize("first", [0x82, 0x81, 0x02])
    def test_declared(self, first: int) -> None:
        """A declared length over the limit is refused with the header."""
        wire = frame(first, b"x" * 1001)
        assert receive_all_ways(wire) == [TOO_BIG]
        assert receive_all_ways(wire[:8]) == [TOO_BIG]
        assert ended_after(wire) == 8

    @pytest.mark.parametrize("first", [0x82, 0x81])
    def test_declared_met(self, first: int) -> None:
        """Messages of exactly the limit are accepted repeatedly."""
        wire = frame(first, b"x" * 1000)
        assert len(receive_all_ways(wire * 2)) == 2

    def test_collected(self) -> None:
        """The sizes of fragments add up. Over the limit, the message is refused with
        the header of the last fragment."""
        start = frame(0x02, b"x" * 600) + frame(0x89) + frame(0x00, b"x" * 400)
        assert receive_all_ways(start + frame(0x80)) == [
            ("ping", b""),
            ("binary", b"x" * 1000),
        ]
        over = start + frame(0x80, b"x")
        assert receive_all_ways(over) == [("ping", b""), TOO_BIG]
        assert ended_after(over) == len(over) - 1

    def test_controls_do_not_count(self) -> None:
        """A ping between fragments doesn't count towards the message."""
        wire = frame(0x02, b"x" * 9) + frame(0x89, b"y" * 100) + frame(0x80, b"x")
        assert receive_all_ways(wire, limit=10) == [
            ("ping", b"y" * 100),
            ("binary", b"x" * 10),
        ]

    @pytest.mark.parametrize("level", [0, 1, 9])
    @pytest.mark.parametrize("size", [0, 1, 10, 1000])
    def test_incompressible_met(self, level: int, size: int) -> None:
        """Compression may add bytes. The limit applies to the uncompressed message."""
        payload = random.Random(size).randbytes(size)
        wire = compress(payload, level)
        halves = frame(0x42, wire[:7]) + frame(0x80, wire[7:])
        for data in (frame(0xC2, wire), halves):
            assert receive_all_ways(data, limit=size, inflater=plain_inflater) == [
                ("binary", payload)
            ]

    @pytest.mark.parametrize("size", [1000, 100_000])
    def test_inflated(self, size: int) -> None:
        """An inflated message may be as large as the limit, and not one byte larger."""
        too_big = ("violation", 1009, f"message over {size} bytes", "max-message-size")
        met = frame(0xC2, compress(bytes(size)))
        over = frame(0xC2, compress(bytes(size + 1)))
        run: dict[str, Any] = {"limit": size, "inflater": plain_inflater}
        assert receive_all_ways(met, **run) == [("binary", bytes(size))]
        assert receive_all_ways(over, **run) == [too_big]

    def test_inflated_at_the_end(self) -> None:
        """The tail that the receiver appends (RFC 7692 section 7.2.2) may produce data,
        too."""
        wire = frame(0xC2, b"\x00\x0c\x00\xf3\xff" + b"x" * 8)
        run: dict[str, Any] = {"inflater": plain_inflater}
        assert receive_all_ways(wire, limit=12, **run) == [
            ("binary", b"x" * 8 + b"\x00\x00\xff\xff")
        ]
        for limit in (8, 11):
            assert receive_all_ways(wire, limit=limit, **run)[0][:2] == (
                "violation",
                1009,
            )

    def test_compressed_declared(self) -> None:
        """A declared length that is far too large is refused with the header, even for
        compressed data."""
        wire = frame(0xC2, b"", declared=2**40)
        assert receive_all_ways(wire, inflater=plain_inflater) == [TOO_BIG]

    def test_endless_compressed_nothing(self) -> None:
        """Fragments that inflate to nothing are bounded as well."""
        wire = frame(0x42, b"") + frame(0x00, b"\x00\x00\x00\xff\xff" * 20) * 100
        assert receive([wire], inflater=plain_inflater) == [TOO_BIG]
        assert ended_after(wire, inflater=plain_inflater) < 2000

    def test_bomb(self) -> None:
        """
        A decompression bomb is refused once it passes the limit. Not all of it has been
        fed by then, and memory use stays near the limit.
        """
        limit = 1 << 20
        bomb = compress(bytes(32 << 20))
        wire = frame(0xC2, bomb)
        sink = Recorder()
        receiver = MessageReceiver(
            sink, max_message_size=limit, inflater=plain_inflater()
        )
        fed = 0
        tracemalloc.start()
        try:
            for start in range(0, len(wire), 512):
                receiver.feed(wire[start : start + 512])
                fed += 512
                if sink.events:
                    break
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert sink.events[0][:2] == ("violation", 1009)
        assert fed < 4096 < len(wire)
        assert peak < 4 * limit


class TestUTF8:
    """RFC 6455 section 8.1, based on Autobahn's cases 6."""

    @pytest.mark.parametrize(
        ("text", "at"),
        [
            (b"\x80", 1),
            (b"\xc0\xaf", 1),
            (b"\xe0\x80\xaf", 2),
            (b"\xed\xa0\x80", 2),
            (b"\xf0\x80\x80\xaf", 2),
            (b"\xf4\x90\x80\x80", 2),
            (b"\xf8\x88\x80\x80\x80", 1),
            (b"\xff", 1),
            (b"ok\xc3\x28", 4),
            (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13),
        ],
    )
    def test_fails_fast(self, text: bytes, at: int) -> None:
        """Invalid UTF-8 is refused at the bad byte: in a frame, in a fragment, and
        compressed."""
        bad = [violation(1007, "text is not UTF-8")]
        one = frame(0x81, text + b"more")
        assert receive_all_ways(one) == bad
        assert receive_all_ways(frame(0x81, text)) == bad
        assert ended_after(one) == 6 + at
        # The same holds if the last piece of input ends at the bad byte.
        assert receive([one[: 6 + at]]) == bad
        assert receive([one[: 6 + at - 1]]) == []
        fragments = frame(0x01, text[: at - 1]) + frame(0x00, text[at - 1 :])
        assert receive_all_ways(fragments) == bad
        assert ended_after(fragments) == len(frame(0x01, text[: at - 1])) + 7
        stored = b"\x00" + len(text).to_bytes(2, "little")
        stored += (0xFFFF - len(text)).to_bytes(2, "little") + text + b"\x00"
        compressed = frame(0xC1, stored)
        assert receive_all_ways(compressed, inflater=plain_inflater) == bad
        assert ended_after(compressed, inflater=plain_inflater) == 6 + 5 + at

    @pytest.mark.parametrize(
        "text", [b"\xc3", b"\xe1\xbd", b"\xf0\x9f\x98", b"abc\xed\x9f", b"\xf4\x8f\xbf"]
    )
    def test_cut_at_the_end(self, text: bytes) -> None:
        """A message may not end within a character. A fragment may."""
        bad = [violation(1007, "text is not UTF-8")]
        assert receive_all_ways(frame(0x81, text)) == bad
        assert receive_all_ways(frame(0x01, text)) == []
        assert receive_all_ways(frame(0x01, text) + frame(0x80)) == bad
        assert (
            receive_all_ways(frame(0xC1, compress(text)), inflater=plain_inflater)
            == bad
        )

    def test_binary_is_anything(self) -> None:
        """Only text has to be UTF-8."""
        wire = frame(0x82, b"\xff\xed\xa0") + frame(0x02, b"\xc0") + frame(0x80)
        assert receive_all_ways(wire) == [
            ("binary", b"\xff\xed\xa0"),
            ("binary", b"\xc0"),
        ]

    def test_before_the_limit(self) -> None:
        """If two rules are broken, the first violation in the stream counts, however
        the input is split."""
        wire = frame(0xC1, compress(b"a\xff" + b"a" * 2000))
        assert receive_all_ways(wire, inflater=plain_inflater) == [
            violation(1007, "text is not UTF-8")
        ]
        wire = frame(0xC1, compress(b"a" * 1001 + b"\xff"))
        assert receive_all_ways(wire, inflater=plain_inflater) == [TOO_BIG]


class TestClose:
    """RFC 6455 sections 5.5.1 and 7.4."""

    def test_each_code(self) -> None:
        """Each code is accepted or refused."""
        taken = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
        for code in range(5001):
            wire = frame(0x88, code.to_bytes(2, "big"))
            events = receive([wire])
            assert events == receive(bytes([octet]) for octet in wire)
            if code in taken:
                assert events == [("close", code, "")]
            else:
                assert events == [violation(1002, f"bad close code {code}")]

    def test_reason(self) -> None:
        """A reason is text."""
        wire = frame(0x88, b"\x03\xe8gr\xc3\xbc\xc3\x9f")
        assert receive_all_ways(wire) == [("close", 1000, "gr\u00fc\u00df")]

    def test_one_byte(self) -> None:
        """A close code has two bytes."""
        assert receive_all_ways(frame(0x88, b"\x03")) == [
            violation(1002, "close frame of one byte")
        ]

    @pytest.mark.parametrize(
        ("reason", "at"), [(b"\xffmore", 1), (b"ab\xed\xa0\x80", 4), (b"\xc0x", 1)]
    )
    def test_reason_not_utf8(self, reason: bytes, at: int) -> None:
        """Section 8.1 also applies to reasons: they are refused at the bad byte, with
        the same text."""
        wire = frame(0x88, b"\x03\xe8" + reason)
        assert receive_all_ways(wire) == [violation(1007, "close reason is not UTF-8")]
        assert ended_after(wire) == 8 + at

    def test_reason_cut(self) -> None:
        """A reason may not end within a character."""
        assert receive_all_ways(frame(0x88, b"\x03\xe8ab\xc3")) == [
            violation(1007, "close reason is not UTF-8")
        ]

    def test_bad_code_is_refused_early(self) -> None:
        """A bad close code is refused before the reason arrives."""
        wire = frame(0x88, b"\x03\xed" + b"x" * 50)
        assert receive_all_ways(wire[:8]) == [violation(1002, "bad close code 1005")]
        assert ended_after(wire) == 8


class TestNothingAfterTheEnd:
    """After a close, a violation or stop(), nothing is delivered or buffered."""

    @pytest.mark.parametrize(
        "end",
        [frame(0x88), frame(0x88, b"\x03\xe8"), frame(0x83), frame(0x81, b"\xff")],
    )
    def test_after_the_peer_ended_it(self, end: bytes) -> None:
        """Input after the end is dropped."""
        sink = Recorder()
        receiver = MessageReceiver(sink)
        receiver.feed(frame(0x82, b"a") + end + frame(0x82, b"b"))
        assert len(sink.events) == 2
        receiver.feed(frame(0x82, b"c"))
        receiver.resume()
        receiver.feed(end)
        assert len(sink.events) == 2
        assert held(receiver) == []

    @pytest.mark.parametrize(
        "start",
        [
            b"",
            b"\x81",
            b"\x81\xfe\x01",
            frame(0x02, b"abc"),
            frame(0x82, b"abc")[:-1],
            frame(0x42, HELLO)[:-1],
            frame(0x89, b"abc")[:-1],
        ],
    )
    def test_after_stop(self, start: bytes) -> None:
        """The same holds for a stop from outside, at any point."""
        sink = Recorder()
        receiver = MessageReceiver(sink, inflater=plain_inflater())
        receiver.feed(start)
        receiver.stop()
        for octet in frame(0x80) + frame(0x82, b"a") + b"\xff\xff":
            receiver.feed(bytes([octet]))
        receiver.resume()
        assert sink.events == []
        assert held(receiver) == []

    @pytest.mark.parametrize("wire", [frame(0x82, b"a"), frame(0x81, b"a")])
    @pytest.mark.parametrize("step", [1, 3, 100])
    def test_stop_in_the_sink(self, wire: bytes, step: int) -> None:
        """The rest of the same chunk is dropped."""
        sink = Calling(lambda receiver: receiver.stop())
        sink.receiver.feed(frame(0x89, b"x"))
        data = wire + frame(0x82, b"b") + b"\xff"
        for start in range(0, len(data), step):
            sink.receiver.feed(data[start : start + step])
        assert sink.events == [("ping", b"x")]
        assert held(sink.receiver) == []


class Calling(Recorder):
    """
    A sink that calls a function with its receiver for each message.
    """

    def __init__(self, action: Callable[[MessageReceiver], None]) -> None:
        super().__init__()
        self.receiver = MessageReceiver(self)
        self._action = action

    def text_received(self, message: str) -> None:
        super().text_received(message)
        self._action(self.receiver)

    def binary_received(self, message: bytes) -> None:
        super().binary_received(message)
        self._action(self.receiver)

    def ping_received(self, payload: bytes) -> None:
        super().ping_received(payload)
        self._action(self.receiver)


class TestPause:
    """Delivery stops at once, and resumes at the same point."""

    WIRE = (
        frame(0x82, b"1")
        + frame(0x81, b"2")
        + frame(0x89, b"3")
        + frame(0x01, b"4")
        + frame(0x80, b"5")
        + frame(0x83)
    )
    EVENTS: ClassVar[list[EventTuple]] = [
        ("binary", b"1"),
        ("text", "2"),
        ("ping", b"3"),
        ("text", "45"),
        ("violation", 1002, "reserved opcode", None),
    ]

    @pytest.mark.parametrize("step", [1, 2, 5, 7, 10, 1000])
    def test_in_the_sink(self, step: int) -> None:
        """Within one chunk, one message is delivered for each resume()."""
        sink = Calling(lambda receiver: receiver.pause())
        for start in range(0, len(self.WIRE), step):
            sink.receiver.feed(self.WIRE[start : start + step])
        for count in range(1, 5):
            assert sink.events == self.EVENTS[:count]
            sink.receiver.resume()
        assert sink.events == self.EVENTS

    @pytest.mark.parametrize("step", [1, 5, 1000])
    def test_fed_while_paused(self, step: int) -> None:
        """Input that is fed while paused waits, and so do violations."""
        sink = Recorder()
        receiver = MessageReceiver(sink)
        receiver.feed(self.WIRE[:3])
        receiver.pause()
        for start in range(3, len(self.WIRE), step):
            receiver.feed(self.WIRE[start : start + step])
        assert sink.events == []
        receiver.resume()
        assert sink.events == self.EVENTS

    def test_resume_in_the_sink(self) -> None:
        """Messages stay in order, and are never delivered within another message's
        call."""
        depth = 0

        def action(receiver: MessageReceiver) -> None:
            nonlocal depth
            assert depth == 0
            depth += 1
            receiver.pause()
            receiver.resume()
            depth -= 1

        sink = Calling(action)
        sink.receiver.feed(self.WIRE)
        assert sink.events == self.EVENTS

    @pytest.mark.parametrize("step", [1, 1000])
    def test_feed_in_the_sink(self, step: int) -> None:
        """Input that the sink feeds comes after the input that already waits."""
        more = [frame(0x82, b"more")]

        def action(receiver: MessageReceiver) -> None:
            if more:
                receiver.feed(more.pop())

        sink = Calling(action)
        data = frame(0x82, b"1") + frame(0x82, b"2")
        for start in range(0, len(data), step):
            sink.receiver.feed(data[start : start + step])
        messages = [event[1] for event in sink.events]
        expected = [b"1", b"2", b"more"] if step > 1 else [b"1", b"more", b"2"]
        assert messages == expected

    def test_stop_while_paused(self) -> None:
        """Input that waits is dropped."""
        sink = Recorder()
        receiver = MessageReceiver(sink)
        receiver.pause()
        receiver.feed(self.WIRE)
        receiver.stop()
        receiver.resume()
        assert sink.events == []
        assert held(receiver) == []


def held(receiver: MessageReceiver) -> list[str]:
    """
    Return the names of attributes that hold part of the input, a message of the sink,
    or an inflater with zlib state.
    """
    names = []
    for name in MessageReceiver.__slots__:
        value = getattr(receiver, name)
        if isinstance(value, Inflater):
            if value._stream is not None:
                names.append(name)
        elif isinstance(value, bytearray) or value is None:
            if value is not None:
                names.append(name)
        elif isinstance(value, bytes):
            # The last frame's mask and a table may stay.
            if name not in ("_mask", "_first_bytes") and value:
                names.append(name)
        else:
            assert isinstance(value, (int, bool, Recorder)), name
    return names


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_at_rest_nothing_is_held(step: int) -> None:
    """An idle connection holds no buffers and no zlib state."""
    sink = Recorder()
    receiver = MessageReceiver(sink, inflater=plain_inflater())
    assert held(receiver) == []
    wire = (
        frame(0x81, b"Hello")
        + frame(0xC1, HELLO)
        + frame(0x42, HELLO[:3])
        + frame(0x89, b"!")
        + frame(0x80, HELLO[3:])
        + frame(0xC1, b"\x00")
        + frame(0x8A, b"")
    )
    for start in range(0, len(wire), step):
        receiver.feed(wire[start : start + step])
    assert len(sink.events) == 6
    assert held(receiver) == []
    receiver.feed(b"\x81")
    assert held(receiver) == ["_head"]


def test_memory_of_a_collected_message() -> None:
    """A large message is assembled in place, without a list of pieces and without
    joining them."""
    size = 1 << 20
    wire = frame(0x82, bytes(size))
    sink = Recorder()
    receiver = MessageReceiver(sink, max_message_size=size)
    tracemalloc.start()
    try:
        for start in range(0, len(wire) - 1, 4096):
            receiver.feed(wire[start : min(start + 4096, len(wire) - 1)])
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.events == []
    assert current < size * 1.3


def test_fed_masks_of_zero() -> None:
    """Section 5.3: a mask of four zero bytes is valid."""
    wire = frame(0x81, b"Hello", key=bytes(4)) + frame(0x89, b"!", key=bytes(4))
    assert receive_all_ways(wire) == [("text", "Hello"), ("ping", b"!")]


def test_fragments_are_told_of() -> None:
    """Section 5.4: a message may have any number of frames. The sink is notified after
    every 256 frames. If the last of them completes a message, that message is delivered
    first."""
    long = frame(0x01, b"a") + 510 * frame(0x00, b"a") + frame(0x80, b"a")
    short = frame(0x02, b"b") + frame(0x80, b"b")
    assert receive_all_ways(long + frame(0x89, b"!") + frame(0x81, b"c")) == [
        ("fragments", 256),
        ("text", "a" * 512),
        ("fragments", 256),
        ("ping", b"!"),
        ("text", "c"),
    ]
    events = receive_all_ways(128 * short + frame(0x81, b"c"))
    assert events == [*128 * [("binary", b"bb")], ("fragments", 256), ("text", "c")]


class Keeping(Recorder):
    """
    A sink that keeps the violation.
    """

    violation: ProtocolViolation | None = None

    def violation_received(self, violation: ProtocolViolation) -> None:
        self.violation = violation


def test_violations_have_short_ascii_reasons() -> None:
    """Section 5.5: a reason has to fit into a close frame of 125 bytes."""
    sink = Keeping()
    MessageReceiver(sink, max_message_size=sys.maxsize // 4).feed(
        frame(0x82, b"", declared=2**63 - 1)
    )
    assert sink.violation is not None
    assert len(sink.violation.reason.encode("ascii")) <= 123
