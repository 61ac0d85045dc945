"""
How many log lines one address may cause (wsplug.guard.loglimit).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.credentials import IUsernamePassword
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from tests.auth.kit import ORIGIN, Greeter, Login, basic, checkedBy
from tests.server.kit import App, Logs, frame, handshake
from tests.server.test_clients import Page
from wsplug import HandshakeRefused, Settings
from wsplug.guard.loglimit import MAX_CLIENTS, LogLimit
from wsplug.interfaces import IBearerToken
from wsplug.networks import Networks
from wsplug.options import UNLIMITED
from wsplug.testing import MemoryServer

HERE = IPv4Address("TCP", "203.0.113.9", 1)

LIMITS = (Path(__file__).parents[2] / "docs" / "reference" / "limits.md").read_text(
    "utf-8"
)


def test_summary() -> None:
    """
    Ten seconds' worth of lines are written at once, then as many as the rate allows.
    The others are counted, and summarized every ten seconds by kind and setting.
    """
    clock = Clock()
    limit = LogLimit(clock, 2, Networks())
    with capturedLogs() as events:
        assert [limit.allows(HERE, "refused") for _ in range(25)].count(True) == 20
        assert not limit.allows(HERE, "closed", "max-message-rate")
        clock.advance(1)
        assert [limit.allows(HERE, "refused") for _ in range(25)].count(True) == 2
        assert not Logs(events).lines()
        clock.advance(9)
        (event,) = Logs(events).events()
        assert Logs(events).lines() == [
            "203.0.113.9: 29 more lines are left out: refused 28, "
            "closed by max-message-rate 1 (max-address-log-rate)"
        ]
        assert event["setting"] == "max-address-log-rate"
        clock.advance(60)
        assert len(Logs(events).lines()) == 1
    assert not clock.getDelayedCalls()


def test_places() -> None:
    """
    An IPv6 network counts as one client. Exempt clients and those without an address
    have no limit, and the limit can be switched off.
    """
    clock = Clock()
    limit = LogLimit(clock, 1, Networks(["198.51.100.0/24"]))
    neighbours = [IPv6Address("TCP", f"2001:db8::{each}", 1) for each in range(1, 21)]
    assert [limit.allows(each, "x") for each in neighbours].count(True) == 10
    for free in (IPv4Address("TCP", "198.51.100.3", 1), UNIXAddress(b"/run/a")):
        assert all(limit.allows(free, "x") for _ in range(50))
    unlimited = LogLimit(clock, UNLIMITED, Networks())
    assert all(unlimited.allows(HERE, "x") for _ in range(1000))
    with capturedLogs() as events:
        limit.tell()
        assert len(Logs(events).lines("2001:db8::/64")) == 1
    assert not clock.getDelayedCalls()


def test_many_places() -> None:
    """
    The number of summary lines is bounded, however many addresses there are.
    """
    clock = Clock()
    limit = LogLimit(clock, 1, Networks())
    with capturedLogs() as events:
        for number in range(MAX_CLIENTS + 50):
            address = IPv4Address("TCP", f"203.0.{number}.1", 1)
            for _ in range(11):
                limit.allows(address, "refused")
        limit.tell()
        lines = Logs(events).lines()
    assert len(lines) == MAX_CLIENTS + 1
    assert lines[-1].startswith("other addresses: 50 more lines")


def serve(**settings: object) -> MemoryServer:
    return MemoryServer(
        App(pages=Page()),
        settings=Settings(max_address_log_rate=1, **settings),  # type: ignore[arg-type]
        exempt=(),
    )


def send(server: MemoryServer, data: bytes) -> None:
    transport = server.connectTransport("203.0.113.9")
    transport.put(data)
    server.run()
    transport.shut()
    server.run()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"nonsense\r\n\r\n", "refused 190"),
        (handshake() + frame(b"\x03\xe8", 0x88), "accepted 195, closed 195"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "requests 190"),
    ],
)
def test_flood(data: bytes, what: str, logs: Logs) -> None:
    """
    Whatever an address does again and again, the log has ten lines about it and one
    that counts the rest. The statistics still count everything.
    """
    server = serve(max_address_handshake_rate=1000)
    for _ in range(200):
        send(server, data)
    assert len(logs.lines()) == 10
    statistics = server.factory.statistics
    if what.startswith("refused"):
        assert sum(statistics.handshakes.values()) == 200
    if what.startswith("accepted"):
        assert sum(statistics.closings.values()) == 200
    server.advance(10)
    (line,) = logs.lines("left out")
    assert line.endswith(f" more lines are left out: {what} (max-address-log-rate)")


def test_failing_handshakes(logs: Logs) -> None:
    """
    The tracebacks of an application that fails in each handshake are limited and
    counted, too. Each handshake is answered.
    """

    def build(_: object) -> None:
        raise RuntimeError("each time")

    server = MemoryServer(
        App(build),
        settings=Settings(max_address_log_rate=1, max_address_handshake_rate=1000),
        exempt=(),
    )
    for _ in range(50):
        send(server, handshake())
    # The line about each refusal counts, too, and comes second.
    assert len(logs.failures()) == len(logs.lines("refused: 500")) == 5
    assert sum(server.factory.statistics.handshakes.values()) == 50
    server.advance(10)
    (line,) = logs.lines("left out")
    assert "failed handshakes 45" in line
    assert "refused 45" in line


def serveUsers(login: Login) -> MemoryServer:
    return MemoryServer(
        Greeter(),
        portal=checkedBy(login),
        settings=Settings(max_address_log_rate=1, max_address_handshake_rate=1000),
        exempt=(),
    )


def logInByHandshake(server: MemoryServer) -> None:
    with pytest.raises(HandshakeRefused):
        server.connect(headers=[basic("ann", "secret")])


def logInByPage(server: MemoryServer) -> None:
    answer = server.request("GET", "/", headers=[basic("ann", "secret")])
    assert answer.status == 500


def logInByMessage(server: MemoryServer) -> None:
    client = server.connect(origin=ORIGIN)
    client.send('{"type": "auth", "token": "sesame"}')
    assert client.closed == (1011, "credentials can't be checked")


@pytest.mark.parametrize(
    "logIn", [logInByHandshake, logInByPage, logInByMessage], ids=lambda it: it.__name__
)
def test_failing_checkers(logIn: Callable[[MemoryServer], None], logs: Logs) -> None:
    """
    The tracebacks of a checker that fails at each login are limited and counted, too,
    wherever the credentials are. Each login is answered.
    """
    login = Login(IUsernamePassword, IBearerToken)
    server = serveUsers(login)
    for _ in range(50):
        login.answer = fail(RuntimeError("no database"))
        logIn(server)
    # The lines about each refusal, closing or request count, too.
    failures = len(logs.failures())
    assert 0 < failures < 10
    assert len(login.asked) == 50
    server.advance(10)
    (line,) = logs.lines("left out")
    assert f"failed logins {50 - failures}" in line


def test_failing_logouts(logs: Logs) -> None:
    """
    Likewise, the tracebacks of a realm that fails at each logout.
    """
    login = Login(IUsernamePassword)

    def logOut() -> None:
        raise RuntimeError("no database")

    def requestAvatar(name: bytes, mind: object, *interfaces: Any) -> Any:
        return interfaces[0], None, logOut

    setattr(login, "requestAvatar", requestAvatar)  # noqa: B010
    server = serveUsers(login)
    for _ in range(50):
        server.connect(headers=[basic("ann", "secret")]).drop()
    # The lines about each login and closing count, too.
    failures = len(logs.failures())
    assert 0 < failures < 10
    server.advance(10)
    (line,) = logs.lines("left out")
    assert f"failed logouts {50 - failures}" in line


def test_refused_connections(logs: Logs) -> None:
    """
    Likewise, the lines about clients that are refused because they connect too often.
    """
    server = serve(max_address_handshake_rate=1)
    for _ in range(500):
        send(server, handshake())
    server.advance(10)
    assert len(logs.lines("203.0.113.9")) <= 22


def test_stop(logs: Logs) -> None:
    """
    A pending summary is written when the server stops.
    """
    server = serve(max_address_handshake_rate=1000)
    for _ in range(20):
        send(server, b"nonsense\r\n\r\n")
    assert server.stop().called
    (line,) = logs.lines("left out")
    assert re.fullmatch(r"203\.0\.113\.9: 10 more lines .*", line)
    assert not server.clock.getDelayedCalls()


def test_long_paths(logs: Logs) -> None:
    """
    A long path is cut in the log.
    """
    send(serve(), b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    (line,) = logs.lines("GET")
    assert 200 < len(line) < 300


def test_documented() -> None:
    """
    The page shows such a line.
    """
    (line,) = re.findall(r"^    (.* are left out.*)$", LIMITS, re.MULTILINE)
    assert re.fullmatch(
        r"[0-9.]+: \d+ more lines are left out: refused by cool-down \d+, "
        r"closed by max-message-rate \d+ "
        r"\(max-address-log-rate\)",
        line,
    )
