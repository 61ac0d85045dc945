"""
Clients of C{wsplug.chat.v1}: what docs/reference/chat.md says of them under "The wire".
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.apps.chat.kit import STEP, Chat, Client, key
from wsplug.broker import MemoryBroker, Retention
from wsplug.errors import OPERATOR, Side


def test_welcome(room: Chat) -> None:
    """
    Whoever says hello is told who they are, and what there is.
    """
    client = room.connect("/kitchen/x")
    assert client.memory.subprotocol == "wsplug.chat.v1"
    welcome = client.ask(type="hello", name=" Ann\u202e ", color="#123", key=key("a"))
    id = welcome.pop("id")
    assert id.startswith("p-")
    assert welcome == {
        "type": "welcome",
        "name": "Ann",
        "color": "#123",
        "room": "kitchen/x",
        "rooms": ["lobby"],
        "other_rooms": True,
        "max_length": 2000,
    }
    again = room.connect().ask(type="hello", name="Ann", key=key("a"))
    assert (again["id"], again["room"]) == (id, "lobby")
    assert room.connect().ask(type="hello", name="Ann", key=key("b"))["id"] != id
    first, second = (room.connect().ask(type="hello", name="Ann") for _ in range(2))
    assert first["id"] != second["id"]


def test_room_of_the_path() -> None:
    """
    A path that is no room gives the first of those that are offered.
    """
    chat = Chat(rooms="news,kitchen", other_rooms="no")
    for path, room in (("/kitchen", "kitchen"), ("/lobby", "news"), ("/", "news")):
        welcome = chat.connect(path).ask(type="hello", name="Ann")
        assert (welcome["room"], welcome["rooms"]) == (room, ["news", "kitchen"])
        assert welcome.get("other_rooms", False) is False


def test_hello_first(room: Chat) -> None:
    """
    Nothing else works before hello, and hello works once.
    """
    client = room.connect()
    for asked in (
        {"type": "join", "room": "lobby"},
        {"type": "leave", "room": "lobby"},
        {"type": "usermsg", "room": "lobby", "message": "x"},
        {"type": "name", "name": "x"},
    ):
        assert client.ask(**asked)["code"] == "hello-first"
    client.ask(type="hello", name="Ann")
    assert client.ask(type="hello", name="Ann")["code"] == "invalid"


def test_ping(room: Chat) -> None:
    """
    A ping is answered, also before hello.
    """
    client = room.connect()
    assert client.ask(type="ping") == {"type": "pong"}


def test_join(room: Chat) -> None:
    """
    Whoever joins is told where the room is, what was said, and who is here; the others
    are told of them.
    """
    ann = room.person("Ann", "lobby", color="#123")
    ann.ask(type="usermsg", room="lobby", message="one")
    ann.new()
    bea = room.person("Bea")
    joined = bea.ask(type="join", room="lobby")
    (message,) = joined.pop("messages")
    people = joined.pop("people")
    position = joined.pop("position")
    assert joined == {
        "type": "joined",
        "room": "lobby",
        "name": "Bea",
        "recovered": True,
        "count": 2,
    }
    assert (message["type"], message["message"]) == ("usermsg", "one")
    assert message["offset"] == position["offset"] == 1
    assert message["time"] >= 1_000_000
    assert len(message["id"]) == 16
    assert [(each["name"], each["color"]) for each in people] == [
        ("Ann", "#123"),
        ("Bea", ""),
    ]
    assert message["from_id"] == people[0]["id"]
    room.settle()
    (told,) = ann.new()
    assert told == {
        "type": "presence",
        "room": "lobby",
        "event": "joined",
        "id": people[1]["id"],
        "name": "Bea",
        "color": "",
        "count": 2,
    }


def test_history_is_bounded() -> None:
    """
    A newcomer gets the latest messages, as many as the option says, or fewer if it
    asks for that.
    """
    chat = Chat(history="3", burst="100")
    ann = chat.person("Ann", "lobby")
    for number in range(5):
        ann.send(type="usermsg", room="lobby", message=str(number))
    for limit, expected in ((None, "234"), (2, "34"), (0, ""), (100, "234")):
        asked = {} if limit is None else {"limit": limit}
        joined = chat.person("Bea").ask(type="join", room="lobby", **asked)
        assert "".join(each["message"] for each in joined["messages"]) == expected
        assert joined["recovered"] is True


def test_several_rooms(room: Chat) -> None:
    """
    A connection can be in several rooms, and gets what is said in each.
    """
    ann = room.person("Ann", "lobby", "kitchen")
    bea = room.person("Bea", "kitchen")
    cleo = room.person("Cleo", "lobby")
    ann.new()
    bea.ask(type="usermsg", room="kitchen", message="k")
    cleo.ask(type="usermsg", room="lobby", message="l")
    room.settle()
    got = [(each["room"], each["message"]) for each in ann.new("usermsg")]
    assert got == [("kitchen", "k"), ("lobby", "l")]
    assert bea.said() == [("Bea", "k")]
    assert cleo.said() == [("Cleo", "l")]


def test_leave(room: Chat) -> None:
    """
    Whoever leaves gets nothing more, is told of at once, and can come back.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    ann.new()
    answer = bea.ask(type="leave", room="lobby")
    assert answer == {"type": "left", "room": "lobby"}
    room.settle()
    (told,) = ann.new()
    assert (told["event"], told["name"], told["count"]) == ("left", "Bea", 1)
    assert bea.ask(type="leave", room="lobby")["code"] == "not-in-room"
    refused = bea.ask(type="usermsg", room="lobby", message="x")
    assert refused["code"] == "not-in-room"
    bea.new()
    ann.ask(type="usermsg", room="lobby", message="gone?")
    room.settle()
    assert bea.new() == []
    joined = bea.ask(type="join", room="lobby")
    assert [each["message"] for each in joined["messages"]] == ["gone?"]


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("lobby/", "lobby"),
        ("a  b", "a b"),
        ("a//b", "a/b"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u200bnews ", "news"),
    ],
)
def test_one_rule_for_names_of_rooms(name: str, room: str) -> None:
    """
    Whatever a client calls a room, each request means the same one, and each answer
    has its name.
    """
    chat = Chat()
    ann, bea = chat.person("Ann", room), chat.person("Bea")
    assert bea.ask(type="find", room=name) == {"type": "found", "room": room}
    assert bea.ask(type="join", room=name)["room"] == room
    assert bea.ask(type="join", room=room)["code"] == "invalid"
    assert bea.ask(type="usermsg", room=name, message="x")["room"] == room
    bea.send(type="typing", room=name)
    assert [(each["type"], each["room"]) for each in ann.new("usermsg", "typing")] == [
        ("usermsg", room),
        ("typing", room),
    ]
    assert bea.ask(type="leave", room=name) == {"type": "left", "room": room}
    assert ann.new("presence")[-1]["event"] == "left"
    classic = chat.classic("/" + quote(name))
    classic.send(name="Cleo", message="Hi")
    assert ann.said() == [("Cleo", "Hi")]


