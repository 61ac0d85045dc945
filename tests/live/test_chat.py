"""
The chat over real sockets, with clients that others wrote.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.processes import HOST, PATIENCE, Server, serve, upgrade, waitUntil
from wsplug.codec import FIN, OP_TEXT, encode_frame

pytestmark = pytest.mark.costly

PROTOCOL = "wsplug.chat.v1"

SMALL = 64 * 1024
"""
Bytes that the kernel keeps for a client that doesn't read them. By itself, it would
keep megabytes.
"""


class Talker:
    """
    Somebody's connection, by C{websockets}.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._requests = 0

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def receive(self, type: str) -> dict[str, Any]:
        """
        Wait for the next message of a type.
        """
        while True:
            message: dict[str, Any] = json.loads(self.connection.recv(PATIENCE))
            if message["type"] == type:
                return message

    def ask(self, **message: Any) -> dict[str, Any]:
        """
        Send a request, and wait for its answer; what else comes is dropped.
        """
        self._requests += 1
        self.send(request=self._requests, **message)
        while True:
            answer: dict[str, Any] = json.loads(self.connection.recv(PATIENCE))
            if answer.get("request") == self._requests:
                return answer


class Talkers(ExitStack):
    """
    Everybody's connections.
    """

    def classic(self, port: int, path: str = "/") -> Talker:
        made = connect(f"ws://{HOST}:{port}{path}", open_timeout=PATIENCE)
        return Talker(self.enter_context(made))

    def person(self, port: int, name: str) -> Talker:
        made = connect(
            f"ws://{HOST}:{port}/",
            subprotocols=[Subprotocol(PROTOCOL)],
            open_timeout=PATIENCE,
        )
        talker = Talker(self.enter_context(made))
        assert made.subprotocol == PROTOCOL
        talker.ask(type="hello", name=name, key=name.ljust(16, "."))
        return talker


@pytest.fixture
def talkers() -> Iterator[Talkers]:
    with Talkers() as made:
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    arguments = ("--app=chat:burst=100000:rate=100000", "--send-timeout=1")
    with serve(tmp_path, *arguments) as made:
        yield made


def test_tutorial(server: Server, talkers: Talkers) -> None:
    """
    The tutorials' clients: notices, messages, an id of one's own.
    """
    connected = {"type": "system", "message": "127.0.0.1 connected"}
    first = talkers.classic(server.port)
    assert json.loads(first.connection.recv(PATIENCE)) == connected
    second = talkers.classic(server.port)
    for client in (first, second):
        assert json.loads(client.connection.recv(PATIENCE)) == connected
    second.send(name="Ann", message="Hi", color="F00", type="usermsg")
    said = {"type": "usermsg", "name": "Ann", "message": "Hi", "color": "F00"}
    for client in (first, second):
        assert json.loads(client.connection.recv(PATIENCE)) == said
    first.send(type="system", id=5, name="mks")
    assert first.receive("system")["message"] == "Initial message received"
    second.send(type="user", name="Ann", message="psst", color="F00", to_id=5)
    assert first.receive("usermsg") == {**said, "message": "psst"}
    second.connection.close()
    assert first.receive("system")["message"] == "127.0.0.1 disconnected"


@pytest.mark.everyday
def test_killed(tmp_path: Path, talkers: Talkers) -> None:
    """
    What somebody was told is said is there after C{kill -9}, and who comes back gets
    each message that was missed, once.
    """
    arguments = ("--app=chat:burst=1000", "--broker=sqlite:chat.db")
    with serve(tmp_path, *arguments) as server:
        ann, bea = (
            talkers.person(server.port, "Ann"),
            talkers.person(server.port, "Bea"),
        )
        position = bea.ask(type="join", room="lobby")["position"]
        bea.ask(type="join", room="@")
        ann.ask(type="join", room="lobby")
        told = [
            ann.ask(type="usermsg", room="lobby", message=f"{number}")["id"]
            for number in range(50)
        ]
        id = bea.receive("usermsg")["from_id"]
        direct = bea.ask(type="usermsg", to_id=id, message="psst")["id"]
        server.signal(signal.SIGKILL)
        server.wait()
    with serve(tmp_path, *arguments) as server:
        bea = talkers.person(server.port, "Bea")
        joined = bea.ask(type="join", room="lobby", since=position)
        assert joined["recovered"] is True
        assert [each["id"] for each in joined["messages"]] == told
        ann = talkers.person(server.port, "Ann")
        past = ann.ask(type="join", room="@")["messages"]
        assert [each["id"] for each in past] == [direct]


def test_never_reads(server: Server, talkers: Talkers) -> None:
    """
    One that never reads delays nobody, costs a bounded amount of memory, and is let
    go.
    """
    ann = talkers.person(server.port, "Ann")
    ann.ask(type="join", room="lobby")
    with upgrade(server.port) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        ann.receive("system")
        before = server.memory()
        for sent in range(5000):
            ann.send(type="usermsg", room="lobby", message=f"{sent} " + "x" * 1900)
            if sent % 100 == 99:
                while not ann.receive("usermsg")["message"].startswith(f"{sent} "):
                    pass
        assert server.memory() - before < 24 * 1024 * 1024
        server.waitForLog("1013: does not read fast enough")


def test_flood(server: Server, talkers: Talkers) -> None:
    """
    Whoever sends without ever reading the answers is let go too, and others go on.
    """
    ann = talkers.person(server.port, "Ann")
    ann.ask(type="join", room="kitchen")
    flood = encode_frame(FIN | OP_TEXT, b"?", mask=b"1234") * 10_000
    with upgrade(server.port) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        slow.settimeout(0.2)
        before = server.memory()
        for _ in range(3000):
            try:
                slow.sendall(flood)
            except TimeoutError:
                break  # nothing is read from it any more
            except OSError:
                break
        else:
            raise AssertionError("all was read of a client that reads nothing")
        assert ann.ask(type="usermsg", room="kitchen", message="x")["type"] == "sent"
        assert server.memory() - before < 16 * 1024 * 1024


def test_stopped(server: Server, talkers: Talkers) -> None:
    """
    At the end everybody is told that the server goes away, and nothing is logged that
    went wrong.
    """
    people = [talkers.person(server.port, f"Person {n}") for n in range(5)]
    for person in people:
        person.ask(type="join", room="lobby")
    classic = talkers.classic(server.port)
    assert server.stop() == 0
    for talker in (*people, classic):
        with pytest.raises(ConnectionClosed) as raised:
            talker.receive("nothing")
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == 1012
    assert "Traceback" not in server.log


def test_reset_in_a_room(server: Server, talkers: Talkers) -> None:
    """
    Clients whose connections are reset have left.
    """
    ann = talkers.person(server.port, "Ann")
    ann.ask(type="join", room="lobby")
    connections = [upgrade(server.port) for _ in range(20)]
    before = server.log.count(": closed by ")
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()
    # Of the many, some are told of together, and some not at all.
    while not ann.receive("system")["message"].endswith("disconnected"):
        pass
    waitUntil(lambda: server.log.count(": closed by ") == before + 20, "all have left")
    waitUntil(lambda: "Traceback" not in server.log, "no traceback")
