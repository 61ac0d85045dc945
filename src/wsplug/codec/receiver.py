"""
Parses frames, and assembles messages (RFC 6455 sections 5 and 8, RFC 7692 section 6).

This is the hot loop, written for the compiler: each attribute has one type, and there
are no generators, no slices without known ends, and no comparisons of objects where
integers do.

Goal: bytes come in, split anywhere. Each whole message, ping, pong and close goes to
the sink as soon as its last byte is there. The first wrong byte ends the input, with
the rule that it broke.

Plan: nearly every message is one frame in one piece of input. It is cut out, unmasked
and delivered. What the end of the input splits takes the longer way: the bytes of a
header are collected in C{_head} and examined one by one. The pieces of a payload are
unmasked, inflated and checked as they come, and collected in place: in C{_whole} if the
frame says how long the message is, otherwise in C{_message}.

Invariants: lengths are checked against the limit before a byte of payload is kept. At
most a header, a control frame, one message within the limit, and the piece of input
that a paused sink isn't ready for are kept. Each byte is copied a bounded number of
times, however the input is split.
"""

from __future__ import annotations

from typing import Final, Protocol

from wsplug.codec.closecodes import CloseCode, unpack_close
from wsplug.codec.compression import Inflater
from wsplug.codec.frames import (
    FIN,
    MAX_CONTROL_SIZE,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTINUATION,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
)
from wsplug.codec.masking import PayloadBuffer, unmask, unmask_behind
from wsplug.codec.utf8 import check_utf8
from wsplug.errors import ProtocolViolation

__all__ = [
    "DEFAULT_MAX_FRAGMENTS",
    "DEFAULT_MAX_MESSAGE_SIZE",
    "MessageReceiver",
    "MessageSink",
]

DEFAULT_MAX_MESSAGE_SIZE: Final = 1024 * 1024
"""
Bytes of a message's payload, inflated. The C{websockets} library takes as many.
"""

DEFAULT_MAX_FRAGMENTS: Final = 4096
"""
Frames that a message may come in: without a limit, a peer could send empty ones for
ever and never be done.
"""

_MAX_WHOLE: Final = 4 * 1024 * 1024
"""
The largest buffer that is allocated because a frame declares a length. The buffer of a
longer message grows as bytes arrive.
"""

_MIN_BUFFER: Final = 64 * 1024
"""
The least number of missing bytes for which reading into the buffer pays.
"""

_FRAGMENTS_AT_A_TIME: Final = 256
"""
The number of fragments after which the sink gets their count. Each one is work, even if
it completes no message.
"""

_MAX_LIMIT: Final = 1 << 60
"""
The largest limit. Sums with it and a little more still fit into 64 bits.
"""


class MessageSink(Protocol):
    """
    The receiver of messages. Its methods may call any method of the receiver, and must
    not raise.
    """

    def text_received(self, message: str) -> None:
        """A whole text message."""

    def binary_received(self, message: bytes) -> None:
        """A whole binary message."""

    def ping_received(self, payload: bytes) -> None:
        """A ping: 125 bytes at most, to be sent back in a pong (section 5.5.2)."""

    def pong_received(self, payload: bytes) -> None:
        """A pong: 125 bytes at most."""

    def close_received(self, code: int, reason: str) -> None:
        """A close frame; the code is 1005 if it has none. Nothing follows."""

    def fragments_received(self, count: int) -> None:
        """The count of further fragments that completed no message."""

    def violation_received(self, violation: ProtocolViolation) -> None:
        """The peer broke a rule. Nothing follows."""


# What a frame's first byte may be, by (compression agreed, inside a fragmented
# message): 256 entries each, 0 for right, else an index into _FIRST_BYTE_RULES.
_FIRST_BYTE_RULES: Final = (
    "",
    "reserved bit set",  # section 5.2
    "reserved opcode",  # section 5.2
    "fragmented control frame",  # section 5.4
    "continuation frame outside a message",  # section 5.4
    "new message inside a fragmented one",  # section 5.4
    "compressed bit on a frame that can't have it",  # RFC 7692 section 6.1
)


def _judge_first_byte(first: int, compression: bool, fragmented: bool) -> int:
    opcode = first & 0x0F
    if first & 0x30 or (first & RSV1 and not compression):
        return 1
    if opcode not in (OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG):
        return 2
    if opcode >= OP_CLOSE:
        if not first & FIN:
            return 3
    elif opcode == OP_CONTINUATION:
        if not fragmented:
            return 4
    elif fragmented:
        return 5
    if first & RSV1 and opcode not in (OP_TEXT, OP_BINARY):
        return 6
    return 0


