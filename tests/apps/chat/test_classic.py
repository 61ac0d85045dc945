"""
The tutorials' clients: what docs/reference/chat.md says of them under "Classic
clients".
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.chat.kit import STEP, Chat, Client
from wsplug import HandshakeRefused
from wsplug.auth import Avatar

WIDE = "\uff41\uff2e\uff2e"
"""
C{ANN} in letters of another width and case.
"""

CONNECTED = {"type": "system", "message": "192.0.2.1 connected"}


def test_connected(room: Chat) -> None:
    """
    Everyone in the room is told of a newcomer, the newcomer too; nobody in another.
    """
    first = room.classic()
    assert first.new() == [CONNECTED]
    other = room.classic("/kitchen", "192.0.2.3")
    assert other.new() == [{"type": "system", "message": "192.0.2.3 connected"}]
    second = room.classic(address="192.0.2.2")
    told = [{"type": "system", "message": "192.0.2.2 connected"}]
    assert (first.new(), second.new(), other.new()) == (told, told, [])


def test_disconnected(room: Chat) -> None:
    """
    Everyone left is told of who has gone, however it went.
    """
    first, second = room.classic(), room.classic(address="192.0.2.2")
    third = room.classic(address="2001:db8::3")
    first.new()
    second.memory.close()
    room.settle()
    assert first.new() == [{"type": "system", "message": "192.0.2.2 disconnected"}]
    third.memory.drop()
    room.advance(1)
    room.settle()
    assert first.new() == [{"type": "system", "message": "2001:db8::3 disconnected"}]


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"type": "user"},
        {"type": "usermsg"},
        {"type": None, "to_id": None},
        {"to_id": ""},
        {"more": {"deep": [1]}, "time": 3},
    ],
)
def test_message(room: Chat, extra: dict[str, Any]) -> None:
    """
    A message goes to everyone in the room, the sender too, in just these keys;
    with whatever type, and whatever else.
    """
    first, second, other = room.classic(), room.classic(), room.classic("/kitchen")
    for client in (first, second, other):
        client.new()
    first.send(name="Ann", message="Hi <b>", color="F00", **extra)
    room.settle()
    expected = {"type": "usermsg", "name": "Ann", "message": "Hi <b>", "color": "F00"}
    assert first.new() == [expected]
    assert second.new() == [expected]
    assert other.new() == []


def test_bare_message() -> None:
    """
    Name and colour may be missing, or be numbers.
    """
    client = Chat().classic()
    client.new()
    client.send(message="Hi")
    client.send(message=5, name=7, color=123456)
    assert client.new() == [
        {"type": "usermsg", "name": "", "message": "Hi", "color": ""},
        {"type": "usermsg", "name": "7", "message": "5", "color": "123456"},
    ]


def test_register(room: Chat) -> None:
    """
    A client registers under its own id, and what is said to that goes there only.
    """
    first, second, third = room.classic(), room.classic(), room.classic("/kitchen")
    for client in (first, second, third):
        client.new()
    answer = {"type": "system", "message": "Initial message received"}
    first.send(type="system", id=5, name="mks", extra=1)
    room.settle()
    assert first.new() == [answer]
    third.send(type="system", id="7", name="other")
    room.settle()
    assert third.new() == [answer]
    second.send(type="user", name="Ann", message="psst", color="F00", to_id=5)
    second.send(type="user", name="Ann", message="you", color="F00", to_id=7)
    room.settle()
    said = {"type": "usermsg", "name": "Ann", "color": "F00"}
    assert first.new() == [{**said, "message": "psst"}]
    assert third.new() == [{**said, "message": "you"}]
    assert second.new() == []
    kept = room.broker._broker.history("chat:/:to:5").result
    assert kept.publications == ()  # or the next one who registers as 5 might have it


def test_register_again(room: Chat) -> None:
    """
    Registering again is fine, with the same id or another one, which frees the first.
    """
    first, second = room.classic(), room.classic()
    for id in (5, 5, "five"):
        first.new()
        first.send(type="system", id=id)
        room.settle()
        assert [each["message"] for each in first.new()] == ["Initial message received"]
    second.new()
    second.send(type="system", id=5)
    second.send(type="user", name="B", message="hi", to_id="five")
    room.settle()
    assert [each["type"] for each in second.new()] == ["system"]
    assert [each["message"] for each in first.new()] == ["hi"]
    second.send(type="user", name="B", message="me", to_id=5)
    room.settle()
    assert [each["message"] for each in second.new()] == ["me"]
    assert first.new() == []


def test_id_in_use(room: Chat) -> None:
    """
    An id can't be taken over, as long as its connection is there.
    """
    first, second = room.classic(), room.classic()
    first.send(type="system", id=5)
    room.settle()
    first.new()
    second.new()
    second.send(type="system", id=5)
    room.settle()
    (error,) = second.new()
    assert (error["type"], error["code"]) == ("error", "id-in-use")
    assert "5" in error["message"]
    first.memory.close()
    room.settle()
    second.new()
    second.send(type="system", id=5)
    room.settle()
    assert second.new()[0]["message"] == "Initial message received"


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_newest_id(slow: bool, named: bool) -> None:
    """
    With C{ids=newest}, the client that has registered an id last has it, as with the
    tutorials' servers. The one before is told, stays in the room and can be reached by
    its first id. Its end takes nothing from the newest one.
    """
    room = Chat(slow=slow, ids="newest")
    writer = room.person("Ann", "lobby")
    first, second = room.classic(), room.classic()
    first.send(type="system", id=5, **({"name": "mks"} if named else {}))
    room.settle()
    first.new()
    second.new()
    second.send(type="system", id=5)
    room.settle()
    room.advance(5)
    assert "Initial message received" in [each["message"] for each in second.new()]
    assert "Another page has taken over this id" in [
        each["message"] for each in first.new()
    ]
    writer.ask(type="usermsg", to_id="5", message="psst")
    assert second.said() == [("Ann", "psst")]
    assert first.said() == []
    first.send(type="user", name="mks", message="still here")
    room.settle()
    (said,) = [each for each in writer.new("usermsg") if each["message"] != "psst"]
    assert said["from_id"].startswith("c-")
    assert writer.ask(type="usermsg", to_id=said["from_id"], message="you")["type"] == (
        "sent"
    )
    room.settle()
    assert first.said()[-1] == ("Ann", "you")
    first.memory.close()
    room.settle()
    second.new()
    assert writer.ask(type="usermsg", to_id="5", message="again")["type"] == "sent"
    room.settle()
    assert second.said() == [("Ann", "again")]
    assert room.service.people.find("5") is not None


def test_newest_id_of_many() -> None:
    """
    Several clients can take an id from each other, and back; nothing is left of it when
    all have gone.
    """
    room = Chat(ids="newest")
    clients = [room.classic() for _ in range(3)]
    for client in (*clients, *clients):
        client.send(type="system", id="a")
        clients[0].send(type="user", name="mks", message="x", to_id="a")
        assert [each["message"] for each in client.new("usermsg")] == ["x"]
    for client in clients:
        client.memory.close()
    room.advance(60)
    assert len(room.service.people) == 0
    assert room.broker._broker.presence("chat:/:people").result == {}


def test_newest_id_of_logins() -> None:
    """
    Nobody takes the id of somebody who has logged in, nor one of the server's own form.
    """
    room = Chat(ids="newest")
    server, ann = room.server, Avatar("ann")
    first = Client(server, server.connect(avatar=ann))
    first.send(type="system", id=5)
    second = room.classic()
    second.new()
    for id in (5, "p-0123456789abcdef"):
        second.send(type="system", id=id)
        assert [each.get("code") for each in second.new()] == ["id-in-use"]


@pytest.mark.parametrize("slow", [False, True])
def test_newest_id_of_one_that_leaves(slow: bool) -> None:
    """
    A client can take the id of one that disconnects at the same moment.
    """
    room = Chat(slow=slow, ids="newest")
    first, second = room.classic(), room.classic()
    first.send(type="system", id=5)
    room.settle()
    second.new()
    second.send(type="system", id=5)
    first.memory.drop()
    room.settle()
    room.advance(5)
    assert "Initial message received" in [each["message"] for each in second.new()]
    second.send(type="user", name="me", message="me", to_id=5)
    room.settle()
    assert second.said() == [("me", "me")]


@pytest.mark.parametrize("prefix", ["p-", "c-"])
def test_ids_of_the_server(prefix: str) -> None:
    """
    Nobody can register under an id of the kind that the server gives: direct messages
    for somebody who is away would go there.
    """
    client = Chat().classic()
    client.new()
    client.send(type="system", id=f"{prefix}0123456789abcdef")
    assert [each.get("code") for each in client.new()] == ["id-in-use"]


def test_to_nobody() -> None:
    """
    What is said to an id that nobody has goes nowhere, and the sender is told.
    """
    first, second = (chat := Chat()).classic(), chat.classic()
    first.new()
    second.new()
    second.send(type="user", name="Ann", message="psst", color="F00", to_id=6)
    (error,) = second.new()
    assert (error["code"], first.new()) == ("not-here", [])
    assert "6" in error["message"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not-json"),
        ("hello", "not-json"),
        ('{"type":[', "not-json"),
        ('{"name":{},', "not-json"),
        ("[" * 20_000, "not-json"),
        ("[]", "invalid"),
        ("3", "invalid"),
        ("{}", "invalid"),
        ('{"name":"Ann"}', "invalid"),
        ('{"name":"Ann","message":null}', "invalid"),
        ('{"name":"Ann","message":{}}', "invalid"),
        ('{"name":["Ann"],"message":"x"}', "invalid"),
        ('{"name":"Ann","message":" \\u200b\\n "}', "empty"),
        ('{"name":"Ann","message":"x","type":"jump"}', "unknown-type"),
        ('{"type":"join","room":"x"}', "unknown-type"),
        ('{"type":"system","id":{}}', "invalid"),
        ('{"type":"system","id":true}', "invalid"),
        ('{"type":"system","id":"%s"}' % ("x" * 65), "too-long"),
        ('{"name":"%s","message":"x"}' % ("x" * 41), "too-long"),
        ('{"name":"x","message":"%s"}' % ("x" * 2001), "too-long"),
        ('{"name":"x","message":"%s"}' % ("x" * 100_000), "too-long"),
        ('{"name":"%s","message":"x"}' % ("x" * 100_000), "too-long"),
    ],
)
def test_wrong(text: str, code: str) -> None:
    """
    Whatever else comes is answered with what is wrong about it; nobody else gets
    anything, and the connection stays.
    """
    chat = Chat()
    client, other = chat.classic(), chat.classic()
    client.new()
    other.new()
    client.memory.send(text)
    (error,) = client.new()
    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    client.send(message="still here")
    assert [each["message"] for each in client.new()] == ["still here"]
    assert len(other.new()) == 1


def test_binary() -> None:
    """
    A binary message is answered, and no more.
    """
    client = Chat().classic()
    client.new()
    client.memory.send(b"\xff")
    assert [each["code"] for each in client.new()] == ["not-json"]
    assert client.memory.closed is None


def test_longest() -> None:
    """
    The longest name and message are fine.
    """
    client = Chat().classic()
    client.new()
    client.send(name="n" * 40, message="m" * 2000)
    assert [each["type"] for each in client.new()] == ["usermsg"]


def test_names_are_unique(room: Chat) -> None:
    """
    A second one of a name gets a number, in whichever room; what looks the same is the
    same.
    """
    first, second, third = room.classic(), room.classic(), room.classic("/kitchen")
    first.new()
    for client, name in (
        (first, "Ann"),
        (second, WIDE),
        (third, "ann"),
        (first, "Ann"),
    ):
        client.send(name=name, message="x")
        room.settle()
    assert [name for name, _ in first.said()] == ["Ann", f"{WIDE} 2", "Ann"]
    assert [name for name, _ in third.said()] == ["ann 3"]
    first.send(name="Bea", message="x")
    room.settle()
    second.send(name="ann", message="x")
    room.settle()
    assert [name for name, _ in first.said()] == ["Bea", "ann"]


def test_names_are_refused(room: Chat) -> None:
    """
    With names=refuse, it isn't heard until it has another name.
    """
    chat = Chat(names="refuse", slow=room.broker.delay is not None)
    first, second = chat.classic(), chat.classic()
    first.send(name="Ann", message="x")
    chat.settle()
    first.new()
    second.new()
    second.send(name="ANN", message="x")
    chat.settle()
    assert [each["code"] for each in second.new()] == ["name-in-use"]
    assert first.new() == []
    second.send(name="Bea", message="y")
    chat.settle()
    assert first.said() == [("Bea", "y")]
    second.send(name="Ann", message="z")
    chat.settle()
    second.send(name="Bea", message="still")
    chat.settle()
    assert first.said() == [("Bea", "still")]


def test_paths(room: Chat) -> None:
    """
    The path is the room, whatever it looks like.
    """
    first = room.classic("/demo/server.php")
    second = room.classic("/demo/server.php?x=1")
    third = room.classic("/lobby")
    fourth = room.classic("/")
    for client in (first, second, third, fourth):
        client.new()
    first.send(message="a")
    third.send(message="b")
    room.settle()
    messages = [
        [each["message"] for each in client.new()]
        for client in (first, second, third, fourth)
    ]
    assert messages == [["a"], ["a"], ["b"], ["b"]]


@pytest.mark.parametrize("path", ["/@", "/@x", "/-/x", "/" + "x" * 65, "/%E2%80%8B"])
def test_no_room(path: str) -> None:
    """
    A path that can't be a room is a 404 that says so.
    """
    with pytest.raises(HandshakeRefused) as raised:
        Chat().classic(path)
    assert raised.value.status == 404


def test_other_rooms() -> None:
    """
    With other-rooms=no, the rooms that are offered are all.
    """
    chat = Chat(rooms="news,kitchen", other_rooms="no")
    first, second = chat.classic("/"), chat.classic("/news")
    first.new()
    second.send(message="x")
    assert len(first.new("usermsg")) == 1
    chat.classic("/kitchen")
    with pytest.raises(HandshakeRefused) as raised:
        chat.classic("/lobby")
    assert raised.value.status == 404


def test_notices_off() -> None:
    """
    With notices=off, nobody is told of anybody.
    """
    chat = Chat(notices="off")
    first, second = chat.classic(), chat.classic()
    second.memory.close()
    chat.advance(60)
    person = chat.person("Ann", "lobby")
    assert first.new() == []
    assert chat.person("Bea", "lobby").all[1]["count"] == 2
    assert [each["quiet"] for each in person.new("presence")] == [True]


def test_notices_with_grace(room: Chat) -> None:
    """
    With notices=grace, whoever comes back in time was never gone; who doesn't, was.
    """
    chat = Chat(notices="grace", grace="5", slow=room.broker.delay is not None)
    first = chat.classic(address="192.0.2.9")
    second = chat.classic()
    first.new()
    second.memory.close()
    chat.advance(1)
    second = chat.classic()
    assert (first.new(), second.new()) == ([], [])
    third = chat.classic()
    third.memory.close()
    chat.advance(20)
    assert first.new() == []  # the address is still there
    second.memory.close()
    chat.advance(4)
    assert first.new() == []
    chat.advance(2)
    assert first.new() == [{"type": "system", "message": "192.0.2.1 disconnected"}]
    assert chat.service.notices._there == {("lobby", "192.0.2.9"): 1}
    assert chat.service.notices._leaving == {}


def test_stop() -> None:
    """
    When the server stops, nobody is told that everybody leaves, and nothing waits.
    """
    chat = Chat(notices="grace")
    first, second = chat.classic(), chat.classic(address="192.0.2.2")
    third, _ = chat.person("Ann", "lobby"), chat.person("Bea", "lobby")
    first.send(name="mks", message="x")
    third.memory.drop()
    second.memory.drop()
    first.new()
    published = chat.broker.published
    stopped = chat.server.stop()
    chat.advance(30)
    assert stopped.called
    assert first.new() == []
    assert chat.broker.published == published
    chat.broker.stop()
    assert chat.server.clock.getDelayedCalls() == []


@pytest.mark.parametrize("how", ["drop", "abort"])
def test_left_while_it_comes(how: str) -> None:
    """
    A client that is gone before the broker has answered leaves nothing behind.
    """
    chat = Chat(slow=True)
    watcher = chat.classic(address="192.0.2.9")
    watcher.new()
    for steps in range(12):
        client = chat.server.connect()
        client.send('{"type":"system","id":5,"name":"mks"}')
        client.send('{"name":"Ann","message":"x"}')
        chat.advance(steps * STEP)
        if how == "drop":
            client.drop()
        else:
            client.transport.abortConnection()
        chat.advance(10)
    assert len(chat.service.people) == 0
    present = chat.broker._broker._present
    assert present == {}
    told = [each["message"] for each in watcher.new("system")]
    assert told.count("192.0.2.1 connected") == told.count("192.0.2.1 disconnected")
    assert chat.service.delivery.classic.count("chat:/:room:lobby") == 1
    assert chat.service.delivery.classic.count("chat:/:to:5") == 0


def test_broker_fails() -> None:
    """
    Where nothing can be kept, whoever wants to say something is told.
    """
    chat = Chat()
    client = chat.classic()
    client.new()
    chat.broker.broken = True
    client.send(name="", message="x")
    (error,) = client.new()
    assert (error["code"], error["message"]) == ("unavailable", "the disk is full")
    client.send(type="system", id=3)
    assert [each["code"] for each in client.new()] == ["unavailable"]
    other = chat.classic()
    assert [each["code"] for each in other.new()] == ["unavailable"]
    chat.broker.broken = False
    client.send(name="Ann", message="y")
    assert [each["message"] for each in client.new("usermsg")] == ["y"]


def test_rate() -> None:
    """
    The rate holds for the address, and a reconnect doesn't help.
    """
    chat = Chat(rate="0.5", burst="3")
    client = chat.classic()
    for _ in range(4):
        client.send(message="x")
    assert len(client.new("usermsg")) == 3
    error = client.all[-1]
    assert error["code"] == "rate-limited"
    assert error["retry_after"] == 2.0
    client.memory.close()
    again, other = chat.classic(), chat.classic(address="192.0.2.2")
    again.send(message="x")
    other.send(message="x")
    assert [each["code"] for each in again.new("error")] == ["rate-limited"]
    assert other.new("error") == []
    chat.advance(2)
    again.send(message="x")
    assert again.new("error") == []


def test_too_much_registering() -> None:
    """
    Others may be told of a registering, so that there can't be too much of it.
    """
    chat = Chat(rate="0.5", burst="2")
    client = chat.classic()
    client.new()
    for number in range(5):
        client.send(type="system", id=number, name=f"name {number}")
    assert [each["type"] for each in client.new("system", "error")][-2:] == [
        "system",
        "error",
    ]
    assert client.all[-1]["code"] == "rate-limited"


def test_rate_of_a_name() -> None:
    """
    People at one address have a rate each, by their names; but whoever changes names
    is no more than ten.
    """
    chat = Chat(rate="0.001", burst="2", max_length="10")
    first, second = chat.classic(), chat.classic()
    for client, name in ((first, "Ann"), (second, "Bea")):
        for _ in range(3):
            client.send(name=name, message="x")
        assert [each["code"] for each in client.new("error")] == ["rate-limited"]
    again = chat.classic()
    again.send(name="ANN", message="x")
    assert [each["code"] for each in again.new("error")] == ["rate-limited"]
    for number in range(30):
        again.send(name=f"name {number}", message="x")
    refused = [each["code"] for each in again.new("error")]
    assert refused == ["rate-limited"] * (30 - 16)
    other = chat.classic(address="192.0.2.2")
    other.send(name="name 0", message="x")
    assert other.new("error") == []


def test_rate_of_a_network() -> None:
    """
    All of an IPv6 network's 64 bits are one: there is no end to its addresses.
    """
    chat = Chat(rate="0.001", burst="1")
    for address, refused in (
        ("2001:db8::1", 0),
        ("2001:db8::2", 1),
        ("2001:db8:0:1::2", 0),
        ("192.0.2.1", 0),
        ("::ffff:192.0.2.1", 1),
    ):
        client = chat.classic(address=address)
        client.send(message="x")
        assert len(client.new("error")) == refused, address
