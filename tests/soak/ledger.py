"""A record of what was published and received: whether every publication arrived
where it should, once and in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Ledger"]


@dataclass
class Ledger:
    """What one process's clients know about all channels.

    A text is C{SENDER SEQUENCE filler}: each sender numbers its messages.

    @ivar said: by channel, the publications that the server has confirmed: text and
        offset, 0 if the answer has none.
    @ivar seen: by channel and offset, what was received.
    @ivar ends: by channel, its members' offsets at the end.
    @ivar deliveries: the number of messages received.
    @ivar problems: what was wrong immediately.
    """

    said: dict[str, dict[str, int]] = field(default_factory=dict)
    seen: dict[str, dict[int, str]] = field(default_factory=dict)
    ends: dict[str, list[int]] = field(default_factory=dict)
    deliveries: int = 0
    problems: list[str] = field(default_factory=list)

    def say(self, channel: str, text: str, offset: int = 0) -> None:
        """Record a publication."""
        said = self.said.setdefault(channel, {})
        if text in said:
            self.problems.append(f"{channel}: {text[:40]} was answered twice")
        said[text] = offset

    def see(self, channel: str, last: int, offset: int, text: str) -> int:
        """Record what a member received.

        @param last: the member's last offset.
        @return: its new offset.
        """
        self.deliveries += 1
        if offset != last + 1:
            self.problems.append(f"{channel}: {offset} came behind {last}")
        known = self.seen.setdefault(channel, {}).setdefault(offset, text)
        if known != text:
            self.problems.append(f"{channel}: two messages are {offset}")
        return offset

    def end(self, channel: str, offset: int) -> None:
        """Record a member's last offset."""
        self.ends.setdefault(channel, []).append(offset)

    # Exchange between processes

    def dump(self) -> dict[str, Any]:
        """Return the contents as JSON can represent them."""
        return {
            "said": self.said,
            "seen": self.seen,
            "ends": self.ends,
            "deliveries": self.deliveries,
            "problems": self.problems,
        }

    def add(self, dumped: dict[str, Any]) -> None:
        """Add another process's records."""
        for channel, said in dumped["said"].items():
            for text, offset in said.items():
                self.say(channel, text, offset)
        for channel, seen in dumped["seen"].items():
            for offset, text in seen.items():
                known = self.seen.setdefault(channel, {}).setdefault(int(offset), text)
                if known != text:
                    self.problems.append(f"{channel}: two messages are {offset}")
        for channel, offsets in dumped["ends"].items():
            self.ends.setdefault(channel, []).extend(offsets)
        self.deliveries += dumped["deliveries"]
        self.problems.extend(dumped["problems"])

    def judge(self) -> list[str]:
        """Judge all records.

        @return: the problems; none if everything is right.
        """
        return [
            *self.problems,
            *(
                f"{channel}: {problem}"
                for channel in sorted({*self.said, *self.seen, *self.ends})
                for problem in self._judge(channel)
            ),
        ]

    def _judge(self, channel: str) -> Iterator[str]:
        said = self.said.get(channel, {})
        seen = self.seen.get(channel, {})
        places = {text: offset for offset, text in seen.items()}
        for text, count in Counter(seen.values()).items():
            if count > 1:
                yield f"{text[:40]} came {count} times"
            if text not in said:
                yield f"{text[:40]} came, and was not answered for"
        for text, offset in said.items():
            # Possibly no member was there to see it.
            if text not in places and (not offset or offset in seen):
                yield f"{text[:40]} was answered for, and did not come"
            elif offset and places.get(text, offset) != offset:
                yield f"{text[:40]} came as {places[text]}, not as {offset}"
        last: dict[str, int] = {}
        for offset in sorted(seen):
            sender, sequence, *_ = seen[offset].split(" ", 2)
            if int(sequence) <= last.get(sender, 0):
                yield f"{sender} {sequence} came behind {last[sender]}"
            last[sender] = int(sequence)
        ends = self.ends.get(channel, [])
        last_of_all = max([*seen, *said.values(), *ends], default=0)
        behind = sum(end != last_of_all for end in ends)
        if behind:
            yield f"{behind} of {len(ends)} members did not come to {last_of_all}"
