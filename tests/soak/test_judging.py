"""The soak's judgement itself: problems are found."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.frames import BINARY, COMPRESSED, FIN, PING, TEXT, Reader, deflate
from tests.soak.ledger import Ledger
from tests.soak.verdict import Evidence, judge, report
from wsplug.codec import encode_frame


def saying(*texts: str) -> Ledger:
    """A ledger in which two members received everything published."""
    ledger = Ledger()
    for member in range(2):
        last = 0
        for offset, text in enumerate(texts, 1):
            last = ledger.see("room", last, offset, text)
            if not member:
                ledger.say("room", text)
        ledger.end("room", last)
    return ledger


def test_all_came() -> None:
    """If every member received everything, nothing is wrong, even with several
    processes' records.
    """
    ledger = saying("a 1 x", "b 1 x", "a 2 x")
    assert ledger.judge() == []
    assert ledger.deliveries == 6
    merged = Ledger()
    merged.add(json.loads(json.dumps(ledger.dump())))
    assert merged.judge() == []
    assert merged.deliveries == 6


def lose(ledger: Ledger) -> None:
    ledger.say("room", "c 1 x")


def makeUp(ledger: Ledger) -> None:
    ledger.see("room", 2, 3, "c 1 x")


def sendTwice(ledger: Ledger) -> None:
    ledger.see("room", 2, 3, "b 1 x")


def leaveOut(ledger: Ledger) -> None:
    ledger.say("room", "c 1 x")
    ledger.see("room", 1, 3, "c 1 x")


def differ(ledger: Ledger) -> None:
    ledger.see("room", 0, 1, "c 1 x")


def fallBehind(ledger: Ledger) -> None:
    ledger.end("room", 1)


def misplace(ledger: Ledger) -> None:
    ledger.say("room", "c 1 x", 4)
    ledger.see("room", 2, 3, "c 1 x")


def turnAround(ledger: Ledger) -> None:
    for offset, text in ((3, "c 2 x"), (4, "c 1 x")):
        ledger.say("room", text)
        ledger.see("room", offset - 1, offset, text)


def answerTwice(ledger: Ledger) -> None:
    ledger.say("room", "a 1 x")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lose, "c 1 x was answered for, and did not come"),
        (makeUp, "c 1 x came, and was not answered for"),
        (sendTwice, "b 1 x came 2 times"),
        (leaveOut, "3 came behind 1"),
        (differ, "two messages are 1"),
        (fallBehind, "1 of 3 members did not come to 2"),
        (misplace, "c 1 x came as 3, not as 4"),
        (turnAround, "c 1 came behind 2"),
        (answerTwice, "a 1 x was answered twice"),
    ],
)
def test_faults(fault: Any, words: str) -> None:
    """Each way in which a channel can fail its members is detected."""
    ledger = saying("a 1 x", "b 1 x")
    assert ledger.judge() == []
    fault(ledger)
    assert f"room: {words}" in ledger.judge()


def test_nobody_was_there() -> None:
    """A publication while no member is there need not arrive anywhere."""
    ledger = saying("a 1 x")
    ledger.say("empty", "p 1 x", 1)
    assert ledger.judge() == []


GOOD = Evidence(
    server_busy=0.5,
    wanted=100,
    held=95,
    hangups=1,
    stayed=10,
    descriptors=(20, 32),
    metrics={
        ("wsplug_handshakes_total", ("echo", "", "101")): 3,
        ("wsplug_closings_total", ("echo", "1000", "", "peer")): 2,
        ("wsplug_received_messages_total", ("echo",)): 5,
        ("wsplug_sent_messages_total", ("echo",)): 5,
    },
    latencies=[0.001, 0.002],
    connecting=[0.003],
    memory=[(second, 100 << 20) for second in range(240)],
    scrapes=10,
    samples=10,
    seconds=240,
    status=0,
    stopping=1.0,
    log="SIGHUP: reading the certificates again\n"
    + "127.0.0.1:1 echo: closed by the server, 1012: restarting\n" * 10,
    counts=Counter(
        {
            "handshake echo 101": 3,
            "closing echo 1000 peer -": 2,
            "closing echo 1012 server -": 10,
            "sent echo": 5,
            "received echo": 5,
        }
    ),
)


def test_good() -> None:
    """If everything is as required, no problem is found, and the figures are
    reported.
    """
    assert judge(GOOD) == []
    figures = report(GOOD, [])
    assert figures["echo_milliseconds"]["max"] == 2.0
    assert figures["memory_mib"] == {"warm": 100.0, "late": 100.0}
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": -9}, "status -9"),
        ({"stopping": 13.0}, "13.0 seconds to stop"),
        ({"descriptors": (20, 40)}, "40 descriptors"),
        ({"held": 50}, "only 50 of 100"),
        ({"hangups": 2}, "2 certificates"),
        ({"samples": 0}, "nobody has watched"),
        ({"problems": ["something"]}, "something"),
        ({"log": GOOD.log + "Traceback (most recent call last)"}, "Traceback"),
        ({"log": GOOD.log.replace("1012", "1006", 1)}, "9 were, and 10 know"),
        ({"counts": GOOD.counts + Counter({"sent echo": 1})}, "received by echo"),
        (
            {"counts": GOOD.counts + Counter({"closing echo 1006 peer -": 1})},
            "connections closed as echo 1006 peer -: 0 by the metrics, 1",
        ),
        ({"counts": GOOD.counts + Counter({"handshake - 404": 1})}, "with 404"),
        (
            {"memory": [(each, (100 << 20) + each * 300_000) for each in range(240)]},
            "memory has grown",
        ),
    ],
)
def test_bad(changes: dict[str, Any], words: str) -> None:
    """Each possible problem is found."""
    assert any(words in problem for problem in judge(replace(GOOD, **changes)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([TEXT, BINARY, PING]),
            st.binary(max_size=125) | st.binary(min_size=126, max_size=300),
            st.booleans(),
        )
    ),
    st.integers(1, 50),
)
def test_reader(frames: list[tuple[int, bytes, bool]], step: int) -> None:
    """The clients parse what a server sends, however it is split, including a ping
    within a fragmented message.
    """
    data, expected = b"", []
    for opcode, payload, compressed in frames:
        if opcode == PING:
            payload = payload[:125]
            data += encode_frame(FIN | PING, payload)
        else:
            sent = deflate(payload) if compressed else payload
            first = opcode | (COMPRESSED if compressed else 0)
            data += encode_frame(first, sent[:10])
            data += encode_frame(FIN | PING, b"")
            data += encode_frame(FIN, sent[10:])
            expected.append((PING, b""))
        expected.append((opcode, payload))
    reader = Reader(compressed=True, takeover=False)
    read: list[tuple[int, bytes]] = []
    for start in range(0, len(data), step):
        read += reader.feed(data[start : start + step])
    assert read == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x81mask0",
        b"\x80\x00",
        b"\x01\x00\x81\x00",
        b"\x09\x00",
        b"\x91\x00",
        b"\xc1\x01a",
        b"\x89\x7e\x00\x80" + bytes(128),
    ],
)
def test_reader_judges(data: bytes) -> None:
    """Data that a server may never send is rejected."""
    with pytest.raises(ValueError, match=r"frame|compressed"):
        list(Reader(compressed=False, takeover=False).feed(data))