def test_rooms_that_are_none() -> None:
    """
    What no room can be called is refused, and so is another one where only those
    offered are open.
    """
    ann = Chat().person("Ann")
    for name in ("", " ", "@x", "-/x", "x" * 65, "\u200b", "x" * 201):
        assert ann.ask(type="join", room=name)["type"] == "error", name
    ann = Chat(other_rooms="no").person("Ann", "lobby")
    assert ann.ask(type="join", room="kitchen")["code"] == "no-such-room"


def test_in_it_already() -> None:
    """
    Joining twice on one connection is a mistake.
    """
    ann = Chat().person("Ann", "lobby")
    assert ann.ask(type="join", room="/lobby/")["code"] == "invalid"


def test_too_many_rooms() -> None:
    """
    There are only so many rooms for a connection; what is for oneself doesn't count.
    """
    chat = Chat(max_rooms="2")
    ann = chat.person("Ann", "a", "@", "b")
    assert ann.ask(type="join", room="c")["code"] == "too-many-rooms"
    ann.ask(type="leave", room="a")
    assert ann.ask(type="join", room="c")["type"] == "joined"


def test_say(room: Chat) -> None:
    """
    A message goes to all, the sender too, and the answer has its id and time.
    """
    ann, bea = room.person("Ann", "lobby", color="#123"), room.person("Bea", "lobby")
    text = "Hi <b>\u202ethere\r\n\tyou\x00"
    sent = ann.ask(type="usermsg", room="lobby", message=text, ref="r1")
    room.settle()
    (said,) = bea.new("usermsg")
    assert (sent["type"], sent["room"]) == ("sent", "lobby")
    assert said == {
        "type": "usermsg",
        "room": "lobby",
        "id": sent["id"],
        "time": sent["time"],
        "offset": 1,
        "from_id": said["from_id"],
        "name": "Ann",
        "color": "#123",
        "message": "Hi <b>\u202ethere\n\tyou",
        "ref": "r1",
    }
    assert ann.new("usermsg") == [said]


