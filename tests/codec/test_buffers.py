"""
Large payloads, read straight into their buffer: the way past L{MessageReceiver.feed}.
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
    A stream of bytes, read as a transport reads it: into a buffer where there is one.
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
    Messages arrive as they were sent, one after another and small ones between them;
    most of a large one goes past the input.
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
    Characters are cut anywhere between two reads.
    """
    text = "é日😀a" * 30_000
    source = Source(frame(0x81, text.encode()) + frame(0x81, b"next"))
    assert source.read_all(step) == [("text", text), ("text", "next")]
    assert source.buffered > 150_000


def test_bad_byte_is_refused_as_it_arrives() -> None:
    """
    A wrong byte of a text ends it all at once, not at the message's end (section 8.1).
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
    A text may not end inside a character (section 5.6).
    """
    source = Source(frame(0x81, b"a" * 100_000 + "é".encode()[:1]))
    assert source.read_all(50_000) == [("violation", 1007, "text is not UTF-8", None)]


def test_no_place() -> None:
    """
    There is no buffer before a header is read, for a small payload, for the end of a
    large one, for fragments, control frames, a message beyond what is made room for
    ahead, and while nothing is to be delivered.
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
    No buffer is made for what is over the limit (section 10.4).
    """
    sink = Recorder()
    receiver = MessageReceiver(sink, max_message_size=100_000)
    receiver.feed(frame(0x82, b"", declared=100_001))
    assert receiver.get_buffer() is None
    assert [event[:2] for event in sink.events] == [("violation", 1009)]


def test_stopped_while_it_is_read() -> None:
    """
    What was read into the buffer of a message that nobody wants any more is dropped.
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
    The buffer itself.
    """

    def test_pieces(self) -> None:
        """
        Pieces are unmasked as they come, from wherever they stand in the input.
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
        Neither more than it has, nor what isn't in the input, nor with a mask that is
        none.
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
        The payload that was given away doesn't change any more.
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
        A large payload's buffer grows as it comes: what is held is never much more than
        what is here, and nothing is lost on the way.
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