_FIRST_BYTES: Final = tuple(
    bytes(_judge_first_byte(first, compression, fragmented) for first in range(256))
    for compression in (False, True)
    for fragmented in (False, True)
)


class MessageReceiver:
    """
    Turns one connection's bytes into messages.
    """

    __slots__ = (
        "_checked",
        "_collecting",
        "_compressed",
        "_control",
        "_first",
        "_first_bytes",
        "_fragments",
        "_head",
        "_inflater",
        "_input",
        "_left",
        "_limit",
        "_mask",
        "_masked",
        "_max_fragments",
        "_message",
        "_opcode",
        "_paused",
        "_position",
        "_running",
        "_sink",
        "_stopped",
        "_untold",
        "_updated",
        "_whole",
        "_wire_size",
    )

    def __init__(
        self,
        sink: MessageSink,
        *,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        max_fragments: int = DEFAULT_MAX_FRAGMENTS,
        inflater: Inflater | None = None,
        from_client: bool = True,
    ) -> None:
        """
        @param sink: gets what is received. The receiver refers to it until
            L{stop}.
        @param max_message_size: bytes that a message may have, inflated.
        @param max_fragments: frames that a message may come in.
        @param inflater: the connection's inflater, if compression was negotiated.
        @param from_client: whether the peer is a client, whose frames must be masked;
            a server's must not be (section 5.1).
        """
        self._sink: MessageSink | None = sink
        self._limit: int = min(max_message_size, _MAX_LIMIT)
        self._max_fragments: int = min(max_fragments, _MAX_LIMIT)
        self._inflater: Inflater | None = inflater
        self._masked: int = 0x80 if from_client else 0
        # The input that is not read yet, from _position on.
        self._input: bytes = b""
        self._position: int = 0
        self._paused: bool = False
        self._running: bool = False
        self._stopped: bool = False
        # A header that the input's end cut.
        self._head: bytearray | None = None
        # The frame whose payload is being collected, and what is missing of it.
        self._first: int = 0
        self._left: int = 0
        self._mask: bytes = b""
        self._collecting: bool = False
        self._control: bytearray | None = None
        # The message that is being collected: OP_CONTINUATION where there is none.
        self._opcode: int = OP_CONTINUATION
        self._compressed: bool = False
        self._message: bytearray | None = None
        self._whole: PayloadBuffer | None = None
        self._updated: int = 0
        self._checked: int = 0
        self._wire_size: int = 0
        self._fragments: int = 0
        # Fragments since the sink was told of some, of any message.
        self._untold: int = 0
        self._first_bytes: bytes = _FIRST_BYTES[2 if inflater is not None else 0]

    def limit(self, max_message_size: int) -> None:
        """
        Change the limit for messages that begin from now on.

        @param max_message_size: bytes that a message may have, inflated.
        """
        self._limit = min(max_message_size, _MAX_LIMIT)

    def feed(self, data: bytes) -> None:
        """
        Parse the next bytes, and deliver what they complete.

        This never raises, whatever the peer sends: the sink gets the violation.

        @param data: any number of bytes; kept only while the receiver is paused.
        """
        if self._stopped:
            return
        if self._position < len(self._input):
            self._input = self._input[self._position :] + data
        else:
            self._input = data
        self._position = 0
        self._run()

    def get_buffer(self) -> PayloadBuffer | None:
        """
        Return the payload whose next bytes may be read directly into its buffer. Call
        L{buffer_updated} afterwards. C{None} if the next bytes aren't known to belong
        to a large payload: then call L{feed}.
        """
        if self._left < _MIN_BUFFER or self._paused or self._running:
            return None
        return self._whole

    def incomplete_size(self) -> int:
        """
        Return the number of bytes that are kept: of an incomplete message, and of input
        that a paused sink isn't ready for.
        """
        size = len(self._input) - self._position
        message, whole = self._message, self._whole
        if message is not None:
            size += len(message)
        if whole is not None:
            size += whole.allocated
        return size

    def buffer_updated(self, size: int) -> None:
        """
        Continue with the bytes that were read into L{get_buffer}.

        @param size: how many bytes were, from the beginning of C{rest()}.
        """
        if self._stopped:
            return
        self._updated = size
        self._run()

    def pause(self) -> None:
        """
        Deliver nothing until L{resume}. Input that is fed before that is kept, and the
        caller limits it by not reading.
        """
        self._paused = True

    def resume(self) -> None:
        """
        Continue to deliver, immediately.
        """
        self._paused = False
        self._run()

    def look_ahead(self, seen: int) -> int:
        """
        Look for a close frame in the kept input while the sink is paused.

        @param seen: what this gave before in the same pause, or 0.
        @return: the number of bytes in front of which there is none; where one begins
            behind them, the complement of it (C{~}), which is negative.
        """
        if self._head is not None:
            return seen  # it begins in the midst of a header: that is rare
        data = self._input
        if not seen and self._collecting:
            seen = self._left
        while True:
            position = self._position + seen
            if len(data) - position < 2:
                return seen
            if data[position] & 0x0F == OP_CLOSE:
                return ~seen
            size = data[position + 1] & 0x7F
            extra = 0 if size < 126 else 2 if size == 126 else 8
            behind = position + 2 + extra
            if behind > len(data):
                return seen
            if extra == 8 and data[position + 2] >= 0x20:
                return seen  # more than anybody may send
            if extra:
                size = int.from_bytes(data[position + 2 : behind], "big")
            seen += 2 + extra + (4 if self._masked else 0) + size

    def skip(self, size: int) -> None:
        """
        Skip some bytes of the kept input, up to the beginning of a frame.
        """
        self._position += size
        self._collecting = False
        self._left = 0
        self._control = None

    def stop(self) -> None:
        """
        Discard the kept input and everything that is fed from now on, and release the
        sink.
        """
        self._stopped = True
        self._sink = None
        self._input = b""
        self._position = 0
        self._head = self._control = self._message = self._inflater = None
        self._whole = None

    def _run(self) -> None:
        """
        Parse the input up to its end, a pause or a violation. Only here does the sink
        get a violation.
        """
        if self._running:
            return  # called from the sink: the outer loop goes on
        self._running = True
        try:
            self._read()
        except ProtocolViolation as violation:
            sink = self._sink
            self.stop()
            if sink is not None:
                sink.violation_received(violation)
        finally:
            self._running = False

    def _read(self) -> None:
        if self._updated:
            self._read_buffer()
        while self._position < len(self._input) and not self._paused:
            if self._collecting:
                self._read_payload()
            elif self._head is not None:
                self._read_head_slowly()
            else:
                self._read_frame()
        if self._position >= len(self._input):
            # A connection at rest holds nothing of what it has read.
            self._input = b""
            self._position = 0

    def _read_frame(self) -> None:
        """
        Parse a frame that is complete in the input, as nearly all are.
        """
        data = self._input
        start = self._position
        available = len(data) - start
        if available < 2:
            self._head = bytearray()
            return
        first = data[start]
        second = data[start + 1]
        self._check_start(first, second)
        size = second & 0x7F
        position = start + 2
        extra = 0 if size < 126 else 2 if size == 126 else 8
        if available < 2 + extra + (4 if self._masked else 0):
            self._head = bytearray()
            return
        if extra:
            size = _extended_length(data, position, extra)
            position += extra
        if self._masked:
            position += 4
        self._check_size(first, size)
        if size > len(data) - position:
            self._position = position
            mask = data[position - 4 : position] if self._masked else b""
            self._begin_payload(first, size, mask)
            return
        end = position + size
        if self._masked:
            payload = unmask_behind(data, position, end)
        else:
            payload = data[position:end]
        self._position = end
        if first == FIN | OP_TEXT:
            self._deliver_text(payload)
        elif first == FIN | OP_BINARY:
            self._deliver_binary(payload)
        elif first & 0x08:
            self._deliver_control(first & 0x0F, payload)
        else:
            self._begin_message(first)
            self._collect(payload)
            self._end_frame(first)

    def _read_head_slowly(self) -> None:
        """
        Parse a header that is split by the end of the input, one byte at a time. So a
        wrong first or second byte is found at once.
        """
        head = self._head
        assert head is not None
        data = self._input
        position = self._position
        needed = 2 if len(head) < 2 else _head_size(head[1])
        while position < len(data) and len(head) < needed:
            head.append(data[position])
            position += 1
            self._position = position
            if len(head) == 1:
                self._check_start(head[0], self._masked)
            if len(head) >= 2:
                if len(head) == 2:
                    self._check_start(head[0], head[1])
                needed = _head_size(head[1])
        if len(head) < 2 or len(head) < needed:
            return
        size = head[1] & 0x7F
        extra = needed - 2 - (4 if self._masked else 0)
        if extra:
            size = _extended_length(bytes(head), 2, extra)
        self._check_size(head[0], size)
        self._head = None
        self._begin_payload(head[0], size, bytes(head[2 + extra :]))

    def _begin_payload(self, first: int, size: int, mask: bytes) -> None:
        """
        Start a payload that hasn't arrived completely.
        """
        self._first = first
        self._left = size
        self._mask = mask
        if first & 0x08:
            self._control = bytearray()
        elif (
            first == FIN | OP_TEXT or first == FIN | OP_BINARY
        ) and size <= _MAX_WHOLE:
            self._whole = PayloadBuffer(size)
            self._checked = 0
        else:
            self._begin_message(first)
        self._collecting = True
        if size == 0:
            self._end_payload()

    def _read_payload(self) -> None:
        """
        Read the next piece of a payload.
        """
        start = self._position
        end = min(len(self._input), start + self._left)
        data = self._input
        mask = self._mask
        self._position = end
        size = end - start
        self._left -= size
        whole = self._whole
        if whole is not None:
            whole.add(data, start, end, mask)
            self._check_whole(whole)
        else:
            piece = unmask(data, start, end, mask) if mask else data[start:end]
            control = self._control
            if control is None:
                self._collect(piece)
            else:
                control += piece
                if self._first & 0x0F == OP_CLOSE and self._left:
                    _check_close_prefix(control)
        self._turn_mask(size)
        if not self._left:
            self._end_payload()

    def _read_buffer(self) -> None:
        """
        Continue with the bytes that were read into the payload's buffer.
        """
        whole = self._whole
        assert whole is not None
        size = self._updated
        self._updated = 0
        whole.accept(size, self._mask)
        self._left -= size
        self._turn_mask(size)
        self._check_whole(whole)
        if not self._left:
            self._end_payload()

    def _turn_mask(self, size: int) -> None:
        """
        Rotate the mask, so that its first byte is the one for the next byte of payload.
        """
        mask = self._mask
        turn = size & 3
        if turn and mask:
            self._mask = mask[turn:] + mask[:turn]

    def _check_whole(self, whole: PayloadBuffer) -> None:
        if self._first & 0x0F == OP_TEXT:
            with whole.view() as view:
                self._checked = check_utf8(view, self._checked, not self._left)

    def _end_payload(self) -> None:
        self._collecting = False
        whole = self._whole
        control = self._control
        if whole is not None:
            self._whole = None
            if self._first & 0x0F == OP_TEXT:
                self._deliver_text(whole.take())
            else:
                self._deliver_binary(whole.take())
        elif control is not None:
            self._control = None
            self._deliver_control(self._first & 0x0F, bytes(control))
        else:
            self._end_frame(self._first)

    def _check_start(self, first: int, second: int) -> None:
        """
        Check a frame's first two bytes (section 5.2).
        """
        rule = self._first_bytes[first]
        if rule:
            raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, _FIRST_BYTE_RULES[rule])
        if second & 0x80 != self._masked:  # section 5.1
            raise ProtocolViolation(
                CloseCode.PROTOCOL_ERROR,
                "frame is not masked" if self._masked else "frame is masked",
            )
        if first & 0x08 and second & 0x7F > MAX_CONTROL_SIZE:  # section 5.5
            raise ProtocolViolation(
                CloseCode.PROTOCOL_ERROR, "control frame over 125 bytes"
            )

    def _check_size(self, first: int, size: int) -> None:
        """
        Check the declared length of a data frame, together with the fragments before
        it, against the limit, before any of it is kept.
        """
        if first & 0x08:
            return
        if first & RSV1 or (self._compressed and first & 0x0F == OP_CONTINUATION):
            # What comes out is counted while it does. This bounds what goes in, by
            # more than zlib adds to data that it can't compress (its deflateBound).
            room = self._limit + (self._limit >> 3) + (self._limit >> 6) + 64
            if not first & RSV1:
                room -= self._wire_size
        else:
            room = self._limit
            message = self._message
            if message is not None and first & 0x0F == OP_CONTINUATION:
                room -= len(message)
        # Not the sum against the limit: the size is the peer's, and may be any.
        if size > room:
            raise self._too_big()

    def _too_big(self) -> ProtocolViolation:
        return ProtocolViolation(
            CloseCode.MESSAGE_TOO_BIG,
            f"message over {self._limit} bytes",
            "max-message-size",
        )

    def _begin_message(self, first: int) -> None:
        """
        Start to collect a message, or continue one.
        """
        opcode = first & 0x0F
        if opcode == OP_CONTINUATION:
            self._fragments += 1
            if self._fragments > self._max_fragments:
                raise ProtocolViolation(
                    CloseCode.POLICY_VIOLATION,
                    f"message of over {self._max_fragments} frames",
                    "max-fragments",
                )
            return
        self._fragments = 1
        self._opcode = opcode
        self._compressed = first & RSV1 != 0
        self._message = bytearray()
        self._checked = 0
        self._wire_size = 0
        self._first_bytes = _FIRST_BYTES[3 if self._inflater is not None else 1]

    def _collect(self, piece: bytes) -> None:
        """
        Inflate an unmasked piece of payload, if it is compressed, and add it to the
        message.
        """
        message = self._message
        assert message is not None
        if self._compressed:
            inflater = self._inflater
            assert inflater is not None
            self._wire_size += len(piece)
            piece = inflater.inflate(piece, self._limit - len(message))
        message += piece
        # Before the limit: of two broken rules the first in the stream counts, also
        # where one piece of input breaks both.
        if self._opcode == OP_TEXT:
            self._checked = check_utf8(message, self._checked, False)
        if len(message) > self._limit:
            raise self._too_big()

    def _end_frame(self, first: int) -> None:
        """
        Deliver the collected message if the frame was its last.
        """
        if first & FIN:
            self._end_message()
        self._untold += 1
        if self._untold == _FRAGMENTS_AT_A_TIME:
            self._untold = 0
            sink = self._sink
            if sink is not None:
                sink.fragments_received(_FRAGMENTS_AT_A_TIME)

    def _end_message(self) -> None:
        message = self._message
        assert message is not None
        if self._compressed:
            inflater = self._inflater
            assert inflater is not None
            message += inflater.finish(self._limit - len(message))
            if len(message) > self._limit:
                raise self._too_big()
        opcode = self._opcode
        self._opcode = OP_CONTINUATION
        self._message = None
        self._first_bytes = _FIRST_BYTES[2 if self._inflater is not None else 0]
        if opcode == OP_TEXT:
            check_utf8(message, self._checked, True)
            self._deliver_text(bytes(message))
        else:
            self._deliver_binary(bytes(message))

    def _deliver_text(self, payload: bytes) -> None:
        try:
            text = payload.decode("utf-8")
        except UnicodeDecodeError:
            raise ProtocolViolation(
                CloseCode.INVALID_DATA, "text is not UTF-8"
            ) from None
        sink = self._sink
        if sink is not None:
            sink.text_received(text)

    def _deliver_binary(self, payload: bytes) -> None:
        sink = self._sink
        if sink is not None:
            sink.binary_received(payload)

    def _deliver_control(self, opcode: int, payload: bytes) -> None:
        sink = self._sink
        if sink is None:
            return
        if opcode == OP_PING:
            sink.ping_received(payload)
        elif opcode == OP_PONG:
            sink.pong_received(payload)
        else:
            code, reason = unpack_close(payload)
            self.stop()
            sink.close_received(code, reason)


def _head_size(second: int) -> int:
    """
    Return the size of a whole header, by its second byte (section 5.2).
    """
    size = second & 0x7F
    extra = 0 if size < 126 else 2 if size == 126 else 8
    return 2 + extra + (4 if second & 0x80 else 0)


def _extended_length(data: bytes, position: int, extra: int) -> int:
    """
    Read a length of two or eight bytes (section 5.2).
    """
    if extra == 2:
        size = data[position] << 8 | data[position + 1]
        if size > 125:
            return size
    else:
        if data[position] & 0x80:
            raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, "length over 63 bits")
        size = int.from_bytes(data[position : position + 8], "big")
        if size > 0xFFFF:
            return size
    raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, "length not in its shortest form")


def _check_close_prefix(payload: bytearray) -> None:
    """
    Check the part of a close frame that has arrived.
    """
    if len(payload) >= 2:
        unpack_close(bytes(payload[:2]))
        check_utf8(payload[2:], 0, False, "close reason")