def test_said_once(room: Chat) -> None:
    """
    A second message with the same ref isn't said: the answer is that of the first. It
    is another's ref, or a later one's.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    message = {"type": "usermsg", "room": "lobby", "message": "x", "ref": "r"}
    first = ann.ask(**message)
    ann.memory.drop()
    again = room.person("Ann", "lobby")
    assert again.ask(**message) == first
    bea.ask(**message)
    room.settle()
    assert [each["name"] for each in bea.new("usermsg")] == ["Ann", "Bea"]
    room.advance(301)
    assert again.ask(**message)["id"] != first["id"]
    assert len(room.service.sender._publisher) == 1


def test_ref_of_what_failed() -> None:
    """
    What could not be said can be said again with the same ref.
    """
    chat = Chat()
    ann = chat.person("Ann", "lobby")
    chat.broker.broken = True
    message = {"type": "usermsg", "room": "lobby", "message": "x", "ref": "r"}
    assert ann.ask(**message)["code"] == "unavailable"
    chat.broker.broken = False
    assert ann.ask(**message)["type"] == "sent"


def test_recovery(room: Chat) -> None:
    """
    Whoever comes back with their position gets all that was missed, once, in order;
    and nobody is told of them.
    """
    ann = room.person("Ann", "lobby")
    bea = room.person("Bea")
    position = bea.ask(type="join", room="lobby")["position"]
    ann.ask(type="usermsg", room="lobby", message="0")
    bea.memory.drop()
    for number in range(1, 4):
        ann.ask(type="usermsg", room="lobby", message=str(number))
    ann.new()
    bea = room.person("Bea")
    position["offset"] += 1
    joined = bea.ask(type="join", room="lobby", since=position)
    assert joined["recovered"] is True
    assert [each["message"] for each in joined["messages"]] == ["1", "2", "3"]
    room.advance(10)
    assert ann.new() == []
    offset = joined["position"]["offset"]
    ann.ask(type="usermsg", room="lobby", message="4")
    room.settle()
    (message,) = bea.new("usermsg")
    assert message["offset"] == offset + 1


def test_after_a_restart() -> None:
    """
    Whoever comes back to another server, or the same one after a restart, is among
    those who are here, but nobody needs to mention it.
    """
    chat = Chat()
    chat.person("Cleo", "lobby").ask(type="usermsg", room="lobby", message="x")
    position = chat.person("Ann").ask(type="join", room="lobby")["position"]
    shared = {"broker": chat.broker, "clock": chat.server.clock}
    chat.server.stop()
    chat.advance(10)
    again = Chat(server=shared)
    bea, ann = again.person("Bea", "lobby"), again.person("Ann")
    joined = ann.ask(type="join", room="lobby", since=position)
    assert (joined["recovered"], joined["count"]) == (True, 2)
    (told,) = bea.new()
    assert (told["event"], told["name"], told["quiet"]) == ("joined", "Ann", True)


def test_nothing_to_recover() -> None:
    """
    Where nothing was missed, nothing comes.
    """
    chat = Chat()
    position = chat.person("Ann").ask(type="join", room="lobby")["position"]
    joined = chat.person("Bea").ask(type="join", room="lobby", since=position)
    assert (joined["recovered"], joined["messages"]) == (True, [])


def test_lost(room: Chat) -> None:
    """
    A position that isn't known any more is told so, and the latest messages come.
    """
    ann = room.person("Ann", "lobby")
    ann.ask(type="usermsg", room="lobby", message="x")
    for since in ({"offset": 0, "epoch": "other"}, {"offset": 99, "epoch": "x"}):
        joined = room.person("Bea").ask(type="join", room="lobby", since=since)
        assert joined["recovered"] is False
        assert [each["message"] for each in joined["messages"]] == ["x"]


def test_too_much_to_recover() -> None:
    """
    Of more than an answer can have, the end comes, and it says that it isn't all.
    """
    chat = Chat(burst="10000", max_length="10000")
    ann = chat.person("Ann", "lobby")
    position = chat.person("Bea").ask(type="join", room="lobby")["position"]
    for number in range(501):
        ann.send(type="usermsg", room="lobby", message=str(number))
    joined = chat.person("Cleo").ask(type="join", room="lobby", since=position)
    assert joined["recovered"] is False
    assert [each["message"] for each in joined["messages"]] == [
        str(number) for number in range(1, 501)
    ]
    for _ in range(60):
        ann.send(type="usermsg", room="lobby", message="x" * 9999)
    dora = chat.person("Dora")
    joined = dora.ask(type="join", room="lobby", since=joined["position"])
    assert joined["recovered"] is False
    assert 40 < len(joined["messages"]) < 60
    assert dora.memory.closed is None


def test_one_person(room: Chat) -> None:
    """
    Connections with one key are one person: one entry, joined once, left with the last.
    """
    ann = room.person("Ann", "lobby")
    first = room.person("Bea", "lobby")
    assert len(ann.new("presence")) == 1
    second = room.person("Bea", path="/x")
    joined = second.ask(type="join", room="lobby")
    assert (joined["name"], joined["count"]) == ("Bea", 2)
    second.new()
    first.ask(type="usermsg", room="lobby", message="x")
    room.settle()
    assert second.said() == [("Bea", "x")]
    ann.new()
    first.memory.close()
    room.advance(20)
    assert ann.new() == []
    third = room.person("Bea", "lobby")
    second.ask(type="leave", room="lobby")
    room.settle()
    assert ann.new() == []
    third.ask(type="leave", room="lobby")
    room.settle()
    assert [each["event"] for each in ann.new()] == ["left"]


def test_reload_makes_no_notice(room: Chat) -> None:
    """
    Whoever is back within the grace was never gone; whoever isn't, was.
    """
    ann = room.person("Ann", "lobby")
    bea = room.person("Bea", "lobby")
    ann.new()
    bea.memory.close()
    room.advance(3)
    bea = room.person("Bea", "lobby")
    assert room.service.rooms._leaving == set()
    room.advance(60)
    assert ann.new() == []
    bea.memory.drop()
    room.advance(4)
    assert ann.new() == []
    room.advance(3)
    (told,) = ann.new()
    assert (told["event"], told["name"]) == ("left", "Bea")
    assert room.service.people.find(told["id"]) is None


def test_no_grace() -> None:
    """
    With grace=off, whoever is gone has left.
    """
    chat = Chat(grace="off")
    ann, bea = chat.person("Ann", "lobby"), chat.person("Bea", "lobby")
    ann.new()
    bea.memory.close()
    chat.server.run()
    assert [each["event"] for each in ann.new()] == ["left"]


@pytest.mark.parametrize("code", [1001, 1012])
def test_closed_by_operator(code: int) -> None:
    """
    An operator may close a connection with a code that the server also has for its own
    stop. The room is told that this person leaves, and that later ones do.
    """
    chat = Chat(grace="off")
    chat.person("Bea", "lobby")
    (connection,) = chat.server.factory.connections
    ann, cat = chat.person("Ann", "lobby"), chat.person("Cat", "lobby")
    ann.new()
    connection.close(code, "", Side.SERVER, OPERATOR)
    chat.server.run()
    cat.memory.close()
    chat.server.run()
    told = [(each["event"], each["name"]) for each in ann.new()]
    assert told == [("left", "Bea"), ("left", "Cat")]


def test_names(room: Chat) -> None:
    """
    A second one of a name gets a number, in all rooms alike.
    """
    ann = room.person("Ann", "lobby")
    other = room.person("ANN", "kitchen", key=key("other"))
    joined = other.ask(type="join", room="lobby")
    assert joined["name"] == "ANN 2"
    assert [each["name"] for each in joined["people"]] == ["Ann", "ANN 2"]
    other.ask(type="usermsg", room="lobby", message="l")
    other.ask(type="usermsg", room="kitchen", message="k")
    room.settle()
    assert ann.said() == [("ANN 2", "l")]
    assert ("ANN 2", "k") in other.said()


def test_names_are_refused() -> None:
    """
    With names=refuse, somebody with a name that is taken doesn't get in.
    """
    chat = Chat(names="refuse")
    chat.person("Ann", "lobby")
    other = chat.connect()
    hello = {"type": "hello", "key": key("other")}
    assert other.ask(**hello, name="A N N\u200b")["code"] == "name-in-use"
    assert other.ask(**hello, name="Bea")["name"] == "Bea"
    assert other.ask(type="join", room="lobby")["name"] == "Bea"
    assert other.ask(type="name", name="ann")["code"] == "name-in-use"
    sent = other.ask(type="usermsg", room="lobby", message="x")
    assert sent["type"] == "sent"
    assert other.said()[-1] == ("Bea", "x")


def test_refused_in_all_rooms() -> None:
    """
    A new name that is taken, in whichever room, is had in none.
    """
    chat = Chat(names="refuse")
    chat.person("Ann", "b")
    other = chat.person("Bea", "a", "b", "c")
    assert other.ask(type="name", name="Ann", color="#123")["code"] == "name-in-use"
    for room in "abc":
        joined = chat.person("Viewer " + room).ask(type="join", room=room)
        assert ("Bea", "") in [(p["name"], p["color"]) for p in joined["people"]]
    assert other.ask(type="name", name="Beate")["names"] == dict.fromkeys(
        "abc", "Beate"
    )


def test_rename(room: Chat) -> None:
    """
    Another name and colour are known in all rooms; the old name is free.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby", "kitchen")
    ann.new()
    answer = bea.ask(type="name", name="Cleo", color="#abc")
    assert answer == {
        "type": "named",
        "name": "Cleo",
        "color": "#abc",
        "names": {"lobby": "Cleo", "kitchen": "Cleo"},
    }
    room.settle()
    (told,) = ann.new()
    assert (told["event"], told["was"], told["name"], told["color"]) == (
        "changed",
        "Bea",
        "Cleo",
        "#abc",
    )
    assert bea.ask(type="name", name="CLEO")["names"]["lobby"] == "CLEO"
    third = room.person("Bea", key=key("third"))
    joined = third.ask(type="join", room="lobby")
    assert joined["name"] == "Bea"
    assert [each["name"] for each in joined["people"]] == ["Ann", "CLEO", "Bea"]


