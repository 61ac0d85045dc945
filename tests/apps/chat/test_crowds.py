"""
Many people who come, go and change: what the others are told, and how much of it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.apps.chat.kit import Chat, Client, key
from wsplug.apps.chat.events import Change, Presence, Presences
from wsplug.apps.chat.presences import summary

AT_ONCE = 10
"""
How many changes a room is told one by one.
"""


def come(chat: Chat, count: int, room: str = "lobby") -> list[Client]:
    """
    Have as many come, each with a name, a key and an address of their own.
    """
    clients = []
    for number in range(count):
        client = chat.connect(address=f"192.0.{number // 250}.{number % 250}")
        hello = {"type": "hello", "name": f"Guest {number}", "key": key(str(number))}
        assert client.ask(**hello)["type"] == "welcome"
        assert client.ask(type="join", room=room)["type"] == "joined"
        clients.append(client)
    return clients


def presence(client: Client) -> list[dict[str, Any]]:
    """
    What somebody is told of the others, of what is new.
    """
    return client.new("presence", "presences")


def watch(chat: Chat) -> tuple[Client, Client]:
    """
    Have two watch the lobby, one of them with a classic client, for whom all has been
    quiet for a while.
    """
    watcher, classic = chat.person("Watcher", "lobby"), chat.classic()
    chat.advance(10)
    watcher.new()
    classic.new()
    return watcher, classic


def test_many_are_told_together() -> None:
    """
    The first to come are told at once; those after them together, a second later.
    """
    chat = Chat()
    watcher, classic = watch(chat)
    come(chat, AT_ONCE + 5)
    singles = presence(watcher)
    assert [each["type"] for each in singles] == ["presence"] * AT_ONCE
    assert singles[-1]["count"] == 1 + AT_ONCE
    chat.advance(1)
    (told,) = presence(watcher)
    names = [each["name"] for each in told["events"]]
    assert names == [f"Guest {number}" for number in range(AT_ONCE, AT_ONCE + 5)]
    assert {each["event"] for each in told["events"]} == {"joined"}
    assert (told["type"], told["room"], told["count"]) == ("presences", "lobby", 16)
    last = classic.new()[-1]["message"]
    assert last == "Guest 10, Guest 11, Guest 12 and 2 others joined"
    chat.advance(60)
    assert presence(watcher) == []
    assert chat.service.rooms._teller._collected._calls == {}


def test_what_comes_to_nothing_is_not_told() -> None:
    """
    Of somebody's changes that are told together, the others hear what is left of them.
    """
    chat = Chat()
    watcher, _ = watch(chat)
    people = come(chat, AT_ONCE)
    came = chat.person("Came", "lobby")
    chat.person("Brief", "lobby").ask(type="leave", room="lobby")
    for name in ("Renamed", "Called"):
        came.ask(type="name", name=name)
        people[0].ask(type="name", name=name + " 0")
    people[1].ask(type="leave", room="lobby")
    people[1].ask(type="join", room="lobby")
    people[2].ask(type="name", name="Never seen")
    people[2].ask(type="leave", room="lobby")
    for name in ("Short", "Guest 3"):
        people[3].ask(type="name", name=name)
    presence(watcher)
    chat.advance(1)
    (told,) = presence(watcher)
    assert told["count"] == 1 + AT_ONCE
    events = [(each["event"], each["name"], each.get("was")) for each in told["events"]]
    assert events == [
        ("joined", "Called", None),
        ("changed", "Called 0", "Guest 0"),
        ("changed", "Guest 1", None),
        ("left", "Guest 2", None),
        ("changed", "Guest 3", None),
    ]


def test_too_many_to_be_told() -> None:
    """
    Where more have changed than can be listed, it is told who is here, and how many
    have come and gone; and the next time is later.
    """
    chat = Chat(grace="off")
    watcher, classic = watch(chat)
    people = come(chat, 250)
    presence(watcher)
    chat.advance(1)
    (told,) = presence(watcher)
    assert (told["count"], told["joined"]) == (251, 250 - AT_ONCE)
    assert len(told["people"]) == 200
    assert told["people"][0]["name"] == "Watcher"
    assert "events" not in told
    assert classic.new()[-1]["message"] == "240 people joined"
    for person in people[1:]:
        person.memory.drop()
    chat.advance(4.9)
    assert presence(watcher) == []
    chat.advance(0.1)
    (told,) = presence(watcher)
    assert (told["count"], told["left"]) == (2, 249)
    assert [each["name"] for each in told["people"]] == ["Watcher", "Guest 0"]


@pytest.mark.parametrize("how", ["keys", "names", "rooms", "hello"])
def test_a_flood_is_held(how: str) -> None:
    """
    One address that comes, goes and changes as often as it can for 15 seconds, with
    another key each time, under another name, in and out, or by another hello: each
    of the others gets no more than 60 messages, and 60 kB.
    """
    chat = Chat(grace="off")
    watcher, _ = watch(chat)
    sent = 0
    client = chat.person("Flood", "lobby")
    for number in range(500):
        asked = [
            {"type": "hello", "name": f"F {number}", "key": key(str(number))},
            {"type": "join", "room": "lobby"},
        ]
        if how == "hello":
            asked = [{"type": "hello", "name": f"F {number}", "key": key("Flood")}]
        elif how == "names":
            asked = [{"type": "name", "name": f"F {number}"}]
        elif how == "rooms":
            asked = [
                {"type": "leave", "room": "lobby"},
                {"type": "join", "room": "lobby"},
            ]
        else:
            client.memory.drop()
        if how in ("keys", "hello"):
            client = chat.connect()
        for each in asked:
            text = json.dumps(each)
            client.memory.send(text)
            sent += len(text)
        chat.advance(0.03)
    assert sent > 15_000
    told = [text for text in watcher.memory.messages if "presence" in text]
    assert len(told) <= 60
    assert sum(map(len, told)) <= 60_000


def test_typing_is_counted_for_an_address() -> None:
    """
    Whoever types with many keys at one address is no more than ten.
    """
    chat = Chat()
    watcher, _ = watch(chat)
    for number in range(30):
        client = chat.person(f"F {number}", "lobby")
        client.send(type="typing", room="lobby")
    assert len(watcher.new("typing")) == 10


def test_classic_connections_are_counted() -> None:
    """
    What is said of classic clients' coming and going is counted for their address, and
    told together where it is much.
    """
    chat = Chat(rate="1", burst="2")
    watcher, _ = watch(chat)
    for _ in range(100):
        chat.classic(address="192.0.2.7").memory.drop()
    chat.advance(1)
    told = [each["message"] for each in watcher.new("system")]
    assert len(told) == AT_ONCE + 1
    assert told[:2] == ["192.0.2.7 connected", "192.0.2.7 disconnected"]
    many = "192.0.2.7, 192.0.2.7, 192.0.2.7 and 12 others"
    assert told[-1] == f"{many} connected; {many} disconnected"
    chat.advance(10)
    chat.classic(address="192.0.2.8")
    assert [each["message"] for each in watcher.new("system")] == [
        "192.0.2.8 connected"
    ]
    assert chat.service.notices._collected._calls == {}


def change(event: str, name: str, *, quiet: bool = False) -> Change:
    return Change(event, "id", name, "", quiet=quiet)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Presence("joined", "id", "Ann", "", 1), "Ann joined"),
        (Presence("left", "id", "Ann", "", 1, quiet=True), ""),
        (Presence("changed", "id", "Ann", "", 1, was="Bea"), ""),
        (Presences(3, [change("left", name) for name in "ABC"]), "A, B, C left"),
        (
            Presences(3, [change("left", name) for name in "ABCD"]),
            "A, B, C and 1 other left",
        ),
        (
            Presences(3, [change("left", "A"), change("joined", "B")]),
            "B joined; A left",
        ),
        (Presences(3, [change("joined", "A", quiet=True)]), ""),
        (Presences(3, people=[], joined=1, left=30), "1 person joined; 30 people left"),
        (Presences(3, people=[]), ""),
    ],
)
def test_in_words(event: Presence | Presences, words: str) -> None:
    """
    A notice for people names some, and counts the others.
    """
    assert summary(event) == words
