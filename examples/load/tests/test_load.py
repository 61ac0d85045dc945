"""The load of machines: who gets it, and what a client recovers."""

import json
from typing import Any

from wsplug_load import Load

from wsplug.testing import MemoryClient, MemoryServer


def serve(**more: Any) -> MemoryServer:
    return MemoryServer(Load, options={"host": "here", "past": "2"}, **more)


def watch(server: MemoryServer, host: str, **more: object) -> MemoryClient:
    client = server.connect()
    client.send(json.dumps({"type": "watch", "room": host, **more}))
    return client


def take(client: MemoryClient) -> list[Any]:
    """Take all messages, decoded."""
    found = [json.loads(message) for message in client.messages]
    client.messages.clear()
    return found


def test_figures() -> None:
    """Whoever watches a machine gets the last figures, and then each one."""
    server = serve()
    server.advance(5)
    client = watch(server, "here", request=1)
    (joined,) = take(client)
    assert joined["request"] == 1
    assert [figure["offset"] for figure in joined["messages"]] == [4, 5]
    server.advance(2)
    figures = take(client)
    assert [figure["offset"] for figure in figures] == [6, 7]
    assert {figure["room"] for figure in figures} == {"here"}
    assert all(figure["percent"] >= 0 for figure in figures)


def test_recovery() -> None:
    """A client that was away gets what it has missed."""
    server = serve()
    client = watch(server, "here")
    position = take(client)[0]["position"]
    client.drop()
    server.advance(3)
    (joined,) = take(watch(server, "here", since=position))
    assert joined["recovered"]
    assert len(joined["messages"]) == 3


def test_machines() -> None:
    """Servers with one broker show each other's machines, and each only where it is
    watched."""
    here = serve()
    there = MemoryServer(
        Load, options={"host": "there"}, broker=here.broker, clock=here.clock
    )
    client, other = watch(here, "there"), watch(there, "here")
    take(client), take(other)
    here.advance(1)
    there.run()
    assert [figure["room"] for figure in take(client)] == ["there"]
    assert [figure["room"] for figure in take(other)] == ["here"]


def test_ignoring() -> None:
    """A client may stop watching; watching twice is a mistake."""
    server = serve()
    client = watch(server, "here")
    client.send('{"type":"watch","room":"here","request":2}')
    assert take(client)[1]["code"] == "already-there"
    client.send('{"type":"ignore","room":"here","request":3}')
    assert take(client) == [{"type": "left", "room": "here", "request": 3}]
    server.advance(3)
    assert take(client) == []