def test_hello_with_another_name(room: Chat) -> None:
    """
    Whoever comes back under another name is called so everywhere.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    ann.new()
    bea.memory.drop()
    again = room.connect()
    assert again.ask(type="hello", name="Bee", key=key("Bea"))["name"] == "Bee"
    room.settle()
    assert [(each["event"], each["was"]) for each in ann.new()] == [("changed", "Bea")]


def test_renaming_by_hello_counts() -> None:
    """
    Whoever comes back under another name each time is counted as one who changes it:
    the others are told a few times, then hello is refused, and works later.
    """
    chat = Chat(rate="0.5", burst="2")
    ann = chat.person("Ann", "lobby")
    chat.person("Bea", "lobby")
    ann.new()
    answers: list[dict[str, Any]] = []
    for number in range(20):
        client = chat.connect()
        answers.append(client.ask(type="hello", name=f"Bea {number}", key=key("Bea")))
    refused = [each for each in answers if each["type"] == "error"]
    assert len(refused) == 20 - 3
    assert {each["code"] for each in refused} == {"rate-limited"}
    assert len(ann.new("presence")) == 3
    chat.advance(refused[-1]["retry_after"])
    again = client.ask(type="hello", name="Bea 20", key=key("Bea"))
    assert again["type"] == "welcome"


def test_new_people_count_for_their_address() -> None:
    """
    Whoever is somebody else each time is counted by the address.
    """
    chat = Chat(rate="0.5", burst="2")
    codes = [
        chat.connect().ask(type="hello", name="Ann", key=key(str(number))).get("code")
        for number in range(50)
    ]
    assert codes.count("rate-limited") == 50 - 10 * 4
    other = chat.connect(address="192.0.2.9")
    assert other.ask(type="hello", name="Ann", key=key("x"))["type"] == "welcome"


@pytest.mark.parametrize("why", ["name-in-use", "rate-limited", "unavailable"])
def test_refused_hello_changes_nothing(why: str) -> None:
    """
    After a hello that was refused, for whatever reason, the connection is as before:
    nothing else works on it, nobody has another name, and hello can be said again.
    """
    chat = Chat(names="refuse", rate="0.5", burst="2")
    ann, bea = chat.person("Ann", "lobby"), chat.person("Bea", "lobby", "kitchen")
    ann.new()
    client = chat.connect()
    if why == "rate-limited":
        for name in ("Bea 1", "Bea 2"):
            assert bea.ask(type="name", name=name)["type"] == "named"
        refused = client.ask(type="hello", name="Bea 3", key=key("Bea"))
    else:
        chat.broker.broken = why == "unavailable"
        refused = client.ask(type="hello", name="Ann", key=key("Bea"), color="#123")
        chat.broker.broken = False
    assert refused["code"] == why
    assert client.ask(type="join", room="lobby")["code"] == "hello-first"
    assert "Bea 3" not in [each.get("name") for each in ann.new()]
    viewer = chat.person("Viewer")
    name = "Bea 2" if why == "rate-limited" else "Bea"
    for place in ("lobby", "kitchen"):
        people = viewer.ask(type="join", room=place)["people"]
        assert (name, "") in [(each["name"], each["color"]) for each in people]
    again = client.ask(type="hello", name=name, key=key("Bea"))
    assert (again["type"], again["name"]) == ("welcome", name)
    client.memory.drop()
    bea.memory.drop()
    chat.advance(60)
    assert len(chat.service.people) == 2


def test_back_at_once() -> None:
    """
    Whoever is back before the broker has let go of all that was theirs is called as
    before, and is reached.
    """
    chat = Chat(slow=True, grace="off")
    ann = chat.person("Ann", "lobby")
    for steps in range(8):
        ann.memory.drop()
        chat.advance(steps * STEP)
        memory = chat.server.connect("/", subprotocols=["wsplug.chat.v1"])
        ann = Client(chat.server, memory)
        welcome = ann.ask(type="hello", name="Ann", key=key("Ann"))
        assert welcome["name"] == "Ann", steps
        joined = ann.ask(type="join", room="lobby")
        assert [each["name"] for each in joined["people"]] == ["Ann"], steps
        chat.settle()
        here = chat.broker._broker._present
        assert {channel: len(people) for channel, people in here.items()} == {
            "chat:/:people": 1,
            "chat:/:names": 1,
            "chat:/:room:lobby": 1,
        }, steps


def test_two_hellos_at_once() -> None:
    """
    Two connections of a person that come at the same time, while the broker takes its
    time or fails, are one person, and one that is refused takes nothing from the other.
    """
    chat = Chat(slow=True)
    first, second = chat.connect(), chat.connect()
    hello = {"type": "hello", "name": "Ann", "key": key("Ann"), "request": 99}
    first.send(**hello)
    second.send(**hello)
    first.memory.drop()
    chat.settle()
    assert second.all[-1]["type"] == "welcome"
    assert second.ask(type="join", room="@")["type"] == "joined"
    other = chat.person("Bea")
    sent = other.ask(type="usermsg", to_id=second.all[0]["id"], message="Psst")
    assert sent["type"] == "sent"
    chat.settle()
    assert second.said() == [("Bea", "Psst")]


def test_typing(room: Chat) -> None:
    """
    Others are told who is typing, not too often; it isn't kept.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    ann.new()
    for _ in range(3):
        bea.send(type="typing", room="lobby")
    room.settle()
    told = ann.new()
    if room.broker.delay is None:
        assert len(told) == 1
    assert {"type": "typing", "room": "lobby", "name": "Bea", "id": told[0]["id"]} == (
        told[0]
    )
    bea.send(type="typing", room="elsewhere")
    bea.send(type="typing")
    room.advance(3)
    assert ann.new() == []
    room.person("Cleo").ask(type="join", room="lobby")
    assert room.person("Dora").ask(type="join", room="lobby")["messages"] == []


