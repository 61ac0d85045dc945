"""
How a program's output becomes messages.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Chunks", "Framing", "Lines"]


class Framing(Protocol):
    """
    Splits a program's output into messages.
    """

    def feed(self, data: bytes) -> list[str | bytes]:
        """
        Add output.

        @return: the messages that are complete.
        """

    def finish(self) -> list[str | bytes]:
        """
        End the output.

        @return: the remaining messages.
        """


class Lines:
    """
    A text message for each line, without its C{LF} or C{CR LF}. Bytes that aren't UTF-8
    become replacement characters.

    A line that is too long is split into several messages, between characters. The last
    line needn't end with C{LF}.
    """

    def __init__(self, limit: int) -> None:
        """
        @param limit: bytes that a message may have.
        """
        self._limit = limit
        self._line = bytearray()
        self._wasCut = False

    def feed(self, data: bytes) -> list[str | bytes]:
        messages: list[str | bytes] = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._add(line, messages)
            self._endLine(messages)
        self._add(rest, messages)
        return messages

    def finish(self) -> list[str | bytes]:
        messages: list[str | bytes] = []
        if self._line:
            self._endLine(messages)
        return messages

    def _add(self, data: bytes, messages: list[str | bytes]) -> None:
        line = self._line
        line += data
        start = 0
        while len(line) - start > self._limit:
            end = self._cut(start)
            messages.append(line[start:end].decode("utf-8", "replace"))
            start = end
            self._wasCut = True
        del line[:start]

    def _cut(self, start: int) -> int:
        """
        Find where to split the line, for a message from an index on.
        """
        line = self._line
        end = start + self._limit
        for index in range(end, max(end - 4, start), -1):
            if line[index] & 0xC0 != 0x80:  # not a continuation byte
                return index
        return end

    def _endLine(self, messages: list[str | bytes]) -> None:
        line = self._line
        if line.endswith(b"\r"):
            del line[-1:]
        if line or not self._wasCut:
            messages.append(line.decode("utf-8", "replace"))
        line.clear()
        self._wasCut = False


class Chunks:
    """
    A binary message for each chunk of output, as it comes.
    """

    def feed(self, data: bytes) -> list[str | bytes]:
        return [data]

    def finish(self) -> list[str | bytes]:
        return []
