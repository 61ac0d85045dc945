"""
Which account a connection counts for: its address's until the client has logged in,
then the user's (wsplug.server.sessions, wsplug.guard.admission).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.cred.credentials import IAnonymous
from twisted.internet.defer import Deferred

from tests.auth.kit import ORIGIN, Greeter, Login, checkedBy
from tests.auth.test_first_message import auth
from wsplug import HandshakeRefused, Settings
from wsplug.auth import makePortal
from wsplug.interfaces import IBearerToken
from wsplug.testing import MemoryClient, MemoryServer

HOME = "203.0.113.1"


def serve(login: Login, greeter: Greeter | None = None, **settings: Any) -> Any:
    return MemoryServer(
        greeter or Greeter(),
        portal=checkedBy(login),
        settings=Settings(**settings),
        exempt=(),
    )


def taken(server: MemoryServer) -> dict[str, int]:
    """
    Count the connections of each account, without those that only linger.
    """
    accounts = server.factory.admission._accounts
    return {key: each.connections for key, each in accounts.items() if each.connections}


def browse(server: MemoryServer, address: str = HOME) -> MemoryClient:
    return server.connect(origin=ORIGIN, address=address)


def test_user() -> None:
    """
    With the login, a connection moves from its address's account to the user's. When it
    ends, it leaves that account.
    """
    server = serve(Login(IBearerToken))
    client = browse(server)
    assert taken(server) == {HOME: 1}
    client.send(auth())
    assert taken(server) == {"user ann": 1}
    client.close()
    assert taken(server) == {}


def test_user_everywhere() -> None:
    """
    A user's limit holds for all addresses that the user connects from. A refused
    connection doesn't count.
    """
    server = serve(Login(IBearerToken), max_address_connections=2)
    clients = [browse(server, f"203.0.113.{number}") for number in range(3)]
    for client in clients:
        client.send(auth())
    assert [each.closed and each.closed[0] for each in clients] == [None, None, 1013]
    assert taken(server) == {"user ann": 2}
    disconnect = server.factory.statistics.disconnects[-1]
    assert disconnect.setting == "max-address-connections"


def test_nobody() -> None:
    """
    Anonymous clients share no account: otherwise one of them could shut all others out.
    """
    server = MemoryServer(
        Greeter(),
        portal=makePortal(["anonymous"]),
        settings=Settings(max_address_connections=1),
        exempt=(),
    )
    for number in range(3):
        server.connect(address=f"203.0.113.{number}")
    assert set(taken(server)) == {f"203.0.113.{number}" for number in range(3)}
    with pytest.raises(HandshakeRefused, match="429"):
        server.connect(address="203.0.113.0")


def test_nameless() -> None:
    """
    Avatars without a name, from custom realms, share no account either.
    """

    class Nameless(Login):
        def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
            return interfaces[0], object(), lambda: None

    server = serve(Nameless(IAnonymous))
    server.connect(address=HOME)
    assert taken(server) == {HOME: 1}


def _drops(server: MemoryServer, client: MemoryClient) -> None:
    client.drop()


def _closes(server: MemoryServer, client: MemoryClient) -> None:
    client.close()


def _drains(server: MemoryServer, client: MemoryClient) -> None:
    server.stop()


def _waits(server: MemoryServer, client: MemoryClient) -> None:
    server.advance(20)


@pytest.mark.parametrize("end", [_drops, _closes, _drains, _waits])
@pytest.mark.parametrize("answers", [False, True])
def test_gone_meanwhile(
    end: Callable[[MemoryServer, MemoryClient], None], answers: bool
) -> None:
    """
    A client that leaves, is disconnected or times out during the login is on no account
    afterwards, even if a cancelled checker still answers. The application isn't called.
    """
    login, greeter = Login(IBearerToken), Greeter()
    login.answer = Deferred(
        (lambda asked: asked.callback(b"ann")) if answers else lambda asked: None
    )
    server = serve(login, greeter)
    client = browse(server)
    client.send(auth())
    end(server, client)
    server.advance(20)
    assert taken(server) == {}
    assert greeter.requests == []
    assert login.logouts == ([] if not login.minds else [b"ann"])
    assert not server.factory.roster.sessions


def test_refused_with_credentials() -> None:
    """
    Likewise, where the application refuses a client that has logged in with the
    handshake.
    """
    greeter = Greeter()

    def build(_: object) -> Any:
        raise HandshakeRefused(402, "no money")

    greeter.build = build
    server = serve(Login(IBearerToken), greeter)
    with pytest.raises(HandshakeRefused, match="402"):
        server.connect(address=HOME, headers=[("Authorization", "Bearer sesame")])
    server.advance(10)
    assert taken(server) == {}


def test_exempt() -> None:
    """
    A client from an exempt address is on no account, logged in or not.
    """
    server = MemoryServer(Greeter(), portal=checkedBy(Login(IBearerToken)))
    client = server.connect(origin=ORIGIN)
    client.send(auth())
    assert taken(server) == {}
    client.close()
    assert taken(server) == {}