def test_direct(room: Chat) -> None:
    """
    A direct message comes to all connections of whom it is for and of who said it, and
    to nobody else; it is there for those who come back.
    """
    ann, bea = room.person("Ann", "@", "lobby"), room.person("Bea", "@", "lobby")
    second = room.person("Bea", "@")
    cleo = room.person("Cleo", "@", "lobby")
    id = next(
        each["id"]
        for each in room.person("x").ask(type="join", room="lobby")["people"]
        if each["name"] == "Bea"
    )
    for client in (ann, bea, second, cleo):
        client.new()
    sent = ann.ask(type="usermsg", to_id=id, message="psst", ref="r")
    room.settle()
    assert sent["room"] == "@"
    (said,) = bea.new("usermsg")
    assert second.new("usermsg") == [said]
    (own,) = ann.new("usermsg")
    assert {**own, "time": said["time"]} == said
    assert cleo.new("usermsg") == []
    offset = said.pop("offset")
    assert said == {
        "type": "usermsg",
        "room": "@",
        "id": sent["id"],
        "time": sent["time"],
        "from_id": said["from_id"],
        "name": "Ann",
        "color": "",
        "message": "psst",
        "to_id": id,
        "to_name": "Bea",
        "ref": "r",
    }
    bea.memory.drop()
    joined = room.person("Bea").ask(type="join", room="@")
    assert joined["messages"] == [{**said, "offset": offset}]
    assert joined["position"]["offset"] == offset
    answer = second.ask(type="usermsg", to_id=said["from_id"], message="what?")
    room.settle()
    assert answer["type"] == "sent"
    assert ann.said() == [("Bea", "what?")]
    assert second.ask(type="leave", room="@") == {"type": "left", "room": "@"}
    ann.ask(type="usermsg", to_id=id, message="still there?")
    room.settle()
    assert ("Ann", "still there?") not in second.said()


def test_direct_that_comes_half_way() -> None:
    """
    A direct message that came to its reader, but not to what is the sender's own, is
    answered with an error, and comes to the sender only when it is said again with the
    same C{ref}.
    """
    chat = Chat()
    ann, bea = chat.person("Ann", "@"), chat.person("Bea", "@")
    ids = {
        name: chat.connect().ask(type="hello", name=name, key=key(name))["id"]
        for name in ("Ann", "Bea")
    }
    asked = {"type": "usermsg", "to_id": ids["Bea"], "message": "Psst", "ref": "r"}
    chat.broker.full = ids["Ann"]
    assert ann.ask(**asked)["code"] == "unavailable"
    assert ann.ask(**asked)["code"] == "unavailable"
    (first,) = bea.new("usermsg")
    assert ann.new("usermsg") == []
    chat.broker.full = ""
    sent = ann.ask(**asked)
    assert ann.ask(**asked) == sent
    assert sent["id"] == first["id"]
    assert bea.new("usermsg") == []
    (own,) = ann.new("usermsg")
    assert (own["id"], own["message"], own["offset"]) == (first["id"], "Psst", 1)


