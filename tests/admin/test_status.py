"""The status page's WebSocket in memory (wsplug.admin.status and
wsplug.admin.operator)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.admin.kit import TOKEN, Board, Operator
from tests.server.kit import App, Logs
from wsplug import WebSocketProtocol
from wsplug.admin.history import KEPT
from wsplug.admin.messages import SUBPROTOCOL
from wsplug.admin.status import PATH
from wsplug.apps.push import push
from wsplug.errors import HandshakeRefused
from wsplug.guard.hosts import HostRules
from wsplug.jsonmessages import write
from wsplug.options import UNLIMITED
from wsplug.server.settings import SETTINGS


def welcome(operator: Operator) -> dict[str, Any]:
    """Return the first message, which contains everything."""
    (message,) = operator.take()
    assert message["type"] == "welcome"
    return message


def samples(operator: Operator) -> list[dict[str, Any]]:
    """Return the samples that have arrived."""
    messages = operator.take()
    assert {message["type"] for message in messages} <= {"sample"}
    return messages


def test_welcome(logs: Logs) -> None:
    """The first message has all that the page shows. The log names the operator who
    gets it."""
    board = Board(max_headers=UNLIMITED, ping_interval=0)
    operator = board.connect("192.0.2.9")
    message = welcome(operator)
    assert message["state"] == "ready"
    assert message["client"].startswith("192.0.2.9:")
    assert message["applications"] == [["echo", "/"]]
    settings = {each["name"]: each["value"] for each in message["settings"]}
    assert list(settings) == [*(each.name for each in SETTINGS), "origin"]
    assert settings["max-message-size"] == "1MiB"
    assert settings["max-headers"] == "unlimited"
    assert settings["ping-interval"] == "off"
    assert settings["compression"] == "yes"
    for name in ("version", "codec", "python", "twisted"):
        assert message[name]
    assert logs.lines("watches the server")


def test_samples() -> None:
    """Each second brings one sample for the server and each application, with rates
    since the last one."""
    board = Board()
    operator = board.connect()
    welcome(operator)
    client = board.server.connect()
    for _ in range(10):
        client.send("hello")
    board.advance(1)
    (tick,) = samples(operator)
    sample = tick["sample"]
    assert sample["connections"] == 1
    assert sample["accepted"] == 1
    assert sample["received_messages"] == sample["sent_messages"] == 10
    assert sample["received_bytes"] == 110
    (application,) = sample["applications"]
    assert application["name"] == "echo"
    assert application["connections"] == 1
    assert application["sent_messages"] == 10
    assert tick["operators"] == 1
    board.advance(2)
    _, tick = samples(operator)
    assert tick["sample"]["received_messages"] == 0
    assert tick["sample"]["connections"] == 1


def test_history() -> None:
    """An operator who connects later gets the samples of the last minutes at once, and
    no older ones."""
    board = Board()
    board.server.connect()
    board.advance(KEPT + 5)
    operator = board.connect()
    history = welcome(operator)["history"]
    assert len(history) == KEPT
    assert history[-1]["connections"] == 1
    times = [each["time"] for each in history]
    assert times == sorted(times)
    board.advance(1)
    (tick,) = samples(operator)
    assert tick["sample"]["time"] > times[-1]


def test_stalls() -> None:
    """A client that doesn't read is visible: the size of its buffer, the number of
    stalled clients, and the end of the stall."""
    board = Board()
    operator = board.connect()
    client = board.server.connect()
    client.stopReading()
    client.send("x" * 300_000)
    board.run()
    operator.take()
    board.advance(1)
    (tick,) = samples(operator)
    assert tick["sample"]["stalled"] == tick["sample"]["stalls"] == 1
    assert tick["sample"]["waiting"] > 100_000
    (row,) = operator.ask("clients", sort="waiting")["clients"]
    assert row["waiting"] == tick["sample"]["waiting"]
    client.startReading()
    board.advance(1)
    (tick,) = samples(operator)
    assert tick["sample"]["stalled"] == tick["sample"]["waiting"] == 0
    client.stopReading()
    client.send("x" * 300_000)
    client.drop()
    assert not board.factory.statistics.stalled


def test_disconnects() -> None:
    """Each operator gets each disconnect once, with the reason as in the log, and the
    counts by cause."""
    board = Board(max_message_size=10)
    first = board.connect()
    welcome(first)
    board.server.connect(address="192.0.2.5").close(4001, "enough")
    talker = board.server.connect()
    talker.send("x" * 11)
    talker.drop()
    with pytest.raises(HandshakeRefused):
        board.server.connect(origin="http://evil.example", address="192.0.2.6")
    second = board.connect()
    assert welcome(second)["departures"] == []
    board.advance(1)
    for operator in (first, second):
        (tick,) = samples(operator)
        one, other = tick["departures"]
        assert one["client"].startswith("192.0.2.5:")
        assert one["address"] == "192.0.2.5"
        assert (one["code"], one["reason"], one["side"]) == (4001, "enough", "peer")
        assert other["code"] == 1009
        assert other["setting"] == "max-message-size"
        (refused,) = tick["refusals"]
        assert (refused["status"], refused["setting"]) == (403, "origin")
        causes = {
            (each["kind"], each["code"], each["count"]) for each in tick["causes"]
        }
        assert causes == {
            ("closed", "4000-4999", 1),
            ("closed", "1009", 1),
            ("refused", "403", 1),
        }
    board.advance(1)
    (tick,) = samples(first)
    assert not {"departures", "refusals", "causes"} & set(tick)
    late = welcome(board.connect())
    assert len(late["departures"]) == 2
    assert len(late["refusals"]) == 1
    assert len(late["causes"]) == 3


def test_one_encoding_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample is encoded once, however many operators watch."""
    made: list[msgspec.Struct] = []

    def count(message: msgspec.Struct) -> str:
        made.append(message)
        return write(message)

    monkeypatch.setattr("wsplug.admin.status.write", count)
    board = Board()
    board.advance(3)
    assert made == []
    operators = [board.connect() for _ in range(5)]
    board.advance(1)
    assert len(made) == 1
    assert all(each.take() for each in operators)


