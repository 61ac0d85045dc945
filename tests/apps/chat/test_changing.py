"""
Replies, edits and deletions, and older messages.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.chat.kit import Chat, Client, key
from wsplug.broker import Retention


@pytest.fixture
def room() -> Chat:
    """
    A chat whose broker answers at once.
    """
    return Chat()


def say(client: Client, text: str, **more: Any) -> str:
    """
    Say something.

    @return: its id.
    """
    where = {} if "to_id" in more else {"room": "lobby"}
    return str(client.ask(type="usermsg", message=text, **where, **more)["id"])


def past(client: Client, room: str = "lobby") -> list[dict[str, Any]]:
    """
    Leave the room and join it again.
    """
    client.ask(type="leave", room=room)
    joined: list[dict[str, Any]] = client.ask(type="join", room=room)["messages"]
    return joined


def epochOf(room: Chat) -> str:
    """
    Give the epoch of the lobby.
    """
    joined = room.person("Zoe").ask(type="join", room="lobby")
    return str(joined["position"]["epoch"])


def test_edit(room: Chat) -> None:
    """
    Everybody is told of an edit once, and whoever comes later sees the new text where
    the old one was; a classic client gets nothing of it.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    classic = room.classic()
    id = say(ann, "one")
    say(ann, "two")
    bea.new()
    classic.new()
    answer = ann.ask(type="edit", room="lobby", id=id, message=" uno\x00 ")
    assert answer == {"type": "changed", "room": "lobby", "id": id}
    (told,) = bea.new()
    assert told.pop("time") >= 1_000_000
    assert told == {
        "type": "edited",
        "room": "lobby",
        "id": id,
        "from_id": told["from_id"],
        "message": " uno ",
        "offset": 3,
    }
    assert classic.new() == []
    first, second = past(bea)
    assert (first["message"], first["edited"], first["offset"]) == (" uno ", True, 1)
    assert (second["message"], "edited" in second) == ("two", False)


def test_delete(room: Chat) -> None:
    """
    A deleted message stays as a gap without its text, and can't be changed again.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    id = say(ann, "a secret")
    ann.ask(type="edit", room="lobby", id=id, message="another secret")
    assert ann.ask(type="delete", room="lobby", id=id)["type"] == "changed"
    assert bea.new()[-1]["type"] == "deleted"
    (message,) = past(bea)
    assert (message["message"], message["deleted"]) == ("", True)
    assert "secret" not in str(message)
    for change in ({"type": "delete"}, {"type": "edit", "message": "x"}):
        answer = ann.ask(room="lobby", id=id, **change)
        assert answer["code"] == "no-such-message"


def test_only_ones_own(room: Chat) -> None:
    """
    The server judges whose a message is: by the key or the login behind the connection,
    never by a name or an id that somebody sends.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    id = say(ann, "mine")
    for change in ({"type": "delete"}, {"type": "edit", "message": "x"}):
        answer = bea.ask(room="lobby", id=id, from_id="p-1", **change)
        assert answer["code"] == "not-yours"
    assert [each["message"] for each in past(bea)] == ["mine"]
    other = room.connect()
    other.ask(type="hello", name="Ann", key=key("Ann"))
    change = {"type": "edit", "room": "lobby", "id": id, "message": "still mine"}
    assert other.ask(**change)["code"] == "not-in-room"
    other.ask(type="join", room="lobby")
    assert other.ask(**change)["type"] == "changed"


def test_malformed_changes(room: Chat) -> None:
    """
    What isn't a change is refused, and counts against the rate of messages.
    """
    ann = room.person("Ann", "lobby")
    id = say(ann, "one")
    for wrong, code in (
        ({"id": "x"}, "invalid"),
        ({"id": id.upper() + "0"}, "invalid"),
        ({"id": "0" * 16}, "no-such-message"),
        ({"id": id, "message": "\u200b"}, "empty"),
        ({"id": id, "message": "x" * 2001}, "too-long"),
        ({"id": id, "room": "kitchen"}, "not-in-room"),
    ):
        asked = {"room": "lobby", "message": "x", **wrong}
        assert ann.ask(type="edit", **asked)["code"] == code
    answers = [ann.ask(type="delete", room="lobby", id="0" * 16) for _ in range(60)]
    assert answers[-1]["code"] == "rate-limited"
    assert answers[-1]["retry_after"] > 0


def test_direct_messages(room: Chat) -> None:
    """
    Changes of a direct message go to both, and to nobody else.
    """
    ann, bea, cid = (room.person(name, "lobby", "@") for name in ("Ann", "Bea", "Cid"))
    people = room.person("Dan").ask(type="join", room="lobby")["people"]
    (to,) = [each["id"] for each in people if each["name"] == "Bea"]
    id = say(ann, "psst", to_id=to)
    for each in (bea, cid):
        each.new()
    assert bea.ask(type="edit", room="@", id=id, message="x")["code"] == "not-yours"
    assert cid.ask(type="delete", room="@", id=id)["code"] == "no-such-message"
    assert ann.ask(type="edit", room="@", id=id, message="hush")["type"] == "changed"
    (told,) = bea.new("edited")
    assert (told["room"], told["message"]) == ("@", "hush")
    assert cid.new("edited", "deleted") == []
    assert [each["message"] for each in past(bea, "@")] == ["hush"]
    assert [each["message"] for each in past(ann, "@")] == ["hush"]