def test_ref_that_is_used_again() -> None:
    """
    What has come to some only never goes to others than those whom it was for, whatever
    is sent with its C{ref} later: a direct message isn't told to a room.
    """
    chat = Chat()
    ann, bea = chat.person("Ann", "@"), chat.person("Bea", "@")
    ids = {
        name: chat.connect().ask(type="hello", name=name, key=key(name))["id"]
        for name in ("Ann", "Bea")
    }
    ann.ask(type="join", room="lobby")
    asked = {"type": "usermsg", "to_id": ids["Bea"], "message": "Psst", "ref": "r"}
    chat.broker.full = ids["Ann"]
    assert ann.ask(**asked)["code"] == "unavailable"
    chat.broker.full = ""
    (secret,) = bea.new("usermsg")
    sent = ann.ask(type="usermsg", room="lobby", message="Hello", ref="r")
    assert sent["id"] != secret["id"]
    (said,) = ann.new("usermsg")
    assert (said["message"], said["room"]) == ("Hello", "lobby")


def test_direct_that_never_came() -> None:
    """
    A direct message that came to nobody is said anew with the same C{ref}; one without
    a C{ref} is sent once its reader has it.
    """
    chat = Chat()
    ann, bea = chat.person("Ann", "@"), chat.person("Bea", "@")
    ids = {
        name: chat.connect().ask(type="hello", name=name, key=key(name))["id"]
        for name in ("Ann", "Bea")
    }
    asked = {"type": "usermsg", "to_id": ids["Bea"], "message": "Psst"}
    chat.broker.full = ids["Bea"]
    assert ann.ask(**asked)["code"] == "unavailable"
    assert ann.ask(**asked, ref="r")["code"] == "unavailable"
    chat.broker.full = ids["Ann"]
    assert ann.ask(**asked)["type"] == "sent"
    chat.broker.full = ""
    assert ann.ask(**asked, ref="r")["type"] == "sent"
    assert bea.said() == [("Ann", "Psst"), ("Ann", "Psst")]
    assert ann.said() == [("Ann", "Psst")]


def test_direct_to_oneself() -> None:
    """
    A note to oneself comes once.
    """
    chat = Chat()
    ann = chat.person("Ann", "@")
    id = chat.connect().ask(type="hello", name="Ann", key=key("Ann"))["id"]
    ann.ask(type="usermsg", to_id=id, message="note")
    assert ann.said() == [("Ann", "note")]


def test_nobody_here(room: Chat) -> None:
    """
    A direct message to nobody is refused; to somebody who has just gone it isn't.
    """
    ann, bea = room.person("Ann"), room.person("Bea", "lobby")
    refused = ann.ask(type="usermsg", to_id="p-0123456789abcdef", message="x")
    assert refused["code"] == "not-here"
    id = room.connect().ask(type="hello", name="Bea", key=key("Bea"))["id"]
    bea.memory.drop()
    room.server.run()
    assert ann.ask(type="usermsg", to_id=id, message="x")["type"] == "sent"
    assert len(room.person("Bea").ask(type="join", room="@")["messages"]) == 1


def test_with_classic_clients(room: Chat) -> None:
    """
    Both kinds meet in a room: each gets what is said in its own words, and finds the
    other among those who are here.
    """
    ann = room.person("Ann", "lobby", "@")
    classic = room.classic()
    room.settle()
    assert [each["message"] for each in ann.new()] == ["192.0.2.1 connected"]
    classic.new()
    classic.send(name="mks", message="hi", color="F00")
    room.settle()
    told, said = ann.new()
    assert (told["event"], told["name"], told["quiet"]) == ("joined", "mks", True)
    assert (said["name"], said["message"], said["from_id"]) == ("mks", "hi", told["id"])
    classic.new()
    ann.ask(type="usermsg", room="lobby", message="hello")
    ann.ask(type="usermsg", to_id=told["id"], message="psst")
    room.settle()
    plain = {"type": "usermsg", "name": "Ann", "color": ""}
    assert classic.new() == [
        {**plain, "message": "hello"},
        {**plain, "message": "psst"},
    ]
    classic.send(type="system", id=7, name="mks")
    room.settle()
    ann.new()
    joined = room.person("Bea").ask(type="join", room="lobby")
    assert ["7", "mks"] in [[each["id"], each["name"]] for each in joined["people"]]
    ann.ask(type="usermsg", to_id=7, message="by id")
    room.settle()
    assert [each["message"] for each in classic.new("usermsg")] == ["by id"]
    id = next(each["id"] for each in joined["people"] if each["name"] == "Ann")
    ann.new()
    classic.send(name="mks", message="back", to_id=id)
    room.settle()
    assert [(m["room"], m["message"]) for m in ann.new("usermsg")] == [("@", "back")]
    classic.memory.close()
    room.settle()
    left = [each["name"] for each in ann.new() if each.get("event") == "left"]
    assert left == ["mks"]  # at once: it has no key to come back with


