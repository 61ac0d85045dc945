"""
What subscribers get: answers, publications, what they have missed.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from tests.apps.push.kit import (
    NAUGHTY,
    ask,
    makeServer,
    publish,
    subscribe,
    take,
    takeAll,
)
from tests.server.kit import Logs
from wsplug.broker import History
from wsplug.errors import BrokerError, HandshakeRefused
from wsplug.jsontext import MAX_DEPTH
from wsplug.testing import MemoryServer


@pytest.fixture
def server() -> MemoryServer:
    """
    One with the default limits.
    """
    return makeServer()


# By message


def test_subscribe(server: MemoryServer) -> None:
    """
    Who subscribes is told the position, and gets what is published from then on, with
    its time and its offset.
    """
    client = server.connect()
    answer = subscribe(client, "news", request=1)
    epoch = answer["position"].pop("epoch")
    assert epoch
    assert answer == {
        "type": "subscribed",
        "channel": "news",
        "request": 1,
        "position": {"offset": 0},
        "messages": [],
    }
    server.advance(1.5)
    publish(server, "news", b'{"a": [1]}')
    publish(server, "other", b"1")
    assert client.messages == [
        '{"type":"message","channel":"news","offset":1,"time":1.5,"data":{"a": [1]}}'
    ]


def test_unsubscribe(server: MemoryServer) -> None:
    """
    Who unsubscribes gets nothing more; who isn't subscribed is told.
    """
    client = server.connect()
    subscribe(client, "news")
    assert ask(client, type="unsubscribe", channel="news", request="a") == {
        "type": "unsubscribed",
        "channel": "news",
        "request": "a",
    }
    publish(server, "news", b"1")
    answer = ask(client, type="unsubscribe", channel="news", request="b")
    assert answer["code"] == "not-subscribed"
    assert answer["request"] == "b"
    assert client.messages == []
    subscribe(client, "news")


def test_ping(server: MemoryServer) -> None:
    """
    A ping is answered.
    """
    assert ask(server.connect(), type="ping", request=7) == {
        "type": "pong",
        "request": 7,
    }


@pytest.mark.parametrize(
    ("data", "key", "shown"),
    [
        (b'{"b":1,  "a":[1.50,null]}', "data", '{"b":1,  "a":[1.50,null]}'),
        (b" 17\n", "data", "17"),
        (b'"\\u003c"', "data", '"\\u003c"'),
        (b"hello", "data", '"hello"'),
        (b"", "data", '""'),
        (b"{'a':1}", "data", "\"{'a':1}\""),
        (b'{"a":1', "data", '"{\\"a\\":1"'),
        (b'"\\ud800"', "data", '"\\"\\\\ud800\\""'),
        (b"NaN", "data", '"NaN"'),
        (b'1,"channel":"x"', "data", '"1,\\"channel\\":\\"x\\""'),
        (b"\xff\x00", "data64", '"/wA="'),
        (b'"\xff"', "data64", '"Iv8i"'),
    ],
)
def test_data(server: MemoryServer, data: bytes, key: str, shown: str) -> None:
    """
    JSON is passed on as it is, other text as a string, anything else in base64.
    """
    client = server.connect()
    subscribe(client, "a")
    publish(server, "a", data)
    start = '{"type":"message","channel":"a","offset":1,"time":0.0,'
    assert client.messages == [f'{start}"{key}":{shown}}}']


@pytest.mark.parametrize("text", [*NAUGHTY, "[" * 100_000])
def test_naughty(server: MemoryServer, text: str) -> None:
    """
    Text comes out as it went in, whatever it looks like.
    """
    client = server.connect()
    subscribe(client, "a")
    publish(server, "a", text.encode())
    assert take(client)["data"] == text


def test_not_stored(server: MemoryServer) -> None:
    """
    What isn't stored has no offset, and can't be had later.
    """
    client = server.connect()
    subscribe(client, "a")
    publish(server, "a", b"1", store=False)
    assert "offset" not in take(client)
    assert subscribe(server.connect(), "a", limit=10)["messages"] == []


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 960])
def test_nested_json(server: MemoryServer, depth: int) -> None:
    """
    JSON that is nested deep is JSON, or a string, in what comes at once and in what
    comes from history alike, however deep the stack is where it is written.
    """

    def publishBelow(frames: int) -> None:
        if frames:
            publishBelow(frames - 1)
        else:
            publish(server, "a", text.encode())

    text = "[" * depth + "]" * depth
    client = server.connect()
    subscribe(client, "a")
    publish(server, "a", text.encode())
    publishBelow(400)
    (later,) = subscribe(server.connect(), "a", limit=1)["messages"]
    live = [each["data"] for each in takeAll(client)]
    expected = json.loads(text) if depth <= MAX_DEPTH else text
    assert [*live, later["data"]] == [expected] * 3


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", "not-json"),
        (b"\x00", "not-json"),
        ('{"type":"subscribe"', "not-json"),
        ('{"type":"ping","x":' + "[" * 100_000, "not-json"),
        ('{"type":"jump",', "not-json"),
        ('{"type":3,"channel":', "not-json"),
        ('{"type":"jump","x":' + "[" * 20_000, "not-json"),
        ("[" * 20_000, "not-json"),
        ('{"type":"jump"}', "unknown-type"),
        ("[]", "invalid"),
        ('{"type":"subscribe"}', "invalid"),
        ('{"type":"subscribe","channel":3}', "invalid"),
        ('{"type":"subscribe","channel":""}', "invalid"),
        ('{"type":"subscribe","channel":"a b"}', "invalid"),
        ('{"type":"subscribe","channel":"../chat/lobby"}', "invalid"),
        ('{"type":"subscribe","channel":"/a"}', "invalid"),
        ('{"type":"subscribe","channel":"a//b"}', "invalid"),
        ('{"type":"subscribe","channel":"a\\n"}', "invalid"),
        ('{"type":"subscribe","channel":"<script>"}', "invalid"),
        ('{"type":"subscribe","channel":"\\u202ea"}', "invalid"),
        ('{"type":"subscribe","channel":"' + "x" * 101 + '"}', "too-long"),
        ('{"type":"subscribe","channel":"' + "x" * 100_000 + '"}', "too-long"),
        ('{"type":"subscribe","channel":"a","limit":-1}', "invalid"),
        ('{"type":"subscribe","channel":"a","since":5}', "invalid"),
        ('{"type":"unsubscribe","channel":"' + "x" * 100_000 + '"}', "not-subscribed"),
    ],
)
def test_refused(server: MemoryServer, message: str | bytes, code: str) -> None:
    """
    What can't be done is refused with a short answer, and the connection stays.
    """
    client = server.connect()
    client.send(message)
    assert len(client.messages[0]) < 500
    assert take(client)["code"] == code
    assert ask(client, type="ping") == {"type": "pong"}


@pytest.mark.parametrize("name", ["a", "a/b/c", "A-1_~.:@", "x" * 100, "2025"])
def test_names(server: MemoryServer, name: str) -> None:
    """
    These are names of channels, and of paths.
    """
    first, second = server.connect(), server.connect(f"/{name}")
    subscribe(first, name)
    take(second)
    publish(server, name, b"1")
    assert take(first)["channel"] == take(second)["channel"] == name


def test_twice(server: MemoryServer) -> None:
    """
    A channel is subscribed to once.
    """
    client = server.connect()
    subscribe(client, "a")
    answer = ask(client, type="subscribe", channel="a", request=2)
    assert (answer["code"], answer["request"]) == ("already-subscribed", 2)
    publish(server, "a", b"1")
    assert len(client.messages) == 1


def test_other_applications(server: MemoryServer) -> None:
    """
    The channels of other applications are out of reach.
    """
    client = server.connect()
    subscribe(client, "chat/lobby")
    subscribe(client, "push/a")
    server.broker.publish("chat/lobby", b"1")
    server.broker.publish("push/a", b"1")
    server.run()
    assert client.messages == []


def test_gone(server: MemoryServer) -> None:
    """
    Nothing is kept of who has left.
    """
    client = server.connect("/a")
    subscribe(client, "b")
    application: Any = server.application
    feeds = application.feeds
    assert feeds.messages.count("push/a") == 1
    client.drop()
    assert feeds.messages.count("push/a") == 0
    assert feeds.messages.count("push/b") == 0


# What was missed


def test_recovery(server: MemoryServer) -> None:
    """
    Who comes back with a position gets all that came behind it.
    """
    publish(server, "a", b"before")
    client = server.connect()
    answer = subscribe(client, "a")
    client.drop()
    for number in range(3):
        publish(server, "a", b"%d" % number)
    back = subscribe(server.connect(), "a", since=answer["position"])
    assert back["recovered"] is True
    assert [each["data"] for each in back["messages"]] == [0, 1, 2]
    assert [each["offset"] for each in back["messages"]] == [2, 3, 4]
    assert back["messages"][0]["type"] == "message"
    assert back["position"]["offset"] == 4
    again = subscribe(server.connect(), "a", since=back["position"])
    assert (again["recovered"], again["messages"]) == (True, [])


def test_not_recovered(server: MemoryServer) -> None:
    """
    Where there isn't all of it, that is said, and the end of what there is comes.
    """
    publish(server, "a", b"1")
    since = {"offset": 1, "epoch": "another"}
    answer = subscribe(server.connect(), "a", since=since)
    assert answer["recovered"] is False
    assert [each["data"] for each in answer["messages"]] == [1]


@pytest.mark.parametrize(
    ("options", "limit", "expected"),
    [
        ({}, {"limit": 3}, [8, 9, 10]),
        ({"max_history": 2}, {}, [9, 10]),
        ({"max_history": 2}, {"limit": 3}, [9, 10]),
        ({"backlog": 150}, {}, [9, 10]),
    ],
)
def test_too_much_missed(
    options: dict[str, Any], limit: dict[str, int], expected: list[int]
) -> None:
    """
    More than was asked for, or than there is room for, isn't recovered: the end of it
    comes, and the answer doesn't pretend that it is all.
    """
    server = makeServer(**options)
    since = subscribe(server.connect(), "a")["position"]
    server.connect("/a")
    for number in range(1, 11):
        publish(server, "a", b"%d" % number)
    answer = subscribe(server.connect(), "a", since=since, **limit)
    assert answer["recovered"] is False
    assert [each["data"] for each in answer["messages"]] == expected
    assert answer["position"]["offset"] == 10


def test_history() -> None:
    """
    A new subscriber gets as many of the last messages as C{history} says, or as it
    says itself, up to C{max-history}; nothing is said of recovery.
    """
    server = makeServer(history=2, max_history=3)
    for number in range(5):
        publish(server, "a", b"%d" % number)
    for more, expected in [
        ({}, [3, 4]),
        ({"limit": 0}, []),
        ({"limit": 1}, [4]),
        ({"limit": 1000}, [2, 3, 4]),
    ]:
        answer = subscribe(server.connect(), "a", **more)
        assert [each["data"] for each in answer["messages"]] == expected
        assert "recovered" not in answer


# By the URL


def test_path(server: MemoryServer) -> None:
    """
    The path and the query subscribe; the answers come by themselves.
    """
    publish(server, "a/b", b"0")
    client = server.connect("/a/b?channel=c&channel=d&channel=c&limit=1")
    answers = takeAll(client)
    assert [each["channel"] for each in answers] == ["a/b", "c", "d"]
    assert [len(each["messages"]) for each in answers] == [1, 0, 0]
    publish(server, "c", b"1")
    assert take(client)["channel"] == "c"
    assert ask(client, type="unsubscribe", channel="c")["type"] == "unsubscribed"


def test_path_since(server: MemoryServer) -> None:
    """
    A URL can go on from a position.
    """
    position = take(server.connect("/a"))["position"]
    server.connect("/a")
    publish(server, "a", b"1")
    since = f"{position['offset']}-{position['epoch']}"
    answer = take(server.connect(f"/a?since={since}"))
    assert answer["recovered"] is True
    assert [each["data"] for each in answer["messages"]] == [1]


def test_raw(server: MemoryServer) -> None:
    """
    With C{format=raw}, there is nothing but what was published: text or bytes.
    """
    publish(server, "a", b"past")
    client = server.connect("/a?format=raw&limit=1")
    plain = server.connect("/a?format=raw")
    publish(server, "a", b'{"x":1}')
    publish(server, "a", b"\xff")
    assert client.messages == ["past", '{"x":1}', b"\xff"]
    assert plain.messages == client.messages[1:]
    client.drop()
    publish(server, "a", b"more")
    application: Any = server.application
    feeds = application.feeds
    assert feeds.bare.count("push/a") == 1


@pytest.mark.parametrize("message", ["hello", b"\x00"])
def test_raw_takes_nothing(server: MemoryServer, message: str | bytes) -> None:
    """
    Who gets nothing but publications can't be answered, and is closed with the reason.
    """
    client = server.connect("/a?format=raw")
    client.send(message)
    assert client.closed == (1003, "format=raw doesn't accept messages")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/a?format=xml", "format: json or raw"),
        ("/a?format=raw&format=raw", "format: allowed only once"),
        ("/?format=raw", "name a channel"),
        ("/a?format=raw&since=1-a", "only with format=json"),
        ("/a?limit=x", "limit: a number"),
        ("/a?limit=-1", "limit: a number"),
        ("/a?limit=99999999999", "limit: a number"),
        ("/a?since=5", "since: an offset and an epoch"),
        ("/a?since=x-y", "since: an offset and an epoch"),
        ("/a?since=1-a&channel=b", "only for a single channel"),
        ("/a%20b", "a name has"),
        ("/%ff", "a name has"),
        ("/?channel=%3Cscript%3E", "a name has"),
        ("/?channel=", "a name has"),
        ("/" + "x" * 101, "at most 100 characters"),
        ("/?" + "&".join(f"channel={number}" for number in range(101)), "at most 100"),
    ],
)
def test_refused_url(server: MemoryServer, target: str, words: str) -> None:
    """
    What is wrong in the URL refuses the connection, and says what it is.
    """
    with pytest.raises(HandshakeRefused) as raised:
        server.connect(target)
    assert raised.value.status == 400
    assert words in raised.value.reason


# Limits, and what fails


def test_max_channels() -> None:
    """
    A connection has so many channels at one time and no more, however it asks.
    """
    server = makeServer(max_channels=2)
    client = server.connect("/a?channel=b")
    takeAll(client)
    assert ask(client, type="subscribe", channel="c")["code"] == "too-many"
    ask(client, type="unsubscribe", channel="a")
    subscribe(client, "c")


def test_max_channel_length() -> None:
    """
    A name has so many characters and no more.
    """
    server = makeServer(max_channel_length=3)
    client = server.connect("/abc")
    take(client)
    assert ask(client, type="subscribe", channel="abcd")["code"] == "too-long"


def test_prefix() -> None:
    """
    The broker's channels begin with it.
    """
    server = makeServer(prefix="feed")
    client = server.connect("/a")
    take(client)
    server.broker.publish("feed/a", b"1")
    server.run()
    assert take(client)["channel"] == "a"


@pytest.mark.parametrize("target", ["/", "/?format=raw&channel=a"])
def test_cannot_be_read(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """
    Where the broker fails, the client is told, and may try again.
    """

    def broken(*arguments: object) -> Deferred[History]:
        return fail(BrokerError("a: not read"))

    monkeypatch.setattr(server.broker, "history", broken)
    client = server.connect(target)
    if "raw" in target:
        assert client.closed == (1013, "a can't be read; try again later")
        return
    answer = ask(client, type="subscribe", channel="a", request=1)
    assert (answer["code"], answer["request"]) == ("unavailable", 1)
    monkeypatch.undo()
    subscribe(client, "a")


def test_waits_for_the_answer(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What comes behind a request waits until that is answered: the answers are in order,
    and what is published meanwhile comes behind its own.
    """
    reading: list[Deferred[History]] = []
    history = server.broker.history

    def slow(*arguments: Any) -> Deferred[History]:
        reading.append(Deferred())
        return reading[-1]

    monkeypatch.setattr(server.broker, "history", slow)
    client = server.connect()
    client.send('{"type":"subscribe","channel":"a"}')
    client.send('{"type":"ping"}')
    read: list[History] = []
    history("push/a").addCallback(read.append)
    publish(server, "a", b"1")
    assert client.messages == []
    reading[0].callback(read[0])
    server.run()
    types = [each["type"] for each in takeAll(client)]
    assert types == ["subscribed", "pong", "message"]


