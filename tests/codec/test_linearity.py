"""
The cost is linear in the number of bytes, however they are split.

The tests count instead of measuring time: the calls, and the bytes copied out of the
input or into the checks, for an input and for one twice as long.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType
from typing import Any, SupportsIndex, overload

import pytest

import wsplug.codec
from tests.codec.threeways import Recorder, frame
from wsplug.codec import HeadParser, MessageReceiver
from wsplug.codec.httphead import _CLEAN
from wsplug.codec.utf8 import check_utf8

RATIO = 2.5


def calls(function: Callable[[], object]) -> int:
    """Count the calls of Python and C functions that a function makes."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def _unmask(data: bytes, start: int, end: int, mask: bytes) -> bytes:
    """The plain Python version: see masking.py."""
    piece = data[start:end]
    key = (mask * (len(piece) // 4 + 1))[: len(piece)]
    return bytes(left ^ right for left, right in zip(piece, key, strict=True))


def _unmask_behind(data: bytes, start: int, end: int) -> bytes:
    return _unmask(data, start, end, data[start - 4 : start])


def _load_source() -> Any:
    """
    Load the receiver from its source, whichever build runs: extension modules accept no
    subclasses of bytes.
    """
    source = Path(wsplug.codec.__file__).with_name("receiver.py")
    spec = spec_from_file_location("plain_receiver", source)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    settable: Any = module
    settable.unmask = _unmask
    settable.unmask_behind = _unmask_behind
    return module


PlainReceiver = _load_source().MessageReceiver


class Counting(bytes):
    """
    Bytes that count how many of them are copied by slicing.
    """

    copied = 0

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | bytes:
        if isinstance(key, slice):
            piece = super().__getitem__(key)
            Counting.copied += len(piece)
            return piece
        return super().__getitem__(key)


def streams(size: int) -> dict[str, bytes]:
    """Make inputs of about some size, each one difficult in its own way."""
    return {
        "one message": frame(0x81, b"x" * size),
        "cut characters": frame(0x81, "\u20ac".encode() * (size // 3)),
        "many messages": frame(0x82, b"x") * (size // 7),
        "empty fragments": frame(0x02) + frame(0x00) * (size // 6) + frame(0x80),
        "small fragments": frame(0x01, b"x") + frame(0x00, b"x") * (size // 7),
        "pings in a message": frame(0x01, b"x" * 100) + frame(0x89) * (size // 6),
    }


@pytest.mark.parametrize("name", streams(0))
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_receiver_calls(name: str, step: int) -> None:
    """Twice the bytes make about twice the calls."""

    def run(size: int) -> int:
        data = streams(size)[name]
        target = MessageReceiver(Recorder(), max_message_size=1 << 20)

        def feed() -> None:
            for start in range(0, len(data), step):
                target.feed(data[start : start + step])

        return calls(feed)

    assert run(6_000) < RATIO * run(3_000) + 100


@pytest.mark.parametrize("name", streams(0))
def test_receiver_copies(name: str) -> None:
    """
    Input in one piece is copied a bounded number of times. The remaining input isn't
    copied for each frame.
    """
    data = streams(20_000)[name]
    Counting.copied = 0
    receiver = PlainReceiver(Recorder(), max_message_size=1 << 20)
    receiver.feed(Counting(data))
    assert Counting.copied <= 3 * len(data)


@pytest.mark.parametrize("size", [2_000, 4_000])
def test_utf8_is_looked_at_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte, a check reads only the new byte, and at most one character."""
    looked = 0

    def counting(buffer: bytearray, start: int, *more: Any) -> int:
        nonlocal looked
        looked += len(buffer) - start
        return check_utf8(buffer, start, *more)

    monkeypatch.setattr("wsplug.codec.receiver.check_utf8", counting)
    sink = Recorder()
    target = MessageReceiver(sink, max_message_size=1 << 20)
    for octet in frame(0x81, "\U0001f600".encode() * (size // 4)):
        target.feed(bytes([octet]))
    assert len(sink.events) == 1
    assert size <= looked <= 4 * size


class TestHead:
    """The head parser, fed byte by byte."""

    HEADS = (
        ("long value", lambda size: b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * size),
        ("spaces", lambda size: b"GET / HTTP/1.1\r\nHost: a\r\nX: a" + b" " * size),
        ("many lines", lambda size: b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (size // 6)),
        ("empty lines", lambda size: b"\r\n" * (size // 2)),
    )

    @pytest.mark.parametrize(
        "make", [pytest.param(make, id=name) for name, make in HEADS]
    )
    def test_calls(self, make: Callable[[int], bytes]) -> None:
        """Twice the bytes make about twice the calls."""

        def run(size: int) -> int:
            data = make(size)
            parser = HeadParser(1 << 20, 1 << 20)
            return calls(lambda: [parser.feed(bytes([octet])) for octet in data])

        assert run(8_000) < RATIO * run(4_000) + 100

    def test_clean_bytes_are_not_searched_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The search for bad bytes resumes where it has ended."""
        searched = 0

        class CountingPattern:
            def match(
                self, buffer: bytearray, start: int, stop: int
            ) -> re.Match[bytes] | None:
                nonlocal searched
                searched += stop - start
                return _CLEAN.match(buffer, start, stop)

        monkeypatch.setattr("wsplug.codec.httphead._CLEAN", CountingPattern())
        parser = HeadParser()
        data = b"GET / HTTP/1.1\r\nX: " + b"x" * 1000
        for octet in data:
            assert parser.feed(bytes([octet])) is None
        # A carriage return is searched again, together with the byte after it.
        assert len(data) <= searched <= len(data) + 1


def test_a_run_of_spaces_is_looked_at_once() -> None:
    """
    The regular expressions for a head have no two parts that match the same whitespace,
    which would make the cost quadratic.

    The work of a regular expression can't be counted. Linear cost takes milliseconds
    for this line, and quadratic cost an hour, so the timeout measures nothing and only
    ends the run.
    """
    code = (
        "from wsplug.codec import HeadParser\n"
        "data = b'GET / HTTP/1.1\\r\\nHost: a\\r\\nX: a' + b' ' * (1 << 20)\n"
        "head = HeadParser(max_size=1 << 21).feed(data + b'b \\r\\n\\r\\n')\n"
        "assert head.headers[1] == (b'x', b'a' + b' ' * (1 << 20) + b'b')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