def test_classic_clients_see_names(room: Chat) -> None:
    """
    Classic clients are told of the others' coming and going by name, as of a page's
    that was loaded anew: not at all.
    """
    classic = room.classic()
    classic.new()
    ann = room.person("Ann", "lobby")
    assert classic.new() == [{"type": "system", "message": "Ann joined"}]
    ann.memory.drop()
    room.advance(2)
    ann = room.person("Ann", "lobby")
    room.advance(10)
    assert classic.new() == []
    ann.ask(type="name", name="Anna")
    ann.ask(type="leave", room="lobby")
    room.settle()
    assert classic.new() == [{"type": "system", "message": "Anna left"}]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "join", "room": 5}, "invalid"),
        ({"type": "join", "room": "x" * 201}, "too-long"),
        ({"type": "join"}, "invalid"),
        ({"type": "join", "room": "x", "since": 4}, "invalid"),
        ({"type": "join", "room": "x", "limit": -1}, "invalid"),
        ({"type": "jump"}, "unknown-type"),
        ({}, "unknown-type"),
        ({"type": "usermsg", "room": "lobby"}, "invalid"),
        ({"type": "usermsg", "room": "lobby", "message": ""}, "empty"),
        ({"type": "usermsg", "room": "lobby", "message": " \u200b\n"}, "empty"),
        ({"type": "usermsg", "room": "lobby", "message": "x" * 2001}, "too-long"),
        ({"type": "usermsg", "room": "lobby", "message": "x" * 100_000}, "too-long"),
        ({"type": "usermsg", "message": "x"}, "not-in-room"),
        ({"type": "usermsg", "room": "@", "message": "x"}, "not-in-room"),
        ({"type": "usermsg", "room": "lobby", "message": "x", "ref": ""}, "invalid"),
        (
            {"type": "usermsg", "room": "lobby", "message": "x", "ref": "x" * 65},
            "too-long",
        ),
        ({"type": "name", "name": "\u200b"}, "empty"),
        ({"type": "name", "name": "x" * 41}, "too-long"),
        ({"type": "name", "name": "x" * 100_000}, "too-long"),
        ({"type": "name", "name": 5}, "invalid"),
    ],
)
def test_wrong(message: dict[str, Any], code: str) -> None:
    """
    Whatever can't be done is answered with what is wrong about it; the connection
    stays.
    """
    ann = Chat().person("Ann", "lobby")
    answer = ann.ask(**message)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert ann.ask(type="usermsg", room="lobby", message="x")["type"] == "sent"


@pytest.mark.parametrize(
    "hello",
    [
        {"name": ""},
        {"name": "x" * 41},
        {"name": "Ann", "key": "short"},
        {"name": "Ann", "key": "x" * 129},
        {"name": "Ann", "color": "x" * 65},
        {},
    ],
)
def test_wrong_hello(hello: dict[str, Any]) -> None:
    """
    A hello that can't be is refused, and can be said again.
    """
    client = Chat().connect()
    assert client.ask(type="hello", **hello)["type"] == "error"
    assert client.ask(type="hello", name="Ann")["type"] == "welcome"


@pytest.mark.parametrize(
    "text",
    ["", "{", "\x00", '{"type":"hello"', '{"type":"x",', '{"type":3', "[" * 20_000],
)
def test_no_json(text: str) -> None:
    """
    What is no JSON, whatever is wrong before that shows, is answered as such, and the
    connection stays.
    """
    client = Chat().connect()
    client.memory.send(text)
    assert [each["code"] for each in client.new()] == ["not-json"]
    assert client.ask(type="hello", name="Ann")["type"] == "welcome"


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "\x00", '{"type":"hello"'])
def test_malformed(text: str) -> None:
    """
    What is no JSON, or no object, is answered too; and so is a binary message.
    """
    client = Chat().connect()
    client.memory.send(text)
    client.memory.send(b"\xff")
    assert [each["type"] for each in client.new()] == ["error", "error"]
    assert client.memory.closed is None


def test_rate() -> None:
    """
    The rate holds for the person: a reconnect, or one more tab, doesn't help.
    """
    chat = Chat(rate="0.5", burst="3")
    ann, other = chat.person("Ann", "lobby"), chat.person("Bea", "lobby")
    message = {"type": "usermsg", "room": "lobby", "message": "x"}
    for _ in range(3):
        assert ann.ask(**message)["type"] == "sent"
    refused = ann.ask(**message)
    assert (refused["code"], refused["retry_after"]) == ("rate-limited", 2.0)
    again = chat.person("Ann", "lobby")
    assert again.ask(**message)["code"] == "rate-limited"
    ann.memory.drop()
    again.memory.drop()
    chat.advance(1)
    again = chat.person("Ann", "lobby")
    assert again.ask(**message)["code"] == "rate-limited"
    assert other.ask(**message)["type"] == "sent"
    chat.advance(1)
    assert again.ask(**message)["type"] == "sent"


def test_too_much_coming_and_going() -> None:
    """
    All in a room are told of coming and going, so that there can't be too much of it.
    """
    chat = Chat(rate="0.5", burst="2")
    ann = chat.person("Ann", "a", "b")
    ann.ask(type="leave", room="a")
    ann.ask(type="join", room="a")
    ann.ask(type="name", name="Anna")
    refused = ann.ask(type="name", name="Ann")
    assert (refused["code"], refused["retry_after"]) == ("rate-limited", 2.0)


def _slow(chat: Chat) -> Client:
    """
    Somebody who reads nothing any more.
    """
    client = chat.person("Slow", "lobby")
    client.memory.stopReading()
    return client


@pytest.mark.parametrize(
    ("overflow", "expected"), [("oldest", "gap"), ("latest", "gap"), ("close", "close")]
)
def test_slow_reader(overflow: str, expected: str) -> None:
    """
    A client that never reads delays nobody; it is closed, or told how many messages it
    has missed.
    """
    chat = Chat(overflow=overflow, backlog="64KiB", burst="10000", max_length="10000")
    slow, ann, bea = (
        _slow(chat),
        chat.person("Ann", "lobby"),
        chat.person("Bea", "lobby"),
    )
    bea.new()
    for number in range(100):
        ann.send(type="usermsg", room="lobby", message=f"{number} " + "x" * 5000)
        assert [m["message"].split()[0] for m in bea.new("usermsg")] == [str(number)]
    slow.memory.startReading()
    chat.server.run()
    if expected == "close":
        assert slow.memory.closed == (1013, "does not read fast enough")
        return
    assert slow.memory.closed is None
    got = slow.new("usermsg", "gap")
    (gap,) = [each for each in got if each["type"] == "gap"]
    messages = [int(m["message"].split()[0]) for m in got if m["type"] == "usermsg"]
    assert gap["room"] == "lobby"
    assert gap["count"] + len(messages) == 100
    assert messages[-1] == 99
    assert messages == sorted(messages)