# Slow readers

BIG = b'"' + b"x" * 50_000 + b'"'


def test_slow_delays_nobody() -> None:
    """
    One that never reads delays nobody; beyond its backlog it is closed.
    """
    server = makeServer(backlog="200KiB")
    slow, quick = server.connect("/a"), server.connect("/a")
    slow.stopReading()
    for number in range(1, 51):
        publish(server, "a", BIG)
        assert len(quick.messages) == 1 + number
    slow.startReading()
    assert slow.closed == (1013, "does not read fast enough")


@pytest.mark.parametrize("overflow", ["oldest", "latest"])
def test_gap(overflow: str) -> None:
    """
    One that may stay is told how many it has missed, and gets what there is.
    """
    server = makeServer(backlog="200KiB", overflow=overflow)
    slow, bare = server.connect("/a"), server.connect("/a?format=raw")
    slow.stopReading()
    bare.stopReading()
    for _ in range(50):
        publish(server, "a", BIG)
    slow.startReading()
    bare.startReading()
    messages = takeAll(slow)[1:]
    (gap,) = [each for each in messages if each["type"] == "gap"]
    assert gap["channel"] == "a"
    assert gap["count"] + len(messages) - 1 == 50
    assert messages[-1]["offset"] == 50
    behind = len(messages) - messages.index(gap) - 1
    # Four are 200 KiB, and one of another turn comes on top.
    assert behind == 5 if overflow == "oldest" else behind <= 5
    # Without the envelope, a message is a little smaller: more of them fit.
    assert set(bare.messages) == {BIG.decode()}
    assert abs(len(bare.messages) - len(messages) + 1) <= 1