def test_replies(room: Chat) -> None:
    """
    A reply names the message that it answers, in the history, too; to classic clients
    it is a message like others.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    classic = room.classic()
    id = say(ann, "one?")
    classic.new()
    say(bea, "yes", reply_to=id)
    assert ann.new("usermsg")[-1]["reply_to"] == id
    (told,) = classic.new()
    assert told == {"type": "usermsg", "name": "Bea", "message": "yes", "color": ""}
    assert past(ann)[-1]["reply_to"] == id
    wrong = ann.ask(type="usermsg", room="lobby", message="x", reply_to="<b>")
    assert wrong["code"] == "invalid"


def test_what_was_changed_meanwhile(room: Chat) -> None:
    """
    Whoever comes back is told of changes of what they know, and sees the rest as it is
    now.
    """
    ann, bea = room.person("Ann", "lobby"), room.person("Bea", "lobby")
    known = say(ann, "known")
    bea.ask(type="leave", room="lobby")
    since = {"offset": 1, "epoch": epochOf(room)}
    missed = say(ann, "missed")
    ann.ask(type="edit", room="lobby", id=known, message="better")
    ann.ask(type="edit", room="lobby", id=missed, message="not missed")
    joined = bea.ask(type="join", room="lobby", since=since)
    assert joined["recovered"] is True
    assert [(each["type"], each["message"]) for each in joined["messages"]] == [
        ("usermsg", "not missed"),
        ("edited", "better"),
    ]


def test_older() -> None:
    """
    Page by page, the oldest message is reached; all are as they are now.
    """
    room = Chat(history=5, burst=1000)
    ann = room.person("Ann", "lobby")
    ids = [say(ann, str(number)) for number in range(23)]
    ann.ask(type="edit", room="lobby", id=ids[2], message="two")
    ann.ask(type="delete", room="lobby", id=ids[3])
    bea = room.person("Bea")
    joined = bea.ask(type="join", room="lobby")
    epoch = joined["position"]["epoch"]
    first = joined["messages"][0]["offset"]
    texts: list[str] = []
    pages = 0
    more = True
    while more:
        before = {"offset": first, "epoch": epoch}
        page = bea.ask(type="history", room="lobby", before=before, limit=10)
        more = page["more"]
        texts = [each["message"] for each in page["messages"]] + texts
        assert page["before"] == {
            "offset": page["messages"][0]["offset"],
            "epoch": epoch,
        }
        first = page["before"]["offset"]
        pages += 1
    assert texts == ["0", "1", "two", "", *map(str, range(4, first + 19))]
    assert pages == 2
    nothing = bea.ask(
        type="history", room="lobby", before={"offset": 1, "epoch": epoch}
    )
    assert nothing == {
        "type": "history",
        "room": "lobby",
        "messages": [],
        "more": False,
        "before": {"offset": 1, "epoch": epoch},
    }


def test_many_changes() -> None:
    """
    A person gets past any number of changes to the messages before them.
    """
    room = Chat(history=1, burst=1000)
    ann = room.person("Ann", "lobby")
    say(ann, "old")
    edited = say(ann, "edited")
    for number in range(60):
        ann.ask(type="edit", room="lobby", id=edited, message=str(number))
    last = say(ann, "last")
    bea = room.person("Bea")
    joined = bea.ask(type="join", room="lobby")
    assert [each["id"] for each in joined["messages"]] == [last]
    before = {**joined["position"], "offset": joined["messages"][0]["offset"]}
    texts: list[str] = []
    more = True
    while more:
        page = bea.ask(type="history", room="lobby", before=before, limit=20)
        assert page["before"]["offset"] < before["offset"]
        before, more = page["before"], page["more"]
        texts = [each["message"] for each in page["messages"]] + texts
    assert texts == ["old", "59"]


def test_older_than_what_is_kept() -> None:
    """
    Where the broker keeps no more, or the room has begun anew, there is no more; who
    asks too often has to wait.
    """
    room = Chat(retention=Retention(count=10), burst=1000)
    ann = room.person("Ann", "lobby")
    for number in range(30):
        say(ann, str(number))
    epoch = epochOf(room)
    asked: dict[str, Any] = {"type": "history", "room": "lobby", "limit": 20}
    page = ann.ask(before={"offset": 25, "epoch": epoch}, **asked)
    assert [each["message"] for each in page["messages"]] == ["20", "21", "22", "23"]
    assert page["more"] is False
    page = ann.ask(before={"offset": 25, "epoch": "another"}, **asked)
    assert (page["messages"], page["more"]) == ([], False)
    assert (
        ann.ask(**{**asked, "room": "kitchen"}, before={"offset": 1, "epoch": epoch})[
            "code"
        ]
        == "not-in-room"
    )
    for wrong in ({"limit": 0}, {"limit": 101}, {"before": {"offset": 1}}):
        request = {**asked, "before": {"offset": 1, "epoch": epoch}, **wrong}
        assert ann.ask(**request)["code"] == "invalid"
    answers = [
        ann.ask(before={"offset": 1, "epoch": epoch}, **asked) for _ in range(30)
    ]
    assert answers[-1]["code"] == "rate-limited"


def test_names_for_operators(room: Chat) -> None:
    """
    Operators see the people's names.
    """
    room.person("Ann", "lobby")
    classic = room.classic()
    classic.send(name="Cid", message="hi")
    names = {each.clientName for each in room.server.factory.connections}
    assert names == {"Ann", "Cid"}