def test_mounts_share_nothing() -> None:
    """
    Chats at different paths have rooms, people and ids of their own.
    """
    first = Chat()
    second = Chat(
        server={"path": "/team", "clock": first.server.clock, "broker": first.broker}
    )
    ann = first.person("Ann", "lobby")
    other = second.person("Ann", "lobby", path="/team/", key=key("other"))
    ann.ask(type="usermsg", room="lobby", message="x")
    assert other.new() == []
    assert other.ask(type="join", room="kitchen")["name"] == "Ann"


@pytest.mark.parametrize("how", ["drop", "abort"])
@pytest.mark.parametrize("grace", ["5", "off"])
def test_left_in_the_middle(how: str, grace: str) -> None:
    """
    A connection that is lost at whatever moment leaves nothing behind, but for its
    last messages; and who was said to have come is said to have gone.
    """
    chat = Chat(slow=True, grace=grace)
    watcher = chat.person("Watcher", "lobby")
    asked = [
        {"type": "hello", "name": "Ann"},
        {"type": "join", "room": "lobby"},
        {"type": "join", "room": "@"},
        {"type": "name", "name": "Anna"},
        {"type": "usermsg", "room": "lobby", "message": "x", "ref": "r"},
        {"type": "leave", "room": "lobby"},
    ]
    for steps in range(36):
        client = chat.connect()
        asked[0]["key"] = key(f"Ann {steps % 5}")
        for message in asked:
            client.memory.send(json.dumps(message))
        chat.advance(steps * STEP)
        if how == "drop":
            client.memory.drop()
        else:
            client.memory.transport.abortConnection()
        chat.advance(400)
        events = [each["event"] for each in watcher.new("presence")]
        if events:
            assert (events[0], events[-1]) == ("joined", "left")
            assert events.count("joined") == events.count("left") == 1
        assert len(chat.service.people) == 1
        assert chat.service.delivery.modern.count("chat:/:room:lobby") == 1
    present = chat.broker._broker._present
    assert {channel: len(people) for channel, people in present.items()} == {
        "chat:/:people": 1,
        "chat:/:names": 1,
        "chat:/:room:lobby": 1,
    }
    assert chat.service.rooms._leaving == set()


def test_more_than_the_broker_keeps() -> None:
    """
    A message that is more than the broker keeps of a room is too long, and nobody gets
    it; for a tutorial's client, too.
    """
    chat = Chat(retention=Retention(size=1000))
    ann, bea = chat.person("Ann", "lobby"), chat.person("Bea", "lobby")
    classic = chat.classic("/lobby")
    classic.new()
    bea.new()
    refused = ann.ask(type="usermsg", room="lobby", message="x" * 1000)
    assert refused["code"] == "too-long"
    assert "bytes; a stored message has at most" in refused["message"]
    classic.send(message="x" * 1000)
    assert [each["code"] for each in classic.new()] == ["too-long"]
    assert bea.new("usermsg") == []
    assert ann.ask(type="usermsg", room="lobby", message="short")["type"] == "sent"


def test_broker_fails() -> None:
    """
    Where the broker fails, each request is answered with that, and can be tried again.
    """
    chat = Chat()
    client = chat.connect()
    chat.broker.broken = True
    assert client.ask(type="hello", name="Ann", key=key("Ann"))["code"] == "unavailable"
    chat.broker.broken = False
    assert client.ask(type="hello", name="Ann", key=key("Ann"))["type"] == "welcome"
    chat.broker.broken = True
    assert client.ask(type="join", room="lobby")["code"] == "unavailable"
    assert client.ask(type="join", room="@")["code"] == "unavailable"
    chat.broker.broken = False
    assert client.ask(type="join", room="lobby")["type"] == "joined"
    assert client.ask(type="join", room="@")["type"] == "joined"
    chat.broker.broken = True
    assert client.ask(type="name", name="Bea")["code"] == "unavailable"
    assert client.ask(type="leave", room="lobby")["type"] == "left"
    client.memory.drop()
    chat.advance(60)


def test_what_others_publish() -> None:
    """
    What is in the chat's channels and is not the chat's is nothing to it.
    """
    chat = Chat()
    ann, classic = chat.person("Ann", "lobby"), chat.classic()
    ann.new()
    classic.new()
    chat.broker.publish("chat:/:room:lobby", b"what?")
    ann.ask(type="usermsg", room="lobby", message="x")
    joined = chat.person("Bea").ask(type="join", room="lobby")
    assert [each["message"] for each in joined["messages"]] == ["x"]
    assert ann.said() == [("Ann", "x")]


def test_past_is_forgotten() -> None:
    """
    The chat's past is as long as the broker keeps it.
    """
    chat = Chat()
    broker = MemoryBroker(chat.server.clock, Retention(count=2, age=60.0))
    chat = Chat(server={"broker": broker, "clock": chat.server.clock})
    ann = chat.person("Ann", "lobby")
    position = chat.person("Bea").ask(type="join", room="lobby")["position"]
    for number in range(4):
        ann.ask(type="usermsg", room="lobby", message=str(number))
    joined = chat.person("Bea").ask(type="join", room="lobby", since=position)
    assert joined["recovered"] is False
    assert [each["message"] for each in joined["messages"]] == ["2", "3"]
    chat.advance(61)
    assert chat.person("Cleo").ask(type="join", room="lobby")["messages"] == []
