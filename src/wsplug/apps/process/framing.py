"""
What a program prints, as messages.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Chunks", "Framing", "Lines"]


class Framing(Protocol):
    """
    Makes messages of a program's output.
    """

    def feed(self, data: bytes) -> list[str | bytes]:
        """
        Take what has come.

        @return: the messages that it completes.
        """

    def finish(self) -> list[str | bytes]:
        """
        Take the end.

        @return: what was left.
        """


class Lines:
    """
    A text message for each line, without its C{LF} or C{CR LF}. Bytes that are no UTF-8
    become replacement characters.

    A line that is too long is cut into messages of at most the limit, between
    characters. The last line is one even where it has no end.
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
        Find where a message ends that begins somewhere in the line.
        """
        line = self._line
        end = start + self._limit
        for place in range(end, max(end - 4, start), -1):
            if line[place] & 0xC0 != 0x80:  # no character goes on here
                return place
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
    A binary message for each piece, as it comes.
    """

    def feed(self, data: bytes) -> list[str | bytes]:
        return [data]

    def finish(self) -> list[str | bytes]:
        return []
