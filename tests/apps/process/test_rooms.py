"""
Programs with many clients.
"""

from __future__ import annotations

import math

import pytest

from tests.apps.process.kit import TERM, Stage
from wsplug import HandshakeRefused, Settings
from wsplug.apps.process.ending import Ending
from wsplug.apps.process.restarting import MAX_DELAY, STABLE, Restarts
from wsplug.auth import Avatar
from wsplug.testing.server import CLIENT


def test_shared() -> None:
    """
    What a shared program prints goes to everybody, what anybody sends goes to it, and
    it runs without clients, from the server's start on.
    """
    stage = Stage(mode="shared", max_programs="1")
    (program,) = stage.programs
    one, two = stage.connect("/a"), stage.connect("/b")
    one.send("of one")
    two.send("of two")
    assert program.read == b"of one\nof two\n"
    stage.prints(b"for all\n")
    assert one.messages == two.messages == ["for all"]
    one.close()
    two.drop()
    stage.advance(600)
    assert stage.programs == [program]
    assert not program.readsEnd


def test_shared_has_no_request() -> None:
    """
    A shared program knows of no client.
    """
    stage = Stage(mode="shared", env="")
    assert set(stage.program.environment) == {"GATEWAY_INTERFACE", "SERVER_SOFTWARE"}


def test_backlog() -> None:
    """
    Who comes late gets the last messages, up to their number and their size.
    """
    stage = Stage(mode="shared", backlog="3", backlog_size="9")
    for line in (b"a\n", b"b\n", b"c\n", b"d\n"):
        stage.prints(line)
    assert stage.connect().messages == ["b", "c", "d"]
    stage.prints(b"12345678\n")
    assert stage.connect().messages == ["d", "12345678"]
    stage.prints(b"x" * 11 + b"\n")
    assert stage.connect().messages == []


def test_no_backlog() -> None:
    """
    backlog=0 keeps nothing.
    """
    stage = Stage(mode="shared", backlog="0")
    stage.prints(b"a\n")
    assert stage.connect().messages == []


def test_quit_only_leaves() -> None:
    """
    Nobody ends a program for the others: the word closes who sends it.
    """
    stage = Stage(mode="shared")
    one, two = stage.connect(), stage.connect()
    one.send("quit")
    assert one.closed == (1000, "")
    assert two.closed is None
    assert not stage.program.readsEnd


def test_floods_are_fair() -> None:
    """
    While a program doesn't read, each client waits with one message, and they get their
    turns in order: a flood of one comes behind a single message of another.
    """
    stage = Stage(mode="shared")
    flood, other, gone = stage.connect(), stage.connect(), stage.connect()
    stage.program.reads = False
    flood.send("0" * 70_000)
    for number in range(1, 100):
        flood.send(f"flood {number}".rjust(60))
    gone.send("of one who has gone")
    other.send("other")
    assert not flood.transport.reading
    gone.drop()
    stage.program.reads = True
    stage.program.readAll()
    stage.server.run()
    lines = stage.program.read.decode().split("\n")[1:]
    assert lines.index("other") < 3
    assert lines[-2].strip() == "flood 99"
    assert len(lines) == 1 + 99 + 1
    assert flood.transport.reading
    assert other.transport.reading


def test_input_timeout() -> None:
    """
    Who waits too long for a shared program is closed; the program stays.
    """
    stage = Stage(mode="shared", input_timeout="5")
    one, two = stage.connect(), stage.connect()
    stage.program.reads = False
    one.send("x" * 70_000)
    stage.advance(4)
    two.send("y")
    stage.advance(1)
    assert one.closed == (1013, "the program does not read its input")
    assert two.closed is None
    assert not stage.program.readsEnd
    stage.program.reads = True
    stage.program.readAll()
    assert stage.program.read.endswith(b"x\ny\n")


def test_slow_client_is_closed() -> None:
    """
    A client that doesn't read holds up nobody; over the send limit it is closed.
    """
    stage = Stage(mode="shared", settings=Settings(max_send_buffer=200_000))
    slow, fast = stage.connect(), stage.connect()
    slow.stopReading()
    for _ in range(60):
        stage.prints(b"x" * 8000 + b"\n")
    assert not stage.program.isPaused
    assert len(fast.messages) == 60
    slow.startReading()
    assert slow.closed is not None
    assert slow.closed[0] == 1013


def test_restart() -> None:
    """
    A program that fails closes its clients with 1012; they are refused until it is
    started again, which it is by itself; what it printed before is forgotten.
    """
    stage = Stage(mode="shared")
    client = stage.connect()
    stage.prints(b"old\n")
    stage.exits(3)
    assert client.closed == (
        1012,
        "the program ended with status 3; it will be restarted",
    )
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect()
    assert refused.value.status == 503
    assert int(dict(refused.value.headers)[b"Retry-After"]) in (1, 2)
    assert "the program ended with status 3" in refused.value.reason
    assert len(stage.programs) == 1
    stage.advance(1.25)
    assert len(stage.programs) == 2
    client = stage.connect()
    stage.prints(b"new\n")
    assert client.messages == ["new"]


