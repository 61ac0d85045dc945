"""
Publications over HTTP: who may, what they look like, and what the answer says.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail

from tests.apps.push.kit import (
    NAUGHTY,
    TOKEN,
    makeServer,
    post,
    publish,
    subscribe,
    take,
    takeAll,
)
from tests.server.kit import Logs
from wsplug.apps.push import push
from wsplug.broker import MemoryBroker, Publication, Retention
from wsplug.errors import BrokerError, InvalidOption
from wsplug.testing import MemoryResponse, MemoryServer

OTHER = TOKEN[::-1]


@pytest.fixture
def server() -> MemoryServer:
    """
    One with a token.
    """
    return makeServer()


def _json(response: MemoryResponse) -> Any:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    return json.loads(response.body)


# What is published


def test_one(server: MemoryServer) -> None:
    """
    JSON goes to a channel's subscribers as it is, and the answer says to how many, and
    where it is.
    """
    first, second = server.connect(), server.connect("/news?format=raw")
    epoch = subscribe(first, "news")["position"]["epoch"]
    response = post(server, b'{"channel":"news","data":{"a": 1.0}}')
    assert response.status == 200
    assert _json(response) == {
        "published": [
            {
                "channel": "news",
                "subscribers": 2,
                "position": {"offset": 1, "epoch": epoch},
            }
        ]
    }
    assert first.receive() == (
        '{"type":"message","channel":"news","offset":1,"time":0.0,"data":{"a": 1.0}}'
    )
    assert second.messages == ['{"a": 1.0}']


@pytest.mark.parametrize("start", ["http://b", "https://server.example:9000"])
def test_absolute_form(server: MemoryServer, start: str) -> None:
    """
    So it is with a target in absolute form (RFC 9112 section 3.2.2).
    """
    client = server.connect("/news?format=raw")
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Content-Type", "text/plain")]
    target = f"{start}/publish?channel=news"
    response = server.request("POST", target, headers=headers, body=b"hello")
    assert response.status == 200
    assert _json(response)["published"][0]["subscribers"] == 1
    assert client.messages == ["hello"]


def test_several(server: MemoryServer) -> None:
    """
    Several publications, each in several channels, are published in their order, once
    in each.
    """
    client = server.connect("/a?channel=b")
    takeAll(client)
    body = [
        {"channels": ["a", "b", "a"], "data": 1},
        {"channel": "b", "data": "two", "store": False},
        {"channel": "c", "data": None},
    ]
    response = post(server, json.dumps(body).encode(), kind="application/json; x=y")
    published = _json(response)["published"]
    assert [each["channel"] for each in published] == ["a", "b", "b", "c"]
    assert [each["subscribers"] for each in published] == [1, 1, 1, 0]
    assert ["position" in each for each in published] == [True, True, False, True]
    assert [(each["channel"], each["data"]) for each in takeAll(client)] == [
        ("a", 1),
        ("b", 1),
        ("b", "two"),
    ]
    assert subscribe(server.connect(), "c", limit=9)["messages"][0]["data"] is None


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", None])
@pytest.mark.parametrize("data", [b"hello", b"", b"\xff\x00", b'{"a":1}', b"a=b&c"])
def test_bytes(server: MemoryServer, kind: str | None, data: bytes) -> None:
    """
    Any other body is published as it is, in the channels that the query names.
    """
    client = server.connect("/?format=raw&channel=a&channel=b/c")
    response = post(server, data, "?channel=a&channel=b/c&channel=a", kind=kind)
    assert [each["channel"] for each in _json(response)["published"]] == ["a", "b/c"]
    shown = data if b"\xff" in data else data.decode()
    assert client.messages == [shown, shown]


def test_form(server: MemoryServer) -> None:
    """
    What C{curl -d} sends without another type is bytes as well; its content names no
    channels.
    """
    form = "application/x-www-form-urlencoded"
    client = server.connect("/?format=raw&channel=a&channel=b")
    response = post(server, b"channel=b&store=no", "?channel=a", kind=form)
    assert [each["channel"] for each in _json(response)["published"]] == ["a"]
    assert client.messages == ["channel=b&store=no"]
    response = post(server, b"channel=b&store=no", kind=form)
    assert response.status == 415
    assert "Content-Type: application/json" in _json(response)["message"]
    assert form in _json(response)["message"]


def test_not_stored(server: MemoryServer) -> None:
    """
    C{store=no} is for what is of the moment.
    """
    client = server.connect("/a")
    take(client)
    response = post(server, b"x", "?channel=a&store=no", kind="text/plain")
    assert _json(response)["published"] == [{"channel": "a", "subscribers": 1}]
    assert "offset" not in take(client)


@pytest.mark.parametrize("text", NAUGHTY)
@pytest.mark.parametrize("asJSON", [True, False])
def test_naughty(server: MemoryServer, text: str, asJSON: bool) -> None:
    """
    Text arrives as it was sent, whatever it looks like.
    """
    client = server.connect("/a")
    take(client)
    if asJSON:
        response = post(server, json.dumps({"channel": "a", "data": text}).encode())
    else:
        response = post(server, text.encode(), "?channel=a", kind="text/plain")
    assert response.status == 200
    assert take(client)["data"] == text


def test_from_python(server: MemoryServer) -> None:
    """
    Other applications publish through the broker.
    """
    client = server.connect("/a")
    take(client)
    publish(server, "a", b'"from elsewhere"')
    assert take(client)["data"] == "from elsewhere"


# What isn't


@pytest.mark.parametrize(
    ("body", "query", "kind", "status", "words"),
    [
        (b"", "", "application/json", 400, "invalid JSON"),
        (b"{", "", "application/json", 400, "invalid JSON"),
        (b"\xff", "", "application/json", 400, "isn't UTF-8"),
        (b"[" * 10_000, "", "application/json", 400, "invalid JSON"),
        (b'{"channel":"a","data":' + b"[" * 9999, "", "application/json", 400, "JSON"),
        (b'{"data":1,"channel":3,', "", "application/json", 400, "invalid JSON"),
        (b'{"data":1,"type":', "", "application/json", 400, "invalid JSON"),
        (b"[[1]", "", "application/json", 400, "invalid JSON"),
        (b"3", "", "application/json", 400, "got `int`"),
        (b'{"channel":"a"}', "", "application/json", 400, "field `data`"),
        (b'{"data":1}', "", "application/json", 400, "either channel or channels"),
        (b'{"channels":[],"data":1}', "", "application/json", 400, "either channel"),
        (
            b'{"channel":"a","channels":["b"],"data":1}',
            "",
            "application/json",
            400,
            "either channel or channels",
        ),
        (b'{"channel":3,"data":1}', "", "application/json", 400, "channel: expected"),
        (b'{"channel":"a","data":1,"stroe":0}', "", "application/json", 400, "`stroe`"),
        (b'{"channel":"a b","data":1}', "", "application/json", 400, "a name has"),
        (b'{"channel":"../x","data":1}', "", "application/json", 400, "a name has"),
        (
            b'{"channel":"' + b"x" * 101 + b'","data":1}',
            "",
            "application/json",
            400,
            "100 characters",
        ),
        (b"x", "?channel=<>", "text/plain", 400, "a name has"),
        (b"x", "?channel=", "text/plain", 400, "a name has"),
        (b"x", "?channel=a&store=maybe", "text/plain", 400, "store: yes or no"),
        (b"x", "", "text/plain", 415, "name a channel"),
        (b"x", "", None, 415, "no Content-Type"),
    ],
)
def test_malformed(
    server: MemoryServer,
    body: bytes,
    query: str,
    kind: str | None,
    status: int,
    words: str,
) -> None:
    """
    What can't be published is refused with what is wrong with it.
    """
    response = post(server, body, query, kind=kind)
    assert response.status == status
    answer = _json(response)
    assert answer["type"] == "error"
    assert words in answer["message"]
    assert len(response.body) < 500


def test_all_or_nothing(server: MemoryServer) -> None:
    """
    Where one publication is wrong, none is published.
    """
    client = server.connect("/a")
    take(client)
    body = b'[{"channel":"a","data":1},{"channel":"b b","data":1}]'
    assert post(server, body).status == 400
    assert client.messages == []


@pytest.mark.parametrize("authorization", [None, TOKEN, "Basic dG9rLTEyMw=="])
def test_no_token(server: MemoryServer, authorization: str | None) -> None:
    """
    Without the token: 401, and what is wanted.
    """
    headers = [("Content-Type", "text/plain")]
    if authorization is not None:
        headers.append(("Authorization", authorization))
    response = server.request(
        "POST", "/publish?channel=a", headers=headers, body=b"data"
    )
    assert response.status == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="publish"'
    assert "Authorization: Bearer TOKEN" in _json(response)["message"]


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "1", TOKEN.upper(), "\xff"])
def test_wrong_token(server: MemoryServer, token: str) -> None:
    """
    Another token is as good as none.
    """
    client = server.connect("/a")
    take(client)
    response = post(server, b"x", "?channel=a", kind="text/plain", token=token)
    assert response.status == 401
    assert client.messages == []


def test_guessing(server: MemoryServer) -> None:
    """
    After ten wrong tokens from an address, none is looked at for a while, not even the
    right one. Right ones count nothing, nor do requests without any.
    """

    def send(token: str, address: str = "192.0.2.1") -> Any:
        return post(
            server, b"x", "?channel=a", kind="x/y", token=token, address=address
        )

    for _ in range(20):
        assert send(TOKEN).status == 200
        assert server.request("POST", "/publish?channel=a").status == 401
    assert [send("wrong").status for _ in range(10)] == [401] * 10
    for token in ("wrong", TOKEN):
        response = send(token)
        assert response.status == 429
        assert response.headers["retry-after"] == "6"
        answer = _json(response)
        assert (answer["code"], answer["retry_after"]) == ("rate-limited", 6)
        assert TOKEN not in str(answer)
    assert send(TOKEN, "192.0.2.9").status == 200
    server.advance(6)
    assert send(TOKEN).status == 200


def test_fewer_guesses() -> None:
    """
    How many there may be is said by max-failures; two headers are one, too.
    """
    server = makeServer(max_failures=1)
    headers = [("Authorization", f"Bearer {TOKEN}")]
    statuses = [
        server.request("POST", "/publish?channel=a", headers=each).status
        for each in (headers * 2, headers)
    ]
    assert statuses == [401, 429]


def test_two_headers(server: MemoryServer) -> None:
    """
    Of two C{Authorization} headers, none counts.
    """
    header = ("Authorization", f"Bearer {TOKEN}")
    response = server.request("POST", "/publish?channel=a", headers=[header] * 2)
    assert response.status == 401


def test_scheme_in_any_case(server: MemoryServer) -> None:
    """
    The scheme's name has no case (RFC 9110 section 11.1).
    """
    headers = [("Authorization", f"bearer {TOKEN}")]
    response = server.request("POST", "/publish?channel=a", headers=headers)
    assert response.status == 200


def test_off() -> None:
    """
    Without a token, nobody publishes over HTTP, and it is said how to switch it on.
    """
    server = makeServer(token="")
    response = post(server, b"x", "?channel=a", kind="text/plain", token="")
    assert response.status == 403
    assert "token-file=PATH" in _json(response)["message"]


def test_token_file(tmp_path: Path, logs: Logs) -> None:
    """
    Each line of the file is a token; the log tells of one that everybody can read.
    """
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n\n {OTHER} \n")
    path.chmod(0o644)
    makeServer(token="", token_file=str(path))
    assert logs.lines(f"all users of this machine can read {path}; run chmod o= {path}")
    path.chmod(0o640)
    server = makeServer(token="", token_file=str(path))
    assert len(logs.lines("all users")) == 1
    for token, status in ((TOKEN, 200), (OTHER, 200), ("", 401)):
        assert (
            post(server, b"1", "?channel=a", kind="x/y", token=token).status == status
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't read"),
        (b"", "there is no token in"),
        (b"pass phrase\n", "no spaces"),
        (b"\xff\n", "isn't ASCII"),
        (TOKEN.encode() + b"\n\nphrase\n", "line 3: the token has 6 characters"),
    ],
)
def test_bad_token_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    """
    A file without right tokens is a mistake that is told, without them.
    """
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidOption, match=words) as raised:
        makeServer(token="", token_file=str(path))
    assert str(path) in str(raised.value)
    assert "phrase" not in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"token": "a b" * 20},
        {"token": "\u00e9" * 40},
        {"token_file": "/dev/null"},
        {"token": "ab"},
        {"token": TOKEN[:-1]},
    ],
)
def test_bad_token(options: dict[str, Any]) -> None:
    """
    What no header can hold is no token, nor is what can be guessed, and there is one
    place for it.
    """
    with pytest.raises(InvalidOption, match="token"):
        makeServer(**options)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(server: MemoryServer, method: str) -> None:
    """
    There is nothing but C{POST}.
    """
    response = server.request(method, "/publish")
    assert response.status == 405
    assert response.headers["allow"] == "POST"
    assert (response.body == b"") is (method == "HEAD")


@pytest.mark.parametrize(
    ("target", "status"), [("/publish/x", 404), ("/news", 404), ("/", 405)]
)
def test_other_paths(server: MemoryServer, target: str, status: int) -> None:
    """
    Nothing is published anywhere else; a channel's path is no page.
    """
    headers = [("Authorization", f"Bearer {TOKEN}")]
    assert server.request("POST", target, headers=headers).status == status


def test_channel_of_that_name(server: MemoryServer) -> None:
    """
    A channel may be called C{publish}: WebSockets and pages don't get in each other's
    way.
    """
    client = server.connect("/publish")
    assert take(client)["channel"] == "publish"
    assert post(server, b'{"channel":"publish","data":1}').status == 200
    assert take(client)["data"] == 1


def test_mounted(server: MemoryServer) -> None:
    """
    Below another path, it is there.
    """
    server = MemoryServer(push, path="/live", options={"token": TOKEN})
    headers = [("Authorization", f"Bearer {TOKEN}")]
    target = "/live/publish?channel=a"
    assert server.request("POST", target, headers=headers).status == 200
    assert server.request("POST", "/publish?channel=a", headers=headers).status == 404


# Limits


@pytest.mark.parametrize("chunked", [False, True])
def test_max_size(chunked: bool) -> None:
    """
    A body over the limit is refused without being read; one within it isn't.
    """
    server = makeServer(max_size=1000)
    for size, status in ((1000, b"200"), (1001, b"413")):
        body = b"x" * size
        if chunked:
            length = b"Transfer-Encoding: chunked"
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        else:
            length = b"Content-Length: %d" % size
        transport = server.connectTransport()
        transport.put(
            b"POST /publish?channel=a HTTP/1.1\r\nHost: server.example:9000\r\n"
            b"Authorization: Bearer %b\r\n%b\r\n\r\n%b" % (TOKEN.encode(), length, body)
        )
        server.run()
        output = transport.take()
        assert output.startswith(b"HTTP/1.1 " + status), output
        assert output.count(b"HTTP/1.1") == 1
        if status == b"413":
            assert b"the request's body is over 1000 bytes" in output
            assert transport.closedForWriting
        transport.shut()
        server.run()
    answer = subscribe(server.connect(), "a", limit=9)
    assert len(answer["messages"]) == 1


def test_max_publications() -> None:
    """
    A request has so many publications and no more, each counted in each channel.
    """
    server = makeServer(max_publications=3)
    body = b'[{"channels":["a","b"],"data":1},{"channels":["a","%b"],"data":1}]'
    assert post(server, body % b"a").status == 200
    response = post(server, body % b"b")
    assert response.status == 400
    assert _json(response)["code"] == "too-many"


# Brokers


class _Broken(MemoryBroker):
    """
    One that fails in a channel whose name ends in C{bad}.
    """

    def publish(
        self,
        channel: str,
        data: bytes,
        store: bool = True,
        retention: object = None,
    ) -> Deferred[Publication]:
        if channel.endswith("bad"):
            return fail(BrokerError(f"{channel}: not stored: disk full"))
        return super().publish(channel, data, store)


class _Late(MemoryBroker):
    """
    One that needs its time.
    """

    waiting: list[Deferred[None]]

    def publish(
        self,
        channel: str,
        data: bytes,
        store: bool = True,
        retention: object = None,
    ) -> Deferred[Publication]:
        late: Deferred[None] = Deferred()
        self.waiting.append(late)
        return late.addCallback(
            lambda _: super(_Late, self).publish(channel, data, store)
        )


def test_partly_failed() -> None:
    """
    Where some publications fail, the answer says which.
    """
    clock = makeServer().clock
    server = makeServer(broker=_Broken(clock))
    client = server.connect("/a")
    take(client)
    response = post(server, b'{"channels":["a","bad","c"],"data":1}')
    assert response.status == 503
    answer = _json(response)
    assert answer["code"] == "unavailable"
    assert answer["message"].startswith("1 of 3 publications failed")
    assert [each["channel"] for each in answer["published"]] == ["a", "bad", "c"]
    assert ["error" in each for each in answer["published"]] == [False, True, False]
    assert "disk full" in answer["published"][1]["error"]
    assert take(client)["data"] == 1


def test_too_large() -> None:
    """
    What is more than the broker keeps of a channel is a 413 that says so: to try again
    is no use. Where it isn't to be stored, it is published.
    """
    clock = makeServer().clock
    server = makeServer(broker=MemoryBroker(clock, Retention(size=5000)))
    client = server.connect("/a?channel=b")
    takeAll(client)
    response = post(server, b'{"channels":["a","b"],"data":"%s"}' % (b"x" * 5000))
    assert response.status == 413
    answer = _json(response)
    assert answer["code"] == "too-large"
    assert answer["message"].startswith("2 of 2 publications failed")
    assert "5002 bytes; a stored publication" in answer["published"][0]["error"]
    assert client.messages == []
    assert post(server, b"x" * 5000, "?channel=a", kind="text/plain").status == 413
    assert (
        post(server, b"x" * 5000, "?channel=a&store=no", kind="text/plain").status
        == 200
    )
    assert take(client)["data"] == "x" * 5000


def test_too_large_and_broken() -> None:
    """
    Where something else failed, too, it may be tried again.
    """
    clock = makeServer().clock
    server = makeServer(broker=_Broken(clock, Retention(size=5000)))
    body = b'[{"channel":"bad","data":1},{"channel":"a","data":"%s"}]' % (b"x" * 5000)
    response = post(server, body)
    assert (response.status, _json(response)["code"]) == (503, "unavailable")


def test_answers_when_stored() -> None:
    """
    The answer comes once the broker has stored it; a publisher that has gone by then
    costs nothing.
    """
    broker = _Late(makeServer().clock)
    broker.waiting = []
    server = makeServer(broker=broker)
    request = (
        b"POST /publish?channel=a HTTP/1.1\r\nHost: server.example:9000\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: 1\r\n\r\n1" % TOKEN.encode()
    )
    staying, going = server.connectTransport(), server.connectTransport()
    staying.put(request)
    going.put(request)
    server.run()
    assert staying.take() == b""
    going.shut()
    server.run()
    for late in broker.waiting:
        late.callback(None)
    server.run()
    assert staying.take().startswith(b"HTTP/1.1 200")
    broker.waiting.clear()
    gc.collect()  # a Deferred that has failed says so when it is forgotten
    answer = subscribe(server.connect(), "a", limit=9)
    assert [each["data"] for each in answer["messages"]] == [1, 1]


def test_fails_otherwise(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """
    A broker that breaks its contract gets a traceback into the log, and the publisher
    an answer.
    """

    def broken(*arguments: object) -> Deferred[object]:
        return fail(ZeroDivisionError("no"))

    monkeypatch.setattr(server.broker, "publish", broken)
    response = post(server, b'{"channel":"a","data":1}')
    assert response.status == 503
    assert "ZeroDivision" not in response.body.decode()
    assert [each.type for each in logs.failures()] == [ZeroDivisionError]


def test_options_are_finite() -> None:
    """
    No limit is off unless somebody asks for it.
    """
    server = makeServer()
    application: Any = server.application
    feeds = application.feeds
    assert msgspec.to_builtins(feeds.limits) == {
        "history": 0,
        "maxHistory": 1000,
        "maxChannels": 100,
        "maxChannelLength": 100,
    }
    over = post(server, b"x" * (64 * 1024 + 1), "?channel=a", kind="text/plain")
    assert over.body == b"the request's body is over 65536 bytes\n"
    assert feeds.backlog.size == 256 * 1024
    assert feeds.backlog.age == 30
