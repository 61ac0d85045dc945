"""
A program for each client.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from tests.apps.process.kit import CAT, KILL, TERM, Stage
from wsplug import HandshakeRefused, Settings


def test_lines_go_both_ways() -> None:
    """
    A text message is a line of the program's input, and a line of its output is a text
    message.
    """
    stage = Stage(command="cat -u '/a b' c")
    client = stage.connect()
    assert stage.program.argv == [CAT, "-u", "/a b", "c"]
    client.send("hello")
    client.send("wörld\nand more")
    assert stage.program.read == "hello\nwörld\nand more\n".encode()
    stage.prints("héllo\nagain\r\npart".encode())
    assert client.messages == ["héllo", "again"]
    stage.prints(b"ial\n\n")
    assert client.messages[2:] == ["partial", ""]


def test_bytes_go_in_untouched() -> None:
    """
    A binary message is no line: it goes to the program as it is.
    """
    stage = Stage()
    stage.connect().send(b"\x00\xffpart")
    assert stage.program.read == b"\x00\xffpart"


def test_binary_framing() -> None:
    """
    With framing=binary, output comes in binary messages as it is printed, and text goes
    in without a newline.
    """
    stage = Stage(framing="binary")
    client = stage.connect()
    stage.prints(b"prompt> \xff")
    assert client.messages == [b"prompt> \xff"]
    client.send("ls")
    assert stage.program.read == b"ls"


def test_each_client_has_its_own() -> None:
    """
    Nobody gets what another client's program prints.
    """
    stage = Stage()
    one, two = stage.connect(), stage.connect()
    first, second = stage.programs
    one.send("of one")
    assert (first.read, second.read) == (b"of one\n", b"")
    first.prints(b"to one\n")
    stage.server.run()
    assert (one.messages, two.messages) == (["to one"], [])


@pytest.mark.parametrize(
    ("status", "number", "closed"),
    [
        (0, None, (1000, "the program has ended")),
        (3, None, (1011, "the program ended with status 3")),
        (None, 11, (1011, "the program was ended by SIGSEGV")),
        (None, 15, (1011, "the program was ended by SIGTERM")),
        (None, 250, (1011, "the program was ended by signal 250")),
    ],
)
def test_ending_closes(
    status: int, number: int | None, closed: tuple[int, str]
) -> None:
    """
    A program's end closes its connection with a code and a reason that tell how it
    ended; all that it printed comes before that, a last line without an end too.
    """
    stage = Stage()
    client = stage.connect()
    stage.program.prints(b"last\nwords")
    stage.exits(status, number)
    assert client.messages == ["last", "words"]
    assert client.closed == closed


def test_leaving_ends() -> None:
    """
    When its client leaves, a program reads the end of its input; then it gets SIGTERM,
    then SIGKILL, each after the grace.
    """
    stage = Stage(grace="2")
    client = stage.connect()
    program = stage.program
    client.drop()
    assert program.readsEnd
    stage.advance(1.875)
    assert program.signals == []
    stage.advance(0.125)
    assert program.signals == [TERM]
    stage.advance(1.875)
    assert program.signals == [TERM]
    stage.advance(0.125)
    assert program.signals == [TERM, KILL]
    program.obeys()
    stage.advance(60)
    assert program.signals == [TERM, KILL]


def test_closing_ends_at_once() -> None:
    """
    A client that closes in order ends its program too; one that ends in time gets no
    signal.
    """
    stage = Stage()
    stage.connect().close()
    assert stage.program.readsEnd
    stage.exits()
    stage.advance(60)
    assert stage.program.signals == []
    assert not stage.reactor.getDelayedCalls()


def test_quit() -> None:
    """
    The word for it closes the program's input and no more: the client gets what it
    prints until it ends.
    """
    stage = Stage()
    client = stage.connect()
    client.send("quit")
    assert stage.program.readsEnd
    assert stage.program.read == b""
    client.send("too late")
    client.send("quit")
    stage.prints(b"bye\n")
    assert client.messages == ["bye"]
    assert client.closed is None
    stage.exits()
    assert client.closed == (1000, "the program has ended")


def test_quit_insists() -> None:
    """
    A program that has to be ended by a signal at its client's wish is no failure.
    """
    stage = Stage()
    client = stage.connect()
    client.send("quit")
    stage.advance(5)
    assert stage.program.signals == [TERM]
    stage.program.obeys()
    stage.server.run()
    assert client.closed == (1000, "the program was ended")


def test_quit_is_an_option() -> None:
    """
    The word can be another one, or none; the usual one is a line then.
    """
    stage = Stage(quit="over and out")
    client = stage.connect()
    client.send("quit")
    assert stage.program.read == b"quit\n"
    client.send("over and out")
    assert stage.program.readsEnd

    stage = Stage(quit="")
    client = stage.connect()
    client.send("quit")
    client.send("")
    assert stage.program.read == b"quit\n\n"
    assert not stage.program.readsEnd


def test_slow_client_holds_the_program() -> None:
    """
    While a client doesn't read, its program's output isn't read either; then it goes on
    and nothing is lost.
    """
    stage = Stage()
    client = stage.connect()
    client.stopReading()
    count = 0
    while not stage.program.isPaused:
        stage.prints(b"x" * 8000 + b"\n")
        count += 1
        assert count < 100
    assert count * 8001 > 64 * 1024
    client.startReading()
    assert not stage.program.isPaused
    stage.exits()
    assert client.messages == ["x" * 8000] * count


def test_slow_client_that_leaves_frees_the_program() -> None:
    """
    A program whose output was held up is read on when its client leaves, so that it can
    come to its end; but not for ever, if it goes on and on.
    """
    stage = Stage()
    client = stage.connect()
    client.stopReading()
    while not stage.program.isPaused:
        stage.prints(b"x" * 8000 + b"\n")
    client.drop()
    assert not stage.program.isPaused
    for _ in range(200):
        stage.prints(b"x" * 8000 + b"\n")
    assert stage.program.isPaused
    stage.advance(5)
    assert stage.program.signals == [TERM]


def test_program_that_does_not_read_holds_its_client() -> None:
    """
    While a program doesn't read, nothing is read from its client beyond a bound; then
    all comes in order.
    """
    stage = Stage()
    client = stage.connect()
    stage.program.reads = False
    lines = [f"{number}" + "x" * 20000 for number in range(10)]
    for line in lines:
        client.send(line)
    assert not client.transport.reading
    assert len(stage.program._waiting) < 100_000
    stage.program.reads = True
    stage.program.readAll()
    stage.server.run()
    assert client.transport.reading
    assert stage.program.read.decode().split() == lines
    stage.advance(100)
    assert client.closed is None


def test_input_timeout() -> None:
    """
    A program that doesn't read for too long costs its client the connection, so that
    one that has vanished meanwhile isn't kept for ever.
    """
    stage = Stage(input_timeout="7")
    client = stage.connect()
    stage.program.reads = False
    client.send("x" * 70_000)
    client.send("more")
    stage.advance(6.875)
    assert client.closed is None
    stage.advance(0.125)
    assert client.closed == (1013, "the program does not read its input")
    assert stage.program.readsEnd


def test_no_input_timeout() -> None:
    """
    With input-timeout=off a message may wait for ever.
    """
    stage = Stage(input_timeout="off")
    client = stage.connect()
    stage.program.reads = False
    client.send("x" * 70_000)
    client.send("more")
    stage.advance(1000)
    assert client.closed is None
    stage.program.reads = True
    stage.program.readAll()
    stage.server.run()
    assert stage.program.read.endswith(b"more\n")


def test_no_grace() -> None:
    """
    With grace=0, SIGTERM and SIGKILL come right after the end of the input.
    """
    stage = Stage(grace="0")
    client = stage.connect()
    program = stage.program
    client.drop()
    stage.server.run()
    stage.server.run()
    assert program.readsEnd
    assert program.signals == [TERM, KILL]


def test_input_closed_early() -> None:
    """
    A program that closes its standard input goes on; what its client sends is dropped,
    and nobody waits.
    """
    stage = Stage()
    client = stage.connect()
    stage.program.reads = False
    client.send("x" * 70_000)
    client.send("y" * 5000)
    assert not client.transport.reading
    stage.program.closes(0)
    stage.server.run()
    assert client.transport.reading
    client.send("more")
    stage.prints(b"still there\n")
    assert client.messages == ["still there"]
    assert client.closed is None
    client.send("quit")
    stage.advance(5)
    assert stage.program.signals == [TERM]


def test_output_closed_early() -> None:
    """
    A program that closes its standard output goes on, and reads what its client sends.
    """
    stage = Stage()
    client = stage.connect()
    stage.program.prints(b"part")
    stage.program.closes(1)
    client.send("on")
    assert client.messages == ["part"]
    assert stage.program.read == b"on\n"
    assert client.closed is None


def test_output_kept_open() -> None:
    """
    After a program's end, what it has left behind can print for the grace, and no
    longer.
    """
    stage = Stage(grace="3")
    client = stage.connect()
    stage.program.exits(only=True)
    stage.prints(b"of a child\n")
    stage.advance(2.875)
    assert client.closed is None
    stage.advance(0.25)
    assert client.messages == ["of a child"]
    assert client.closed == (1000, "the program has ended")


def test_output_kept_open_waits_for_a_slow_client() -> None:
    """
    As long as a slow client holds up the reading, the grace isn't over: there may be
    something of the program's own left.
    """
    stage = Stage(grace="3", settings=Settings(send_timeout=0))
    client = stage.connect()
    client.stopReading()
    while not stage.program.isPaused:
        stage.prints(b"x" * 8000 + b"\n")
    stage.program.exits(only=True)
    stage.advance(20)
    assert client.closed is None
    client.startReading()
    stage.prints(b"the end\n")
    stage.advance(6)
    assert client.messages[-1] == "the end"
    assert client.closed == (1000, "the program has ended")


def test_output_kept_open_after_a_pause() -> None:
    """
    That holds too where the client was slow only for a moment since the program's end.
    """
    stage = Stage(grace="3")
    client = stage.connect()
    stage.program.exits(only=True)
    client.stopReading()
    while not stage.program.isPaused:
        stage.prints(b"x" * 8000 + b"\n")
    client.startReading()
    stage.advance(3.5)
    assert client.closed is None
    stage.advance(3)
    assert client.closed == (1000, "the program has ended")


def test_leaving_a_program_that_has_exited() -> None:
    """
    When its client leaves, nobody waits for those who keep a program's output open.
    """
    stage = Stage()
    client = stage.connect()
    stage.program.exits(only=True)
    client.drop()
    assert not stage.program.pipes
    assert not stage.reactor.getDelayedCalls()


def test_limit() -> None:
    """
    One program more than may run is refused with 503, a time to come back and a body
    that says so; one that is still ending counts.
    """
    stage = Stage(max_programs="2")
    stage.connect()
    client = stage.connect()
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect()
    assert refused.value.status == 503
    assert dict(refused.value.headers)[b"Retry-After"] == b"5"
    assert (
        refused.value.reason == "2 programs are running, the maximum; try again later"
    )
    client.drop()
    with pytest.raises(HandshakeRefused):
        stage.connect()
    stage.program.exits()
    stage.connect()
    assert len(stage.programs) == 3


def test_limit_of_an_address() -> None:
    """
    One address, or 64 bits of an IPv6 one, has no more programs than it may; one that
    is still ending counts.
    """
    stage = Stage(max_address_programs="2")
    stage.connect(address="2001:db8::1")
    client = stage.connect(address="2001:db8::2")
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect(address="2001:db8::3")
    assert refused.value.status == 429
    assert "2 programs of yours are running" in refused.value.reason
    stage.connect(address="2001:db8:0:1::1")
    client.drop()
    with pytest.raises(HandshakeRefused):
        stage.connect(address="2001:db8::3")
    stage.programs[1].exits()
    stage.connect(address="2001:db8::3")


@pytest.mark.parametrize(
    "path", ["/..", "/a/../b", "/a/%2e%2e", "/.", "/a%2f..%2fb", "/a%2f."]
)
def test_other_paths(path: str) -> None:
    """
    What would lead elsewhere in PATH_INFO is refused.
    """
    stage = Stage()
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect(path)
    assert refused.value.status == 404
    assert stage.programs == []


def test_no_room_for_a_process() -> None:
    """
    Where the system can't start another process, the client is told so, and nothing is
    left behind.
    """
    stage = Stage(max_programs="1")
    for _ in range(3):
        stage.reactor.problem = OSError(11, "Resource temporarily unavailable")
        client = stage.connect()
        reason = "the program could not be started: Resource temporarily unavailable"
        assert client.closed == (1011, reason)
    stage.reactor.problem = None
    assert stage.connect().closed is None


def test_stop_ends_all() -> None:
    """
    The server's end waits for each program, with the same deadlines, and for the guard.
    """
    stage = Stage(grace="2")
    stage.connect()
    stage.connect()
    one, two = stage.programs
    stopped: list[None] = []
    stage.server.stop().addCallback(stopped.append)
    stage.server.run()
    assert one.readsEnd
    assert two.readsEnd
    one.exits()
    stage.advance(2)
    assert two.signals == [TERM]
    stage.advance(2)
    assert two.signals == [TERM, KILL]
    assert not stage.guard.readsEnd
    two.obeys()
    stage.server.run()
    assert stage.guard.readsEnd
    assert stopped == []
    stage.guard.exits()
    assert stopped == [None]


def test_stop_in_a_hurry() -> None:
    """
    Where the server's end waits for them no longer, programs are killed at once.
    """
    stage = Stage(grace="60")
    stage.connect()
    stage.connect()
    one, two = stage.programs
    stopping = stage.server.application.stopApplication()
    stopping.addErrback(lambda failure: failure.trap(CancelledError))
    one.exits()
    stopping.cancel()
    assert two.signals == [KILL]
    two.obeys()
    stage.server.run()
    assert stage.guard.readsEnd
    stage.guard.exits()


def test_stop_with_one_that_does_not_end() -> None:
    """
    What not even SIGKILL ends doesn't keep the server from ending.
    """
    stage = Stage(grace="2")
    stage.connect()
    stopped: list[None] = []
    stage.server.stop().addCallback(stopped.append)
    stage.advance(5)
    assert stage.program.signals == [TERM, KILL]
    stage.guard.exits()
    assert stopped == [None]
    stage.program.exits()