def test_restart_fails() -> None:
    """
    Where the system can't start it, that is tried again later too.
    """
    stage = Stage(mode="shared")
    stage.reactor.problem = OSError(12, "Cannot allocate memory")
    stage.exits(3)
    stage.advance(1.25)
    with pytest.raises(HandshakeRefused, match="Cannot allocate memory"):
        stage.connect()
    stage.reactor.problem = None
    stage.advance(2.5)
    assert stage.connect().closed is None


@pytest.mark.parametrize(
    ("policy", "status", "again"),
    [
        ("always", 0, True),
        ("always", 1, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("never", 0, False),
        ("never", 1, False),
    ],
)
def test_policies(policy: str, status: int, again: bool) -> None:
    """
    The option says which endings lead to another start. After the last one, who comes
    gets what there was, and the same end.
    """
    stage = Stage(mode="shared", restart=policy)
    client = stage.connect()
    stage.prints(b"last words\n")
    stage.exits(status)
    assert client.closed is not None
    assert (client.closed[0] == 1012) is again
    stage.advance(100)
    assert (len(stage.programs) > 1) is again
    if not again:
        late = stage.connect()
        assert late.messages == ["last words"]
        assert late.closed == client.closed
        assert late.closed == (
            (1000, "the program has ended")
            if status == 0
            else (1011, "the program ended with status 1")
        )


def test_delays() -> None:
    """
    The delays grow from a second to a minute, with up to a quarter at random, and are
    small again after the program has run for a while.
    """
    failed = Ending(status=1)
    least = Restarts("on-failure", lambda: 0.0)
    delays = [least.delay(failed, 0) for _ in range(9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert least.delay(failed, STABLE - 1) == 60
    assert least.delay(failed, STABLE) == 1
    most = Restarts("on-failure", lambda: 1.0)
    delays = [most.delay(failed, 0) for _ in range(8)]
    assert delays == [1.25, 2.5, 5, 10, 20, 40, MAX_DELAY, MAX_DELAY]


def test_stop_during_the_delay() -> None:
    """
    A server that stops starts nothing any more.
    """
    stage = Stage(mode="shared")
    stage.exits(1)
    stage.server.stop()
    stage.server.run()
    stage.guard.exits()
    stage.advance(100)
    assert len(stage.programs) == 1
    assert not stage.reactor.getDelayedCalls()


def test_stop() -> None:
    """
    A server that stops ends its shared program, which is no failure.
    """
    stage = Stage(mode="shared", grace="1")
    stage.connect()
    stopped: list[None] = []
    stage.server.stop().addCallback(stopped.append)
    stage.server.run()
    assert stage.program.readsEnd
    stage.advance(1)
    assert stage.program.signals == [TERM]
    stage.program.obeys()
    stage.guard.exits()
    assert stopped == [None]
    stage.advance(100)
    assert len(stage.programs) == 1


# Rooms


def test_rooms() -> None:
    """
    Each room has a program, that of its first client; what it prints stays there.
    """
    stage = Stage(mode="room", env="")
    assert stage.programs == []
    one, two, other = stage.connect("/red"), stage.connect("/red"), stage.connect("/b")
    red, blue = stage.programs
    assert red.environment["PATH_INFO"] == "/red"
    assert set(red.environment) == {"GATEWAY_INTERFACE", "SERVER_SOFTWARE", "PATH_INFO"}
    assert blue.environment["PATH_INFO"] == "/b"
    red.prints(b"in red\n")
    stage.server.run()
    assert one.messages == two.messages == ["in red"]
    assert other.messages == []
    other.send("x")
    assert (red.read, blue.read) == (b"", b"x\n")


def test_linger() -> None:
    """
    A room's program ends a while after the last client has left; who comes back before
    that finds it there, with what it has printed.
    """
    stage = Stage(mode="room", linger="10")
    one, two = stage.connect("/a"), stage.connect("/a")
    stage.prints(b"hello\n")
    one.close()
    stage.advance(60)
    two.drop()
    stage.advance(9.875)
    assert not stage.program.readsEnd
    again = stage.connect("/a")
    assert again.messages == ["hello"]
    stage.advance(60)
    assert not stage.program.readsEnd
    again.close()
    stage.advance(10)
    assert stage.program.readsEnd
    with pytest.raises(HandshakeRefused, match="still exiting") as refused:
        stage.connect("/a")
    assert refused.value.status == 503
    stage.exits(1)
    assert stage.connect("/a").messages == []
    assert len(stage.programs) == 2


def test_room_that_ends_well() -> None:
    """
    A room whose program has ended is over; the next client begins it anew.
    """
    stage = Stage(mode="room")
    client = stage.connect("/a")
    stage.exits(0)
    assert client.closed == (1000, "the program has ended")
    again = stage.connect("/a")
    assert again.closed is None
    assert len(stage.programs) == 2


def test_room_that_fails() -> None:
    """
    A room whose program fails can be had again after the delay, and starts with its
    next client, not by itself. The delays grow, and the room is forgotten after a
    while.
    """
    stage = Stage(mode="room")
    delays = []
    for _ in range(3):
        client = stage.connect("/a")
        stage.exits(1)
        assert client.closed is not None
        assert client.closed[0] == 1012
        with pytest.raises(HandshakeRefused) as refused:
            stage.connect("/a")
        delays.append(int(dict(refused.value.headers)[b"Retry-After"]))
        stage.advance(delays[-1])
        assert len(stage.programs) == len(delays)
    assert [math.floor(math.log2(delay - 0.5)) for delay in delays[1:]] == [1, 2]
    stage.connect("/b").send("x")
    stage.advance(MAX_DELAY + 10)
    stage.connect("/a")
    stage.exits(1)
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect("/a")
    assert int(dict(refused.value.headers)[b"Retry-After"]) <= 2


def test_room_limit() -> None:
    """
    One room too many is refused; those that are there go on.
    """
    stage = Stage(mode="room", max_programs="1")
    stage.connect("/a")
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect("/b")
    assert refused.value.status == 503
    assert stage.connect("/a").closed is None


@pytest.mark.parametrize("avatar", [None, Avatar("ann")])
def test_rooms_of_an_address(avatar: Avatar | None) -> None:
    """
    Who has started as many rooms as one address may can start no other, but enter those
    that are there; others can start theirs, and entering is free.
    """
    stage = Stage(mode="room", max_address_programs="2", linger="10")
    clients = [stage.connect(path, avatar=avatar) for path in ("/a", "/b")]
    other = "192.0.2.9" if avatar is None else CLIENT
    for path in ("/a", "/b", "/c"):
        stage.connect(path, address=other)
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect("/d", avatar=avatar)
    assert refused.value.status == 429
    refusals = stage.server.factory.statistics.refusals
    assert refusals[-1].setting == "max-address-programs"
    assert dict(refused.value.headers)[b"Retry-After"] == b"5"
    stage.connect("/c", avatar=avatar)
    # A room is its first client's until its program is gone.
    clients[0].drop()
    stage.server.run()
    with pytest.raises(HandshakeRefused):
        stage.connect("/d", avatar=avatar)


def test_spaces_and_accents() -> None:
    """
    A room is the same however its spaces and accents are written.
    """
    stage = Stage(mode="room")
    for path in ("/caf%C3%A9%20b", "/cafe%CC%81%20%20b%20"):
        stage.connect(path)
    (program,) = stage.programs
    assert program.environment["PATH_INFO"] == "/caf\xe9 b"


def test_room_that_can_not_start() -> None:
    """
    Where the system can't start a room's program, its client is told.
    """
    stage = Stage(mode="room", restart="never")
    stage.reactor.problem = OSError(12, "Cannot allocate memory")
    client = stage.connect("/a")
    reason = "the program could not be started: Cannot allocate memory"
    assert client.closed == (1011, reason)
    stage.reactor.problem = None
    assert stage.connect("/a").closed is None


@pytest.mark.parametrize(
    "path",
    [
        "/a/b",
        "/" + "x" * 65,
        "/%00",
        "/a%0Ab",
        "/%E2%80%AEgnp",
        "/a%E2%80%8Bb",
        "/.",
        "/..",
        "/%2E%2e",
        "/%20..%20",
        "/a%2fb",
        "/%2F",
        "/..%2f..%2fetc",
        "/-",
        "/process.js",
        "/%20",
        "/%EF%B8%80",
    ],
)
def test_names(path: str) -> None:
    """
    A room's name is one segment, not too long, of characters to be seen, and its
    address is that of nothing else.
    """
    stage = Stage(mode="room")
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect(path)
    assert refused.value.status == 404
    assert "room" in refused.value.reason
    assert stage.programs == []


def test_pages() -> None:
    """
    Each room's path has the page, its files and the server's beside it, wherever the
    rooms are mounted; deeper paths have nothing.
    """
    stage = Stage(mode="room", path="/talk")
    for path in ("/talk/", "/talk/red", "/talk/bl%C3%BC"):
        page = stage.server.request("GET", path)
        assert page.status == 200
        assert b'src="process.js"' in page.body
        assert page.headers["content-type"] == "text/html"
        assert page.headers["cache-control"] == "no-cache"
    for name in ("process.js", "ansi.js", "process.css", "-/wsplug.css"):
        assert stage.server.request("GET", f"/talk/{name}").status == 200
    assert stage.server.request("GET", "/talk").headers["location"].endswith("talk/")
    for path in ("/talk/a/b", "/talk/..%2findex.html/x"):
        assert stage.server.request("GET", path).status == 404
    assert b"Program" in stage.server.request("GET", "/talk/..%2f..%2foptions.py").body


def test_pages_of_other_modes() -> None:
    """
    Without rooms, the page is at the application's path alone.
    """
    for mode in ("client", "shared"):
        stage = Stage(mode=mode)
        assert b"Program" in stage.server.request("GET", "/").body
        assert stage.server.request("GET", "/nothing").status == 404
