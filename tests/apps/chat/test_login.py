"""
People who have logged in: what docs/chat.md says under "Logged in".
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.chat.kit import Chat, Client, key
from wsplug import HandshakeRefused
from wsplug.apps.chat.protocol import SUBPROTOCOL
from wsplug.auth import Avatar


def logIn(chat: Chat, login: str, *, classic: bool = False) -> Client:
    """
    Connect somebody who has logged in.
    """
    subprotocols = [] if classic else [SUBPROTOCOL]
    memory = chat.server.connect(subprotocols=subprotocols, avatar=Avatar(login))
    chat.settle()
    return Client(chat.server, memory)


def enter(client: Client, **hello: Any) -> dict[str, Any]:
    """
    Say hello, and come into the lobby.

    @return: the welcome.
    """
    welcome = client.ask(**{"type": "hello", "name": "", **hello})
    joined = client.ask(type="join", room="lobby")
    assert joined["type"] == "joined", joined
    client.new()
    return welcome


def test_called_by_the_login(room: Chat) -> None:
    """
    Whatever is said with hello, the name is that of the login, also for the others.
    """
    bea = room.person("Bea", "lobby")
    ann = logIn(room, "ann")
    welcome = enter(ann, name="Bea", color="#123")
    assert (welcome["name"], welcome["fixed_name"]) == ("ann", True)
    ann.ask(type="usermsg", room="lobby", message="Hi")
    room.settle()
    assert bea.said() == [("ann", "Hi")]


def test_same_person(room: Chat) -> None:
    """
    All connections of a login are one person; a key makes nobody else that person, and
    none of theirs makes them another.
    """
    ids = [
        enter(logIn(room, "ann"), **more)["id"]
        for more in ({}, {"key": key("a")}, {"name": "Ann"})
    ]
    assert len(set(ids)) == 1
    others = [enter(logIn(room, name))["id"] for name in ("Ann", "bob")]
    others += [enter(room.connect(), name="ann", key="ann" * 6)["id"]]
    assert len({*ids, *others}) == 4


def test_other_name(room: Chat) -> None:
    """
    The colour can be changed, the name can't.
    """
    ann = logIn(room, "ann")
    enter(ann)
    assert ann.ask(type="name", name="Bea")["code"] == "name-fixed"
    named = ann.ask(type="name", name="ann", color="#456")
    assert (named["name"], named["color"]) == ("ann", "#456")


def test_classic(room: Chat) -> None:
    """
    What a classic client calls itself doesn't count; it needn't say anything.
    """
    bea = room.person("Bea", "lobby")
    ann = logIn(room, "ann", classic=True)
    for said in ({"name": "Bea"}, {}, {"name": "x" * 100}):
        ann.send(type="usermsg", message="Hi", color="F00", **said)
        room.settle()
        assert bea.said() == [("ann", "Hi")]
    ann.send(type="system", id=7, name="mks")
    room.settle()
    ann.new()
    assert bea.ask(type="usermsg", to_id=7, message="Psst")["type"] == "sent"
    room.settle()
    assert ann.said() == [("Bea", "Psst")]
    people = room.connect()
    people.ask(type="hello", name="Cy")
    joined = people.ask(type="join", room="lobby")
    assert [each["name"] for each in joined["people"]] == ["Bea", "ann", "Cy"]


@pytest.mark.parametrize(
    ("login", "name"),
    [(" Ann\u202e  B ", "Ann B"), ("x" * 39 + " yz", "x" * 39)],
)
def test_shown(room: Chat, login: str, name: str) -> None:
    """
    A login's name is made fit to be shown, as a chosen one is.
    """
    assert enter(logIn(room, login))["name"] == name


@pytest.mark.parametrize("classic", [False, True])
def test_nothing_to_show(room: Chat, classic: bool) -> None:
    """
    Who has a name of which nothing can be shown is refused.
    """
    with pytest.raises(HandshakeRefused, match="can't be shown") as raised:
        logIn(room, "\u202e \u2800", classic=classic)
    assert raised.value.status == 403


def test_free_names() -> None:
    """
    With login-names=no, everybody is called as they like, and is known by the key.
    """
    chat = Chat(login_names="no")
    ann = logIn(chat, "ann")
    welcome = enter(ann, name="Queen", key=key("a"))
    assert welcome["name"] == "Queen"
    assert "fixed_name" not in welcome
    assert ann.ask(type="name", name="King")["name"] == "King"
    assert enter(chat.connect(), name="x", key=key("a"))["id"] == welcome["id"]


def test_same_look(room: Chat) -> None:
    """
    Two logins that look the same are two people, with two names in a room.
    """
    for login, shown in (("ann", "ann"), ("Ann", "Ann 2")):
        client = logIn(room, login)
        client.ask(type="hello", name="")
        assert client.ask(type="join", room="lobby")["name"] == shown


def test_avatars_of_others(room: Chat) -> None:
    """
    An avatar without a name, as another realm may give, leaves the choice.
    """
    memory = room.server.connect(subprotocols=[SUBPROTOCOL], avatar=object())
    assert enter(Client(room.server, memory), name="Queen")["name"] == "Queen"
