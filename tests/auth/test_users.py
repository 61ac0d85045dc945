"""
Users who have logged in have an account of their own, instead of their address's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.portal import Portal

from tests.auth.kit import ORIGIN, Greeter, bearer, writeTokens
from wsplug import HandshakeRefused, Settings
from wsplug.auth import makePortal
from wsplug.testing import MemoryClient, MemoryServer


@pytest.fixture
def portal(tmp_path: Path) -> Portal:
    return makePortal([writeTokens(tmp_path / "tokens", ann="alpha", bob="beta")])


class World:
    """
    A server for two users, without exempt addresses.
    """

    def __init__(self, portal: Portal, **settings: Any) -> None:
        self.server = MemoryServer(
            Greeter(), portal=portal, settings=Settings(**settings), exempt=()
        )

    @property
    def accounts(self) -> int:
        """
        Count the accounts that have connections.
        """
        self.server.advance(30)
        admission = self.server.factory.admission
        return len(admission) - len(admission._lingering)

    def connect(self, last: int, token: str) -> MemoryClient:
        """
        Log in with the handshake.
        """
        return self.server.connect(address=f"192.0.2.{last}", headers=[bearer(token)])

    def browse(self, last: int, token: str) -> MemoryClient:
        """
        Log in with the first message.
        """
        client = self.server.connect(address=f"192.0.2.{last}", origin=ORIGIN)
        client.send(json.dumps({"type": "auth", "token": token}))
        return client


@pytest.mark.parametrize("way", ["connect", "browse"])
def test_connections_of_a_user(portal: Portal, way: str) -> None:
    """
    A user has no more connections than one client may have, from any addresses. Other
    users behind the same address have their own limit.
    """
    world = World(portal, max_address_connections=2, ping_interval=0.0)
    log_in = getattr(world, way)
    first = log_in(1, "alpha")
    log_in(2, "alpha")
    if way == "connect":
        with pytest.raises(HandshakeRefused) as caught:
            log_in(3, "alpha")
        assert caught.value.status == 429
    else:
        assert log_in(3, "alpha").closed == (
            1013,
            "too many connections from this client",
        )
    for last in (1, 2):
        assert log_in(last, "beta").closed is None
    assert world.accounts == 2
    first.close()
    assert log_in(3, "alpha").closed is None


def test_rates_of_a_user(portal: Portal) -> None:
    """
    All connections of a user share one meter, and no other user's.
    """
    world = World(portal, max_address_message_rate=1, cool_down=5.0)
    ann = [world.connect(1, "alpha"), world.browse(2, "alpha")]
    bob = world.connect(1, "beta")
    for count in range(11):
        ann[count % 2].send("x")
    assert [client.closed is None for client in ann] == [False, True]
    bob.send("x")
    assert bob.closed is None
    with pytest.raises(HandshakeRefused):
        world.connect(3, "alpha")
    world.connect(3, "beta")


def test_given_back(portal: Portal) -> None:
    """
    However a login ends, its connection leaves each account: when the login fails, when
    the client leaves while it waits, when the connection closes.
    """
    world = World(portal)
    world.connect(1, "alpha").close()
    world.browse(1, "alpha").drop()
    world.browse(1, "wrong")
    with pytest.raises(HandshakeRefused):
        world.connect(1, "wrong")
    world.server.connect(address="192.0.2.1", origin=ORIGIN).drop()
    world.server.advance(60)
    assert world.accounts == 0