class Avatar:
    def __init__(self, name: object) -> None:
        self.name = name


class Named(App):
    """An application that names its clients by their path."""

    def buildProtocol(self, request: Any) -> Any:
        if request.segments:
            request.avatar = Avatar(request.segments[0])
        return WebSocketProtocol()


def test_clients() -> None:
    """The list of clients is sorted, filtered and bounded, and says how many there are
    in total."""
    board = Board(Named())
    for number in range(20):
        board.server.connect(f"/user-{number}", address=f"192.0.2.{number}")
        board.clock.advance(1)
    operator = board.connect()
    answer = operator.ask("clients", limit=5)
    assert (answer["found"], answer["total"]) == (20, 20)
    assert [row["name"] for row in answer["clients"]] == [
        f"user-{number}" for number in (19, 18, 17, 16, 15)
    ]
    row = answer["clients"][0]
    assert row["address"] == "192.0.2.19"
    assert row["path"] == "/user-19"
    assert row["application"] == "application"
    assert row["opened"] == 19.0
    longest = operator.ask("clients", sort="longest", limit=1)["clients"]
    assert longest[0]["name"] == "user-0"
    answer = operator.ask("clients", search="USER-1 192.0.2.1")
    assert answer["found"] == 11
    assert answer["total"] == 20
    # A client has the same number each time.
    again = operator.ask("clients", search="user-19")["clients"]
    assert again[0]["id"] == row["id"]
    for wrong in (
        {"sort": "name"},
        {"limit": 501},
        {"limit": 0},
        {"search": "x" * 201},
    ):
        assert operator.ask("clients", **wrong)["type"] == "error"


class Greeter(App):
    """An application whose clients send their name."""

    class Protocol(WebSocketProtocol):
        clientName: str | None = None

        def textMessageReceived(self, message: str) -> None:
            self.clientName = message

    def buildProtocol(self, request: Any) -> Any:
        request.avatar = Avatar("guest")
        return self.Protocol()


def test_names_that_applications_know() -> None:
    """The name that an application sets takes precedence over the avatar's."""
    board = Board(Greeter())
    client = board.server.connect("/")
    operator = board.connect()
    assert operator.ask("clients")["clients"][0]["name"] == "guest"
    client.send("Ann")
    assert operator.ask("clients", search="ann")["clients"][0]["name"] == "Ann"
    assert operator.ask("clients", search="guest")["found"] == 0