def test_backlog_age() -> None:
    """
    What has waited for too long is too much, however small; C{off} lets it wait.
    """
    for age, closed in (("5", True), ("off", False)):
        server = makeServer(backlog="1MiB", backlog_age=age)
        client = server.connect("/a")
        client.stopReading()
        for _ in range(5):
            publish(server, "a", BIG)
        server.advance(6)
        publish(server, "a", b"1")
        client.startReading()
        assert (client.closed is not None) is closed


def test_past_has_a_size() -> None:
    """
    Subscribing to much at once doesn't fill what may wait for a client: it gets less
    of the past.
    """
    server = makeServer(history=100)
    for channel in "abcdefgh":
        for _ in range(5):
            publish(server, channel, BIG)
    query = "&".join(f"channel={channel}" for channel in "abcdefgh")
    client = server.connect(f"/?{query}")
    assert client.closed is None
    pasts = [len(each["messages"]) for each in takeAll(client)]
    assert len(pasts) == 8
    assert pasts[0] == 5
    assert pasts[-1] == 0
    bare = server.connect(f"/?{query}&format=raw")
    assert bare.closed is None
    assert 5 <= len(bare.messages) < 20


@pytest.mark.parametrize(
    "query", ["channel=%C3%A4", "channel=%ff", "channel=a&limit=%ff"]
)
def test_query_that_is_not_ascii(query: str, logs: Logs) -> None:
    """
    What can be no channel's name, and no number, is a mistake of the client's.
    """
    with pytest.raises(HandshakeRefused) as caught:
        makeServer().connect(f"/?{query}")
    assert caught.value.status == 400
    assert logs.failures() == []
