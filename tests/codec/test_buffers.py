"""
Large payloads that are read directly into their buffer, without
L{MessageReceiver.feed}.
"""

from __future__ import annotations

import random

import pytest

from tests.codec.threeways import EventTuple, Recorder, frame
from wsplug.codec import FIN, OP_BINARY, MessageReceiver, encode_frame
from wsplug.codec.masking import BUFFER_GROWTH, FIRST_BUFFER_SIZE, PayloadBuffer

LIMIT = 1 << 23


class Source:
    """
    A stream of bytes that is read as a transport reads it: into a buffer if there is
    one.
    """

    def __init__(self, data: bytes, from_client: bool = True) -> None:
        self.sink = Recorder()
        self.receiver = MessageReceiver(
            self.sink, max_message_size=LIMIT, from_client=from_client
        )
        self.data = data
        self.buffered = 0

    def read(self, size: int) -> None:
        payload = self.receiver.get_buffer()
        if payload is None:
            self.receiver.feed(self.data[:size])
        else:
            with payload.rest() as rest:
                size = min(size, len(rest), len(self.data))
                rest[:size] = self.data[:size]
            self.receiver.buffer_updated(size)
            self.buffered += size
        self.data = self.data[size:]

    def read_all(self, size: int) -> list[EventTuple]:
        while self.data:
            self.read(size)
        return self.sink.events