def test_channels() -> None:
    """
    Operators see the channels with their subscribers and retained messages, and publish
    to them.
    """
    board = Board(push)
    reader = board.server.connect("/")
    reader.send('{"type":"subscribe","channel":"news"}')
    board.run()
    operator = board.connect()
    (news,) = operator.ask("channels")["channels"]
    assert (news["subscribers"], news["kept"], news["size"]) == (1, 0, 0)
    name = news["name"]
    made = operator.ask("publish", channel=name, data='{"a":1}')
    assert made == {
        "type": "published",
        "request": made["request"],
        "channel": name,
        "offset": 1,
    }
    assert json.loads(reader.messages[-1])["data"] == {"a": 1}
    (news,) = operator.ask("channels", search="NEWS")["channels"]
    assert (news["kept"], news["size"] > 7) == (1, True)
    assert operator.ask("channels", search="other")["channels"] == []
    operator.ask("publish", channel=name, data="now", store=False)
    assert operator.ask("channels")["channels"][0]["kept"] == 1
    for wrong, code in (
        ({"type": "publish", "channel": "", "data": "x"}, "invalid"),
        ({"type": "publish", "channel": "x" * 1001, "data": "x"}, "too-long"),
        ({"type": "publish", "channel": name, "data": "x" * 65537}, "too-long"),
        ({"type": "publish", "channel": name}, "invalid"),
        ({"type": "channels", "limit": 501}, "invalid"),
    ):
        assert operator.ask(**wrong)["code"] == code


def test_channels_need_an_operator() -> None:
    """
    Without the token, a client can neither list nor publish.
    """
    board = Board(push, token=TOKEN)
    for asked in ("channels", "publish"):
        stranger = board.connect()
        answer = stranger.ask(asked, channel="x", data="x")
        assert answer["code"] == "auth-required"


def test_a_broker_without_lists() -> None:
    """
    If the broker can't list channels, or there is no broker, the operator is told so.
    """
    board = Board()
    operator = board.connect()
    board.broker = None  # type: ignore[assignment]
    assert operator.ask("channels")["code"] == "unavailable"
    assert operator.ask("publish", channel="x", data="x")["code"] == "unavailable"


def test_hostile_texts() -> None:
    """Texts from clients are cut, and can always be sent to operators."""
    board = Board(Named())
    path = "/%ff%00<script>" + "x" * 5000
    client = board.server.connect(path)
    operator = board.connect()
    (row,) = operator.ask("clients")["clients"]
    assert len(row["path"]) == len(row["name"]) == 200
    (connection,) = board.factory.connections
    request: Any = connection.request
    request.avatar = Avatar("\ud800\u202e<b>" + "y" * 100_000)
    (row,) = operator.ask("clients")["clients"]
    assert row["name"].startswith("?\u202e<b>y")
    assert len(row["name"]) == 200
    request.avatar = Avatar(7)
    (row,) = operator.ask("clients")["clients"]
    assert row["name"] == "7"
    client.close(4000, "\u202e<script>")
    board.advance(1)
    (tick,) = samples(operator)
    assert tick["departures"][0]["reason"] == "\u202e<script>"


def test_numbers_are_forgotten() -> None:
    """The numbers of clients that have left take up no memory, and are never used
    again."""
    board = Board()
    operator = board.connect()
    client = board.server.connect()
    (row,) = operator.ask("clients")["clients"]
    client.close()
    assert operator.ask("close", client=row["id"])["code"] == "not-here"
    board.advance(1)
    assert board.status.clients._numbers == {}
    board.server.connect()
    (other,) = operator.ask("clients")["clients"]
    assert other["id"] != row["id"]
    operator.client.close()
    board.run()
    assert board.status.clients._connections == {}


def test_state() -> None:
    """Operators are told when the server's state changes."""
    board = Board()
    operator = board.connect()
    board.isReady = False
    board.advance(1)
    assert operator.take()[-1]["state"] == "stopping"


