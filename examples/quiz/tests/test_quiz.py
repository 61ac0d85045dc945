"""The quiz: questions in time, points for the first, and scores that stay."""

import json
from typing import Any

import pytest
from wsplug_quiz import QUESTIONS, Quiz

from wsplug.testing import MemoryClient, MemoryServer


def join(server: MemoryServer, name: str, room: str = "a") -> MemoryClient:
    client = server.connect()
    client.send(json.dumps({"type": "join", "room": room, "name": name}))
    return client


def take(client: MemoryClient) -> list[Any]:
    """Take all messages, decoded."""
    found = [json.loads(message) for message in client.messages]
    client.messages.clear()
    return found


def answer(client: MemoryClient, text: str) -> None:
    client.send(json.dumps({"type": "answer", "text": text}))


def questionIn(messages: list[Any]) -> str:
    (text,) = [each["text"] for each in messages if each["type"] == "question"]
    return str(text)


def test_first_answer_counts() -> None:
    """Whoever is first has the point; all hear of it."""
    server = MemoryServer(Quiz)
    ann, bob = join(server, "ann"), join(server, "bob")
    question = questionIn(take(ann))
    assert take(bob) == [{"type": "scores", "scores": {}}]
    server.advance(13)
    question = questionIn(take(ann))
    assert questionIn(take(bob)) == question
    answer(bob, "no idea")
    assert take(bob)[0]["code"] == "wrong"
    answer(ann, QUESTIONS[question].upper())
    answer(bob, QUESTIONS[question])
    assert take(ann) == [{"type": "scores", "scores": {"ann": 1}}]
    assert [each["type"] for each in take(bob)] == ["scores", "error"]


def test_time_is_up() -> None:
    """An answer that comes too late isn't right."""
    server = MemoryServer(Quiz, options={"seconds": "5"})
    ann = join(server, "ann")
    question = questionIn(take(ann))
    server.advance(6)
    answer(ann, QUESTIONS[question])
    assert take(ann)[0]["code"] == "wrong"


def test_scores_outlive_a_restart() -> None:
    """The scores of a room are there again with the same broker, and only there."""
    server = MemoryServer(Quiz)
    ann = join(server, "ann")
    answer(ann, QUESTIONS[questionIn(take(ann))])
    server.stop()
    server.advance(15)
    again = MemoryServer(Quiz, broker=server.broker, clock=server.clock)
    bob = take(join(again, "bob"))
    assert {"type": "scores", "scores": {"ann": 1}} in bob
    assert {"type": "scores", "scores": {}} in take(join(again, "cid", "another"))


def test_empty_room_rests() -> None:
    """Nobody is asked where nobody is."""
    server = MemoryServer(Quiz)
    join(server, "ann").close()
    server.advance(20)
    application: Any = server.application
    assert application.games == {}
    assert questionIn(take(join(server, "bob")))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type":"answer","text":"42"}', "not-there"),
        ('{"type":"join","room":"a","name":""}', "invalid"),
        ('{"type":"join","room":"a","name":"ann"}', "key-taken"),
    ],
)
def test_mistakes(message: str, code: str) -> None:
    """They are answered, and the connection stays."""
    server = MemoryServer(Quiz)
    join(server, "ann")
    client = server.connect()
    client.send(message)
    assert [each["code"] for each in take(client)] == [code]
    client.send('{"type":"join","room":"a","name":"bob"}')
    client.send('{"type":"join","room":"a","name":"bob"}')
    assert take(client)[-1]["code"] == "already-there"
