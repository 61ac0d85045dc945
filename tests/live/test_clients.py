"""
Clients that nobody here wrote, over each transport.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.live.conftest import Everywhere, Live
from tests.live.drivers import AsyncioDriver, Driver
from tests.live.talk import (
    Job,
    Message,
    Talk,
    binary,
    close,
    exchange,
    fragments,
    ping,
    receive,
    recordOf,
    send,
    text,
)

MIB = 1024 * 1024

UNICODE = "Zażółć gęślą jaźń, 日本語, 🧦🦉, \u0000, e\u0301"

MIXED = bytes(range(256)) + b"0123456789" * 13
"""
Of a length that is no power of two.
"""


def run(client: Driver, job: Job) -> list[Talk]:
    """
    Do a job, as far as the client can, in which nothing goes wrong.
    """
    needed = {
        "tls": job.ca is not None,
        "unix": job.unix is not None,
        "compression": job.compression,
        "bits": job.bits is not None,
        "subprotocols": bool(job.subprotocols),
    }
    lacks = [name for name, need in needed.items() if need and name not in client.can]
    if lacks:
        pytest.skip(f"this client can't: {', '.join(lacks)}")
    talks = client.do(job)
    assert [talk.error for talk in talks] == [None] * len(job.talks)
    return talks


def needs(client: Driver, ability: str) -> None:
    """
    Leave out what the client can't.
    """
    if ability not in client.can:
        pytest.skip(f"this client can't: {ability}")


def takesLong(client: Driver, live: Live) -> None:
    """
    Leave out all transports but TCP, unless the client is the fastest.
    """
    if live.transport != "tcp" and not isinstance(client, AsyncioDriver):
        pytest.skip("it would take long")


def checkClosed(client: Driver, talk: Talk, code: int, reason: str = "") -> None:
    """
    The client has seen the close with its code, if its library tells.
    """
    assert talk.closed == ((code, reason) if "codes" in client.can else None)


def checkEcho(client: Driver, job: Job, *messages: Message) -> Talk:
    """
    All messages have come back as they were, and the end was in order.
    """
    (talk,) = run(client, job)
    assert talk.received == [recordOf(message) for message in messages]
    if "codes" in client.can:
        assert talk.closed is not None
        assert talk.closed[0] == 1000
    return talk


def askFor(*messages: Message) -> list[dict[str, object]]:
    """
    Steps that send messages, each when the one before has come back.
    """
    steps = [step for each in messages for step in (send(each), receive())]
    return [*steps, close()]


MESSAGES = (
    text("hello"),
    text(""),
    text(UNICODE),
    text("x", 125),
    text("x", 126),
    text("ą🦉", 11000),
    binary(b""),
    binary(MIXED),
    binary(MIXED, 170),
)


class TestEcho:
    """
    Messages come back as they were.
    """

    def test_kinds(self, client: Driver, live: Live) -> None:
        """
        Text and binary, empty ones, and each of the three forms of a frame's length.
        """
        checkEcho(client, live.job(askFor(*MESSAGES)), *MESSAGES)

    def test_limit(self, client: Driver, live: Live) -> None:
        """
        Messages of exactly the limit, 1 MiB, are within it.
        """
        messages = (text("a", MIB), binary(b"ab", MIB // 2))
        checkEcho(client, live.job(askFor(*messages)), *messages)

    def test_pipelined(self, client: Driver, live: Live) -> None:
        """
        Many messages that don't wait for each other keep their order.
        """
        messages = [text(f"{number} ", 1 + number % 200) for number in range(300)]
        steps = [*map(send, messages), receive(len(messages)), close()]
        checkEcho(client, live.job(steps), *messages)

    def test_fragments(self, client: Driver, live: Live) -> None:
        """
        A fragmented message comes back whole, also one that is cut inside a
        character, where the client can be made to do that.
        """
        needs(client, "fragments")
        texts = [text("one "), text(""), text("ąę", 40000), text("end")]
        bytes = [binary(b"\0\1"), binary(MIXED, 100), binary(b"\xff")]
        steps = [fragments(*texts), receive(), fragments(*bytes), receive(), close()]
        whole = "one " + "ąę" * 40000 + "end"
        checkEcho(
            client,
            live.job(steps),
            text(whole),
            binary(b"\0\1" + MIXED * 100 + b"\xff"),
        )

    def test_compressedFragments(self, client: Driver, live: Live) -> None:
        """
        Fragments of a compressed message are inflated together.
        """
        needs(client, "fragments")
        parts = [text("one ", 100), text("two ", 5000), text("three")]
        steps = [fragments(*parts), receive(), close()]
        whole = "one " * 100 + "two " * 5000 + "three"
        talk = checkEcho(client, live.job(steps, compression=True), text(whole))
        assert talk.compressed

    def test_pings(self, client: Driver, live: Live) -> None:
        """
        A ping is answered with its payload, between messages too.
        """
        steps = [
            ping(b"one"),
            send(text("a")),
            receive(),
            ping(b"\0\xff" * 62),
            ping(b"x"),
            close(),
        ]
        talk = checkEcho(client, live.job(steps), text("a"))
        assert talk.pongs == [b"one".hex(), "00ff" * 62, b"x".hex()]

    def test_pingedByServer(self, client: Driver, live: Live) -> None:
        """
        The client's pong reaches the application.
        """
        steps = [send(text("ping some payload")), receive(), close()]
        job = live.job(steps, path="/live")
        checkEcho(client, job, text("pong some payload"))


class TestCompression:
    """
    permessage-deflate, as the client and the settings want it.
    """

    def test_on(self, client: Driver, live: Live) -> None:
        """
        It is agreed on where the client offers it, and messages of all sizes survive.
        """
        messages = (*MESSAGES, text("a", MIB))
        job = live.job(askFor(*messages), compression=True)
        assert checkEcho(client, job, *messages).compressed

    def test_off(self, client: Driver, live: Live) -> None:
        """
        It isn't where the client doesn't.
        """
        assert not checkEcho(client, live.job(askFor(text("a"))), text("a")).compressed

    def test_contextTakeover(self, client: Driver, roomy: Live) -> None:
        """
        Messages that refer to earlier ones are understood by both sides.
        """
        messages = [text(f"{number}: the same words again. ", 20) for number in "abcd"]
        messages += [*MESSAGES, *messages]
        job = roomy.job(askFor(*messages), compression=True)
        assert checkEcho(client, job, *messages).compressed

    @pytest.mark.parametrize("bits", range(9, 16))
    @pytest.mark.parametrize("takeover", [False, True], ids=["alone", "takeover"])
    def test_windowBits(
        self,
        client: Driver,
        defaultServer: Everywhere,
        roomyServer: Everywhere,
        bits: int,
        takeover: bool,
    ) -> None:
        """
        Each window size that a client asks for is one that both sides keep to.
        """
        live = (roomyServer if takeover else defaultServer).by("tcp")
        # Repeated at distances around each window's size.
        messages = [text(f"{bits} ", 500)]
        messages += [binary(MIXED[: 3 + length] * 97) for length in range(0, 300, 60)]
        messages += [text("".join(map(str, range(9000))) * 3), messages[0]]
        job = live.job(askFor(*messages), compression=True, bits=bits)
        assert checkEcho(client, job, *messages).compressed


class TestSubprotocols:
    """
    What the client offers and the application speaks.
    """

    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            (["wsplug.one", "wsplug.two"], "wsplug.one"),
            (["other", "wsplug.two", "wsplug.one"], "wsplug.two"),
            (["other"], None),
        ],
    )
    def test_chosen(
        self, client: Driver, live: Live, offered: Sequence[str], chosen: str | None
    ) -> None:
        """
        It is the client's most preferred one, or none, which ws takes for an error as
        browsers do.
        """
        job = live.job(askFor(text("a")), path="/live", subprotocols=offered)
        if chosen is None and "lenience" not in client.can:
            (talk,) = client.do(job)
            assert talk.error is not None
            return
        assert checkEcho(client, job, text("a")).subprotocol == chosen


class TestClosing:
    """
    Codes and reasons, both ways.
    """

    @pytest.mark.parametrize(
        ("code", "reason"), [(1000, ""), (1000, "bye"), (3000, "ż"), (4999, "x" * 123)]
    )
    def test_byClient(self, client: Driver, live: Live, code: int, reason: str) -> None:
        """
        The server answers with the client's code, and logs its reason.
        """
        seen = len(live.server.log)
        (talk,) = run(
            client, live.job([send(text("a")), receive(), close(code, reason)])
        )
        if "codes" in client.can:
            assert talk.closed is not None
            assert talk.closed[0] == code
        live.server.waitForLog(
            f"closed by the peer, {code}{': ' * bool(reason)}{reason}\n", seen
        )

    @pytest.mark.parametrize(
        ("code", "reason"), [(1000, ""), (1001, "ż"), (3000, "bye"), (4999, "x" * 123)]
    )
    def test_byApplication(
        self, client: Driver, live: Live, code: int, reason: str
    ) -> None:
        """
        The client sees the application's code and reason.
        """
        seen = len(live.server.log)
        steps = [send(text(f"close {code} {reason}"))]
        (talk,) = run(client, live.job(steps, path="/live"))
        checkClosed(client, talk, code, reason)
        live.server.waitForLog(f"closed by the application, {code}", seen)

    def test_aborted(self, client: Driver, live: Live) -> None:
        """
        A client that is cut off knows that there was no close.
        """
        (talk,) = run(client, live.job([send(text("abort now"))], path="/live"))
        if "codes" in client.can:
            assert talk.closed is not None
            assert talk.closed[0] == 1006

    @pytest.mark.parametrize("size", [MIB + 1, 10 * MIB])
    @pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
    def test_tooBig(
        self, client: Driver, live: Live, size: int, compression: bool
    ) -> None:
        """
        A client whose message is over the limit sees the 1009, no matter how much of
        the message it is still sending.
        """
        seen = len(live.server.log)
        steps = [send(text("a")), receive(), send(binary(b"a", size))]
        (talk,) = run(client, live.job(steps, compression=compression))
        live.server.waitForLog("(max-message-size)", seen)
        line = re.findall(r"closed by the server.*", live.server.log[seen:])[-1]
        assert ", 1009:" in line
        if "codes" in client.can:
            assert talk.closed is not None
            assert talk.closed[0] == 1009


@pytest.mark.slow
class TestLoad:
    """
    Many at once, and much at once.
    """

    def test_crowd(self, client: Driver, live: Live) -> None:
        """
        Each of 200 connections gets its own 50 messages in their order.
        """
        takesLong(client, live)
        crowd = [
            [text(f"{each}/{number}") for number in range(50)] for each in range(200)
        ]
        talks = run(
            client,
            live.job(
                *([*map(send, messages), receive(50), close()] for messages in crowd)
            ),
        )
        expected = [[recordOf(message) for message in messages] for messages in crowd]
        assert [talk.received for talk in talks] == expected

    def test_bothWays(self, client: Driver, roomy: Live) -> None:
        """
        Messages of 8 MiB that go out while others come back arrive as they were.
        """
        needs(client, "duplex")
        takesLong(client, roomy)
        part = bytes(number * number % 251 for number in range(8192))
        messages = [binary(part + bytes([number]), 1023) for number in range(2)]
        steps = [exchange(*messages), close()]
        checkEcho(client, roomy.job(steps), *messages)