def test_token() -> None:
    """Nothing is sent before the right token has arrived."""
    board = Board(token=TOKEN)
    operator = board.connect()
    assert operator.take() == [{"type": "auth-required"}]
    board.advance(3)
    assert operator.take() == []
    answer = operator.ask("auth", token=TOKEN)
    assert answer["type"] == "welcome"
    assert len(answer["history"]) == 3
    board.advance(1)
    assert operator.take()
    assert operator.ask("auth", token=TOKEN)["code"] == "invalid"
    assert operator.ask("ping")["type"] == "pong"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "auth", "token": "wrong", "request": 1}, "unauthorized"),
        ({"type": "auth", "request": 1}, "unauthorized"),
        ({"type": "clients", "request": 1}, "auth-required"),
        ({"type": "nothing", "request": 1}, "unknown-type"),
        ("no JSON", "not-json"),
    ],
)
def test_no_token(message: Any, code: str) -> None:
    """A client without the token gets an error, and is closed with 1008."""
    board = Board(token=TOKEN)
    operator = board.connect()
    operator.take()
    operator.client.send(message if isinstance(message, str) else json.dumps(message))
    board.run()
    (answer,) = operator.take()
    assert (answer["type"], answer["code"]) == ("error", code)
    assert operator.client.closed is not None
    assert operator.client.closed[0] == 1008


@pytest.mark.parametrize(
    "text",
    ["{", '{"type":"x",', '{"type":3,', '{"type":"clients","limit":"", ', "[" * 20_000],
)
def test_no_json(text: str) -> None:
    """A message that isn't JSON gets an error. It doesn't end the connection of an
    operator."""
    board = Board()
    operator = board.connect()
    operator.take()
    operator.client.send(text)
    board.run()
    assert [answer["code"] for answer in operator.take()] == ["not-json"]
    assert operator.ask("ping")["type"] == "pong"


def test_binary() -> None:
    """A binary message gets an error. It doesn't end the connection of an operator."""
    board = Board()
    operator = board.connect()
    operator.take()
    operator.client.send(b"\x00")
    board.run()
    (answer,) = operator.take()
    assert answer["code"] == "not-json"
    assert operator.client.closed is None


def test_guessing_is_slow() -> None:
    """After ten wrong tokens from a client, none is checked for a while."""
    board = Board(token=TOKEN)
    for _ in range(10):
        assert board.connect().ask("auth", token="x")["code"] == "unauthorized"
    answer = board.connect().ask("auth", token=TOKEN)
    assert answer["code"] == "rate-limited"
    assert answer["retry_after"] == 30
    assert board.connect("192.0.2.77").ask("auth", token=TOKEN)["type"] == "welcome"


def test_token_in_time() -> None:
    """A client that sends no token is closed after the open timeout. One that has sent
    it isn't."""
    board = Board(token=TOKEN, open_timeout=5.0)
    silent, known = board.connect(), board.connect()
    assert known.ask("auth", token=TOKEN)["type"] == "welcome"
    board.advance(5)
    assert silent.client.closed == (1008, "no token in time")
    assert known.client.closed is None
    board = Board(token=TOKEN, open_timeout=0.0)
    patient = board.connect()
    board.advance(60)
    assert patient.client.closed is None


def test_subprotocol() -> None:
    """The client has to offer the subprotocol, and the server selects it."""
    board = Board()
    assert board.connect().client.subprotocol == SUBPROTOCOL
    with pytest.raises(HandshakeRefused, match=SUBPROTOCOL):
        board.connect(subprotocols=["chat"])


def test_hosts() -> None:
    """A page whose name leads to the server is refused its WebSocket as well."""
    board = Board(hosts=HostRules(["http://server.example:9000"], forAll=True))
    board.connect()
    with pytest.raises(HandshakeRefused, match="pages of http://evil") as raised:
        board.connect(origin="http://evil.example")
    assert raised.value.status == 403
    board = Board(hosts=HostRules([], forAll=True))
    for origin in (None, "http://server.example:9000"):
        with pytest.raises(HandshakeRefused, match="Host") as raised:
            board.connect(origin=origin)
        assert raised.value.status == 421


def test_page() -> None:
    """The page's policy allows its own files, and nothing else."""
    board = Board()
    response = board.admin.request("GET", PATH + "/")
    assert response.status == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = response.body.decode()
    assert "<style" not in text
    assert "style=" not in text
    assert "<script>" not in text
    for name in ("status.js", "chart.js", "rows.js", "actions.js", "format.js"):
        assert board.admin.request("GET", f"{PATH}/{name}").status == 200
    assert board.admin.request("GET", f"{PATH}/-/wsplug.js").status == 200
    assert board.admin.request("GET", f"{PATH}/../status.py").status == 404


def test_stop() -> None:
    """No samples are taken after the stop."""
    board = Board()
    board.advance(2)
    board.admin.application.stopApplication()
    board.admin.application.stopApplication()
    assert board.clock.getDelayedCalls() == []
