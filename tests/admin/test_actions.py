"""What operators do (wsplug.admin.actions), in memory."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.admin.kit import Board
from tests.server.kit import Logs
from wsplug import Mount, Side, WebSocketProtocol, application
from wsplug.admin import actions, clients, operator
from wsplug.admin.access import Access
from wsplug.admin.messages import SUBPROTOCOL
from wsplug.admin.status import PATH, StatusApplication
from wsplug.apps.bot import bot
from wsplug.apps.chat import chat
from wsplug.apps.echo import echo
from wsplug.apps.push import push
from wsplug.apps.ticker import ticker
from wsplug.interfaces import IServerConnection
from wsplug.testing import MemoryServer
from wsplug.web.site import makeSite

TEXT = "We restart at ten. <b>Bye</b>"


@application("quiet")
async def quiet(socket: Any) -> None:
    """Sends nothing."""
    async for _ in socket:
        pass


@pytest.mark.parametrize(
    ("plugin", "options", "subprotocols", "answer"),
    [
        (echo, {}, (), TEXT),
        (echo, {"delay": 5}, (), TEXT),
        (ticker, {}, (), TEXT),
        (bot, {}, (), TEXT),
        (push, {}, (), {"type": "notice", "message": TEXT}),
        (chat, {}, ("wsplug.chat.v1",), {"type": "notice", "message": TEXT}),
        (chat, {}, (), {"type": "system", "message": TEXT}),
    ],
)
def test_notices(
    plugin: Any, options: dict[str, object], subprotocols: Any, answer: Any
) -> None:
    """Each application sends notices to its clients in its own way."""
    board = Board()
    board.server = MemoryServer(plugin, options=options, clock=board.clock)
    board.factory = board.server.factory
    board.status.watch(board)
    client = board.server.connect(subprotocols=subprotocols)
    client.messages.clear()
    noticed = board.connect().ask("notice", text=TEXT)
    assert noticed["type"] == "noticed"
    assert (noticed["reached"], noticed["unable"]) == (1, 0)
    (message,) = client.messages
    assert isinstance(message, str)
    assert (json.loads(message) if isinstance(answer, dict) else message) == answer


def test_notices_that_cannot_be() -> None:
    """An application without notices is counted, and its clients get nothing."""
    board = Board(quiet)
    client = board.server.connect()
    noticed = board.connect().ask("notice", text=TEXT)
    assert (noticed["reached"], noticed["unable"]) == (0, 1)
    assert client.messages == []


def test_a_notice_that_fails(logs: Logs) -> None:
    """If an application raises, its connection is closed, as in any other method."""

    class Failing(WebSocketProtocol):
        def noticeReceived(self, text: str) -> None:
            raise RuntimeError("no")

    board = Board()
    board.server = MemoryServer(application("failing")(Failing), clock=board.clock)
    board.factory = board.server.factory
    board.status.watch(board)
    client = board.server.connect()
    board.connect().ask("notice", text=TEXT)
    assert client.closed == (1011, "internal error")
    assert [failure.type for failure in logs.failures()] == [RuntimeError]


def test_whom_notices_go_to(logs: Logs) -> None:
    """A notice goes to all clients, to an application's, or to one client. The log says
    who sent it to whom, without its text."""
    board = Board()
    first = board.server.connect(address="192.0.2.7")
    second = board.server.connect()
    operator = board.connect("192.0.2.99")
    rows = operator.ask("clients", search="192.0.2.7")["clients"]
    assert operator.ask("notice", text="one", client=rows[0]["id"])["reached"] == 1
    assert operator.ask("notice", text="two", application="echo")["reached"] == 2
    assert operator.ask("notice", text="three")["reached"] == 2
    assert first.messages == ["one", "two", "three"]
    assert second.messages == ["two", "three"]
    lines = logs.lines("sends a notice to")
    assert len(lines) == 3
    assert all(line.startswith("192.0.2.99:") for line in lines)
    assert lines[0].endswith("to " + rows[0]["client"])
    assert not logs.lines("three")
    for wrong in (
        {"text": ""},
        {"text": "x" * 2001},
        {"text": "x", "application": "chat"},
        {"text": "x", "client": 12345},
        {"text": "x", "client": rows[0]["id"], "application": "echo"},
    ):
        assert operator.ask("notice", **wrong)["type"] == "error"


def test_close(logs: Logs) -> None:
    """A client is closed with the operator's code and reason. The application, the log
    and the statistics name the operator as the cause."""
    board = Board()
    first = board.server.connect()
    board.clock.advance(1)
    second = board.server.connect()
    operator = board.connect()
    rows = operator.ask("clients", sort="longest")["clients"]
    answer = operator.ask(
        "close", client=rows[0]["id"], code=4005, reason="not like this"
    )
    assert (answer["type"], answer["count"]) == ("closed", 1)
    assert first.closed == (4005, "not like this")
    assert second.closed is None
    (disconnect,) = board.factory.statistics.disconnects
    assert disconnect.setting == "operator"
    assert disconnect.side is Side.SERVER
    assert disconnect.clean
    assert logs.lines("closed by the server, 4005: not like this (operator)")
    assert logs.lines("closes")


def test_declared() -> None:
    """Operators use only those members of a connection that its interface declares."""
    board = Board()
    board.server.connect()
    (connection,) = board.factory.connections
    verifyObject(IServerConnection, connection)
    for module in (actions, clients, operator):
        assert "wsplug.server.connection" not in inspect.getsource(module)


def test_close_all() -> None:
    """All connections of an address, or of a network, are closed. The default code is
    1008."""
    board = Board()
    here = [board.server.connect(address="2001:db8::1") for _ in range(2)]
    near = board.server.connect(address="2001:db8::2")
    far = board.server.connect(address="2001:db8:1::1")
    operator = board.connect()
    assert operator.ask("close", address="2001:db8::1")["count"] == 3
    assert [client.closed for client in (*here, near)] == [(1008, "")] * 3
    assert far.closed is None
    assert operator.ask("close", address="2001:db8::/32")["count"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"client": 1, "address": "192.0.2.1"},
        {"client": 1},
        {"address": "here"},
        {"address": "0.0.0.0/0"},
        {"address": "192.0.2.1", "code": 1006},
        {"address": "192.0.2.1", "code": 999},
        {"address": "192.0.2.1", "code": 5000},
        {"address": "192.0.2.1", "reason": "é" * 62},
    ],
)
def test_close_refused(wrong: dict[str, object]) -> None:
    """A request with an unknown target or an invalid code is refused, and no client is
    closed."""
    board = Board()
    client = board.server.connect()
    assert board.connect().ask("close", **wrong)["type"] == "error"
    assert client.closed is None


def test_ban(logs: Logs) -> None:
    """A ban closes the client's connections and refuses new ones. Operators see the
    ban, and can lift it."""
    board = Board()
    client = board.server.connect(address="192.0.2.7")
    other = board.server.connect(address="192.0.2.8")
    operator = board.connect("192.0.2.9")
    answer = operator.ask("ban", address="192.0.2.7", seconds=60, note="noise")
    assert answer["count"] == 1
    assert answer["ban"]["address"] == "192.0.2.7"
    assert client.closed == (1008, "banned")
    assert other.closed is None
    (disconnect,) = board.factory.statistics.disconnects
    assert disconnect.setting == "operator"
    with pytest.raises(Exception, match="banned"):
        board.server.connect(address="192.0.2.7")
    board.advance(1)
    (tick,) = operator.take()
    assert tick["bans"][0]["note"] == "noise"
    assert tick["bans"][0]["until"] - tick["sample"]["time"] == 59
    assert operator.ask("lift", address="192.0.2.7")["type"] == "lifted"
    board.server.connect(address="192.0.2.7")
    assert operator.ask("lift", address="192.0.2.7")["code"] == "not-here"
    board.advance(1)
    assert operator.take()[-1]["bans"] == []
    assert logs.lines("192.0.2.9:")
    assert logs.lines("bans 192.0.2.7 for 60 seconds")
    assert logs.lines("lifts the ban of 192.0.2.7")
    for wrong in ({"address": "x"}, {"address": "192.0.2.7", "seconds": 0}):
        assert operator.ask("ban", **wrong)["type"] == "error"


def test_operators_are_not_banned_by_themselves() -> None:
    """Operators on the clients' port can't ban their own address. On an admin endpoint
    they aren't clients, so they can."""
    clock = Board().clock
    status = StatusApplication(Access(clock, None))
    server = MemoryServer(echo, clock=clock)
    server.factory.mounts = type(server.factory.mounts)(
        [*server.factory.mounts, Mount(PATH, status, PATH)]
    )
    server.factory.site = makeSite(server.factory.mounts, clock)
    board = Board()
    board.clock, board.server, board.factory = clock, server, server.factory
    status.watch(board)
    client = server.connect(PATH, subprotocols=[SUBPROTOCOL], address="192.0.2.9")
    client.messages.clear()
    client.send(json.dumps({"type": "ban", "address": "192.0.2.0/24", "request": 1}))
    answer = json.loads(client.messages[0])
    assert answer["code"] == "own-address"
    assert client.closed is None

    board = Board()
    operator = board.connect("192.0.2.9")
    assert operator.ask("ban", address="192.0.2.0/24")["type"] == "banned"
    assert operator.client.closed is None


def test_drain(logs: Logs) -> None:
    """An operator drains the server, for good if the request says so."""
    board = Board()
    operator = board.connect()
    assert operator.ask("drain")["type"] == "draining"
    assert operator.ask("drain", for_good=True)["type"] == "draining"
    assert board.drained == [False, True]
    assert logs.lines("drains the server for good")
