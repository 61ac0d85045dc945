"""
People who have logged in: what docs/guides/chat.md says under "Logins".
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.checkers import AllowAnonymousAccess
from twisted.cred.portal import Portal

from tests.apps.chat.kit import Chat, Client, key
from wsplug import HandshakeRefused
from wsplug.apps.chat.protocol import SUBPROTOCOL
from wsplug.auth import Avatar, Realm


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
    with pytest.raises(HandshakeRefused, match="no visible characters") as raised:
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


@pytest.mark.parametrize("names", ["suffix", "refuse"])
def test_names_of_logins_are_theirs(names: str) -> None:
    """
    Somebody who has the name of a login before it comes has to have another one then;
    the others are told. Nobody gets the name while the login is away.
    """
    chat = Chat(names=names)
    watcher, other = chat.person("Watcher", "lobby"), chat.person("ANN", "lobby", "x")
    watcher.new()
    ann = logIn(chat, "ann")
    assert enter(ann)["name"] == "ann"
    told = [(each["event"], each.get("was"), each["name"]) for each in watcher.new()]
    assert told == [("changed", "ANN", "ANN 2"), ("joined", None, "ann")]
    other.ask(type="usermsg", room="x", message="Hi")
    assert other.said() == [("ANN 2", "Hi")]
    ann.memory.drop()
    chat.advance(60)
    late = chat.connect().ask(type="hello", name="a n n\u200b", key=key("late"))
    renamed = other.ask(type="name", name="Ann")
    if names == "refuse":
        assert (late["code"], renamed["code"]) == ("name-in-use", "name-in-use")
    else:
        assert (late["name"], renamed["name"]) == ("a n n 3", "Ann 2")
    assert enter(logIn(chat, "ann"))["name"] == "ann"


def test_a_name_that_both_want_at_once() -> None:
    """
    A login that comes while somebody else is just taking its name has it in the end.
    """
    chat = Chat(slow=True)
    clients = [chat.connect(), logIn(chat, "ann"), chat.connect()]
    for client in clients:
        client.send(type="hello", name="ann")
    chat.settle()
    chat.settle()
    watcher = chat.person("Watcher", "lobby")
    names = [client.ask(type="join", room="lobby")["name"] for client in clients]
    assert (names[1], len(set(names))) == ("ann", 3)
    chat.settle()
    assert [each["name"] for each in watcher.new("presence")] == names


def test_names_in_private_messages(room: Chat) -> None:
    """
    Two who want the same name are told apart in private messages, as in rooms.
    """
    bea = room.person("Bea", "@", "lobby")
    id = bea.ask(type="join", room="x")["people"][0]["id"]
    clients = [
        logIn(room, "Ann"),
        room.connect(),
        logIn(room, "ann\u200b"),
        room.connect(),
    ]
    for number, client in enumerate(clients):
        client.ask(type="hello", name=f"A{' ' * number}nn", key=key(str(number)))
        sent = client.ask(type="usermsg", to_id=id, message="Psst")
        assert sent["type"] == "sent"
    room.settle()
    names = [name for name, _ in bea.said()]
    assert names == ["Ann", "A nn 2", "ann 3", "A nn 4"]


def test_the_real_login(room: Chat) -> None:
    """
    Of two logins that look the same, the one that is just what is shown has the name.
    """
    fake = logIn(room, "ann\u200b")
    assert enter(fake)["name"] == "ann"
    assert enter(logIn(room, "ann"))["name"] == "ann"
    room.settle()
    changed = [each for each in fake.new("presence") if each["event"] == "changed"]
    assert [(each["was"], each["name"]) for each in changed] == [("ann", "ann 2")]
    assert enter(logIn(room, "ann\u200b"))["name"] == "ann 2"


def test_classic_client_is_the_same_person(room: Chat) -> None:
    """
    A classic client of a login is one more connection of theirs: one entry among those
    who are here, one id, and what is for them comes to it, also by an id of its own.
    """
    bea = room.person("Bea", "lobby")
    ann = logIn(room, "ann")
    id = enter(ann)["id"]
    ann.ask(type="join", room="@")
    classic = logIn(room, "ann", classic=True)
    classic.send(message="Hi", color="F00")
    classic.send(type="system", id=7)
    room.settle()
    (said,) = bea.new("usermsg")
    assert (said["from_id"], said["name"], said["color"]) == (id, "ann", "F00")
    joined = room.person("Viewer").ask(type="join", room="lobby")
    assert [each["name"] for each in joined["people"]] == ["Bea", "ann", "Viewer"]
    for client in (ann, classic):
        client.new()
    for to in (id, 7):
        assert bea.ask(type="usermsg", to_id=to, message="Psst")["type"] == "sent"
    room.settle()
    assert ann.said() == classic.said() == [("Bea", "Psst")] * 2
    classic.memory.drop()
    room.advance(60)
    assert bea.ask(type="usermsg", to_id=7, message="x")["code"] == "not-here"
    assert bea.ask(type="usermsg", to_id=id, message="x")["type"] == "sent"
    ann.memory.drop()
    room.advance(60)
    assert len(room.service.people) == 2


def test_who_has_not_logged_in_is_marked() -> None:
    """
    Where people can log in, others are told of those who haven't; elsewhere nobody is
    marked.
    """
    for portal in (None, Portal(Realm(), [AllowAnonymousAccess()])):
        chat = Chat(server={"portal": portal})
        marks = [] if portal is None else [True]
        ann, guest = logIn(chat, "ann"), chat.connect()
        enter(ann)
        guest.ask(type="hello", name="Bea")
        people = guest.ask(type="join", room="lobby")["people"]
        guest.ask(type="usermsg", room="lobby", message="Hi")
        ann.ask(type="usermsg", room="lobby", message="Hi")
        marked = [each for each in [*people, *ann.new()] if "guest" in each]
        assert [each["guest"] for each in marked] == marks * 3
        assert {each["name"] for each in marked} <= {"Bea"}
        open = Chat(server={"portal": portal}, login_names="no").person("Cy")
        assert "guest" not in open.ask(type="join", room="lobby")["people"][0]


def test_avatars_of_others(room: Chat) -> None:
    """
    An avatar without a name, as another realm may give, leaves the choice.
    """
    memory = room.server.connect(subprotocols=[SUBPROTOCOL], avatar=object())
    assert enter(Client(room.server, memory), name="Queen")["name"] == "Queen"
