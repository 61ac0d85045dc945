"""
C{--app relay}: to all, as it was sent.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from wsplug.apps.relay import relay
from wsplug.broker import MemoryBroker, Publication
from wsplug.errors import BrokerError, InvalidOption
from wsplug.testing import MemoryServer

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "reference" / "relay.md"


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"username": "Ann", "text": "Hi", "more": [1, {"a": None}]}),
        '{"type":"usermsg","name":"Ann","message":"Hi","color":"F00","extra":1}',
        '{"type":',
        "",
        "<script>\u202e\U0001f600",
        b"",
        b"plain ASCII, but binary",
        bytes(range(256)),
    ],
)
def test_all(message: str | bytes) -> None:
    """
    Everybody gets each message once, the sender too: text as text, bytes as bytes,
    whatever is in it.
    """
    server = MemoryServer(relay)
    clients = [server.connect() for _ in range(3)]
    clients[0].send(message)
    for client in clients:
        assert client.messages == [message]


def test_order() -> None:
    """
    Messages of one client arrive in their order; who comes later gets none of those
    before.
    """
    server = MemoryServer(relay)
    first = server.connect()
    for number in range(10):
        first.send(str(number))
    late = server.connect()
    first.send("last")
    assert first.messages == [*map(str, range(10)), "last"]
    assert late.messages == ["last"]


def test_paths() -> None:
    """
    Each path is a room of its own, below each mount, in whichever form it is written.
    """
    broker = MemoryBroker(Clock())
    server = MemoryServer(relay, path="/a", broker=broker)
    other = MemoryServer(relay, path="/a/b", broker=broker)
    at = {
        path: server.connect(path)
        for path in ("/a", "/a/b", "/a/websocket.php", "/a/websocket%2Ephp/")
    }
    elsewhere = other.connect("/a/b")
    at["/a/websocket.php"].send("here")
    elsewhere.send("elsewhere")
    assert [client.messages for client in at.values()] == [[], [], ["here"], ["here"]]
    assert elsewhere.messages == ["elsewhere"]


def test_gone() -> None:
    """
    Who has left gets nothing more, and nothing is left of an empty room.
    """
    server = MemoryServer(relay)
    first, second = server.connect(), server.connect()
    second.send("bye")
    second.drop()
    first.send("still here")
    assert first.messages == ["bye", "still here"]
    assert second.messages == ["bye"]
    first.close()
    assert server.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("overflow", "left"), [("close", 0), ("oldest", 4), ("latest", 1)]
)
def test_slow(overflow: str, left: int) -> None:
    """
    Somebody who doesn't read has a backlog of their own; the others don't wait.
    """
    options: dict[str, object] = {"backlog": 4 * 50_000, "overflow": overflow}
    server = MemoryServer(relay, options=options)
    quick, slow = server.connect(), server.connect()
    slow.stopReading()
    for number in range(20):
        quick.send(f"{number:05}" * 10_000)
        server.advance(0.1)
    assert len(quick.messages) == 20
    assert slow.messages == []
    slow.startReading()
    if overflow == "close":
        assert slow.closed == (1013, "does not read fast enough")
    else:
        assert slow.closed is None
        assert slow.messages[-1] == "00019" * 10_000
        assert len(slow.messages) < 20
        assert len(slow.messages) >= left


class BrokenBroker(MemoryBroker):
    """
    Publishes nothing.
    """

    def publish(
        self,
        channel: str,
        data: bytes,
        store: bool = True,
        retention: object = None,
    ) -> Deferred[Publication]:
        return fail(BrokerError("it is broken"))


def test_broken() -> None:
    """
    A client whose message can't be sent is closed with a code that says to try again;
    the others stay.
    """
    clock = Clock()
    server = MemoryServer(relay, clock=clock, broker=BrokenBroker(clock))
    client, other = server.connect(), server.connect()
    client.send("hello")
    assert client.closed == (1013, "can't be relayed; try again later")
    assert other.closed is None


def test_page() -> None:
    """
    There is a page for it.
    """
    response = MemoryServer(relay).request("GET")
    assert response.status == 200
    assert b"relay.js" in response.body


def test_options() -> None:
    """
    The documentation's table has the options, with their defaults and their help; a
    wrong one is refused.
    """
    rows = re.findall(
        r"^\| `(.*?)` \| (.*?) \| (.*?) \|$", DOCUMENTATION.read_text("utf-8"), re.M
    )
    assert rows == [(each.name, each.shownDefault, each.help) for each in relay.options]
    with pytest.raises(InvalidOption, match="overflow takes one of close, oldest"):
        MemoryServer(relay, options={"overflow": "never"})