def _large(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("step", [1000, 8191, 65_536, 100_003, 1 << 20])
@pytest.mark.parametrize("masked", [True, False])
def test_binary(step: int, masked: bool) -> None:
    """
    Messages arrive as they were sent, with small ones between large ones. Most bytes of
    a large one are read into its buffer.
    """
    messages = [_large(300_001), b"small", _large(70_000, 2), b"", _large(65_536, 3)]
    key = b"\x37\xfa\x21\x3d" if masked else None
    wire = b"".join(frame(0x82, message, key=key) for message in messages)
    source = Source(wire, from_client=masked)
    assert source.read_all(step) == [("binary", message) for message in messages]
    if step <= 65_536:
        assert source.buffered > 150_000


@pytest.mark.parametrize("step", [997, 65_537])
def test_text(step: int) -> None:
    """
    A read may end within a character.
    """
    text = "é日😀a" * 30_000
    source = Source(frame(0x81, text.encode()) + frame(0x81, b"next"))
    assert source.read_all(step) == [("text", text), ("text", "next")]
    assert source.buffered > 150_000


def test_bad_byte_is_refused_as_it_arrives() -> None:
    """
    An invalid byte in a text fails the connection when it arrives, not at the message's
    end (section 8.1).
    """
    wire = frame(0x81, b"a" * 100_000 + b"\xff" + b"a" * 100_000)
    source = Source(wire)
    source.read(100_000)
    assert source.sink.events == []
    source.read(1000)
    assert source.sink.events == [("violation", 1007, "text is not UTF-8", None)]
    assert source.receiver.get_buffer() is None


def test_cut_at_the_end() -> None:
    """
    A text may not end within a character (section 5.6).
    """
    source = Source(frame(0x81, b"a" * 100_000 + "é".encode()[:1]))
    assert source.read_all(50_000) == [("violation", 1007, "text is not UTF-8", None)]


def test_no_place() -> None:
    """
    There is no buffer before a header is read, for a small payload, the end of a large
    one, fragments, control frames, a message beyond the initial allocation, and while
    delivery is paused.
    """
    receiver = MessageReceiver(Recorder(), max_message_size=1 << 30)
    assert receiver.get_buffer() is None
    receiver.feed(frame(0x82, b"", declared=1000) + b"some")
    assert receiver.get_buffer() is None
    for first, size in ((0x02, 100_000), (0x82, (4 << 20) + 1)):
        receiver = MessageReceiver(Recorder(), max_message_size=1 << 30)
        receiver.feed(frame(first, b"", declared=size) + b"some")
        assert receiver.get_buffer() is None
    receiver = MessageReceiver(Recorder(), max_message_size=1 << 30)
    receiver.feed(frame(0x82, b"", declared=100_000) + b"some")
    assert receiver.get_buffer() is not None
    receiver.pause()
    assert receiver.get_buffer() is None
    receiver.resume()
    assert receiver.get_buffer() is not None
    receiver.feed(bytes(90_000))
    assert receiver.get_buffer() is None
    receiver.stop()
    assert receiver.get_buffer() is None


def test_over_the_limit() -> None:
    """
    A message over the limit gets no buffer (section 10.4).
    """
    sink = Recorder()
    receiver = MessageReceiver(sink, max_message_size=100_000)
    receiver.feed(frame(0x82, b"", declared=100_001))
    assert receiver.get_buffer() is None
    assert [event[:2] for event in sink.events] == [("violation", 1009)]


def test_stopped_while_it_is_read() -> None:
    """
    After stop(), bytes that were read into a buffer are dropped.
    """
    sink = Recorder()
    receiver = MessageReceiver(sink, max_message_size=1 << 20)
    receiver.feed(encode_frame(FIN | OP_BINARY, bytes(200_000), b"abcd")[:50])
    buffer = receiver.get_buffer()
    assert buffer is not None
    with buffer.rest() as rest:
        rest[:1000] = bytes(1000)
    receiver.stop()
    receiver.buffer_updated(1000)
    assert sink.events == []


class TestPayloadBuffer:
    """
    Tests of the buffer itself.
    """

    def test_pieces(self) -> None:
        """
        Pieces are unmasked as they arrive, from any position in the input.
        """
        payload = PayloadBuffer(8)
        payload.add(b"..\x36\x37\x32\x33..", 2, 6, b"WVSR")
        with payload.view() as view:
            assert bytes(view) == b"aaaa"
        with payload.rest() as rest:
            rest[:2] = b"bc"
        payload.accept(2, b"")
        payload.add(b"de", 0, 2, b"")
        assert payload.filled == 8
        assert payload.take() == b"aaaabcde"

    def test_nothing_is_written_beyond(self) -> None:
        """
        Writing beyond the buffer, reading beyond the input, and an invalid mask raise.
        """
        payload = PayloadBuffer(4)
        with pytest.raises(ValueError, match="more bytes"):
            payload.add(b"12345", 0, 5, b"")
        with pytest.raises(ValueError, match="more bytes"):
            payload.accept(5, b"")
        with pytest.raises(ValueError, match="more bytes"):
            payload.accept(-1, b"")
        with pytest.raises(ValueError, match="is incomplete"):
            payload.take()
        assert payload.filled == 0

    def test_what_was_taken_stays(self) -> None:
        """
        A payload doesn't change after it was taken.
        """
        payload = PayloadBuffer(4)
        payload.add(b"1234", 0, 4, b"")
        taken = payload.take()
        with pytest.raises(ValueError, match="more bytes"):
            payload.accept(1, b"mask")
        assert taken == b"1234"

    @pytest.mark.parametrize("piece", [1000, 70_000, 10_000_000])
    @pytest.mark.parametrize("buffered", [False, True])
    def test_grows(self, piece: int, buffered: bool) -> None:
        """
        The buffer of a large payload grows as bytes arrive. It is never much larger
        than what has arrived, and no byte is lost.
        """
        size = 3 * 1024 * 1024 + 5
        data = bytes(range(256)) * (size // 256 + 1)
        payload = PayloadBuffer(size)
        assert payload.allocated == FIRST_BUFFER_SIZE
        while payload.filled < size:
            start = payload.filled
            if buffered:
                with payload.rest() as rest:
                    count = min(piece, len(rest))
                    assert count > 0
                    rest[:count] = data[start : start + count]
                payload.accept(count, b"")
            else:
                end = min(start + piece, size)
                payload.add(data, start, end, b"")
            held = max(FIRST_BUFFER_SIZE, BUFFER_GROWTH * (payload.filled + 64 * 1024))
            assert payload.allocated <= min(size, held)
        assert payload.take() == data[:size]
        assert payload.allocated == 0
