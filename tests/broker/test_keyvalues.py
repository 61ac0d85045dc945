"""
The store of keys and values that each application has, for each broker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.broker.conftest import KINDS, SMALL, downgrade, makeBroker, result
from wsplug import Application, WebSocket
from wsplug.broker import SqliteBroker
from wsplug.broker.keyvalues import MAX_KEY_SIZE, MAX_STORE_SIZE
from wsplug.broker.valuetable import ENTRY_OVERHEAD
from wsplug.errors import BrokerError, StoreFull
from wsplug.interfaces import IBroker, IKeyValueStore
from wsplug.testing import MemoryServer


def test_keys_and_values(broker: IBroker) -> None:
    """
    What is set is there until it is set anew or deleted, for its own application only.
    """
    store: Any = broker.openStore("quiz")
    other = broker.openStore("other")
    assert verifyObject(IKeyValueStore, store)
    assert result(store.get("a")) is None
    result(store.set("a", b"1"))
    result(store.set("b", bytearray(b"\0\xff")))
    assert result(store.get("a")) == b"1"
    assert result(store.get("b")) == b"\0\xff"
    result(store.set("a", b""))
    assert result(store.get("a")) == b""
    assert result(broker.openStore("quiz").get("b")) == b"\0\xff"
    assert result(other.items()) == {}
    assert result(store.delete("a")) is True
    assert result(store.delete("a")) is False
    assert result(store.items()) == {"b": b"\0\xff"}


def test_prefixes(broker: IBroker) -> None:
    """
    Keys with a prefix come sorted, and no others.
    """
    store = broker.openStore("quiz")
    for key in ("b", "a/2", "a/1", "a", "a/\U0001f600", "a/é", "%", "a0"):
        result(store.set(key, key.encode()))
    found: Mapping[str, bytes] = result(store.items("a/"))
    assert list(found) == ["a/1", "a/2", "a/é", "a/\U0001f600"]
    assert len(result(store.items())) == 8
    assert result(store.items("c")) == {}


def test_changed_afterwards(broker: IBroker) -> None:
    """
    A buffer may be changed once it is given away.
    """
    store: Any = broker.openStore("quiz")
    buffer = bytearray(b"old")
    done = store.set("a", buffer)
    buffer[:] = b"new"
    result(done)
    assert result(store.get("a")) == b"old"


def test_wrong(broker: IBroker) -> None:
    """
    Keys are texts that UTF-8 can encode, within their length; values are bytes.
    """
    store: Any = broker.openStore("quiz")
    for key, error in (
        (b"a", TypeError),
        ("\ud800", ValueError),
        ("é" * 513, ValueError),
    ):
        for call in (store.get, store.delete, store.items, lambda k: store.set(k, b"")):
            with pytest.raises(error):
                call(key)
    result(store.set("é" * (MAX_KEY_SIZE // 2), b""))
    for value in ("text", 5, None):
        with pytest.raises(TypeError):
            store.set("a", value)


def test_full(broker: IBroker) -> None:
    """
    An application's keys and values have a limit together. What doesn't fit changes
    nothing, and what is deleted or becomes smaller makes room.
    """
    store = broker.openStore("quiz")
    most = MAX_STORE_SIZE - 2 * (ENTRY_OVERHEAD + 1)
    result(store.set("a", bytes(most - 10)))
    result(store.set("b", bytes(10)))
    with pytest.raises(StoreFull, match=rf"b: 11 bytes .* at most {MAX_STORE_SIZE}"):
        result(store.set("b", bytes(11)))
    assert result(store.get("b")) == bytes(10)
    result(broker.openStore("other").set("b", bytes(11)))
    result(store.set("a", b""))
    result(store.set("b", bytes(11)))
    result(store.delete("b"))
    result(store.set("b", bytes(most)))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "delete", "get", "items"]),
            st.text("ab/\0é", max_size=3),
            st.binary(max_size=4),
        ),
        max_size=20,
    )
)
def test_like_a_dictionary(calls: list[tuple[str, str, bytes]]) -> None:
    """
    Both kinds answer as a dictionary would.
    """
    clock = Clock()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "broker.db"
        brokers = [makeBroker(kind, clock, path, SMALL) for kind in KINDS]
        _compare([broker.openStore("quiz") for broker in brokers], calls)
        for broker in brokers:
            result(broker.stop())


def _compare(stores: list[Any], calls: list[tuple[str, str, bytes]]) -> None:
    expected: dict[str, bytes] = {}
    for call, key, value in calls:
        wanted: object = None
        if call == "set":
            expected[key] = value
        elif call == "delete":
            wanted = expected.pop(key, None) is not None
        elif call == "get":
            wanted = expected.get(key)
        else:
            wanted = {k: v for k, v in sorted(expected.items()) if k.startswith(key)}
        for store in stores:
            arguments = (key, value) if call == "set" else (key,)
            assert result(getattr(store, call)(*arguments)) == wanted


def test_outlives_the_process(clock: Clock, tmp_path: Path) -> None:
    """
    What an SQLite broker stores is there after a restart, counted as before.
    """
    path = tmp_path / "broker.db"
    broker = makeBroker("sqlite", clock, path, SMALL)
    result(broker.openStore("quiz").set("a", bytes(1000)))
    result(broker.stop())
    broker = makeBroker("sqlite", clock, path, SMALL)
    store = broker.openStore("quiz")
    assert result(store.items()) == {"a": bytes(1000)}
    with pytest.raises(StoreFull):
        result(store.set("b", bytes(MAX_STORE_SIZE - 1000 - 2 * ENTRY_OVERHEAD)))
    result(broker.stop())


def test_trouble(clock: Clock, tmp_path: Path) -> None:
    """
    A file that can't be used fails the call, and no more.
    """
    path = tmp_path / "broker.db"
    broker = makeBroker("sqlite", clock, path, SMALL)
    assert isinstance(broker, SqliteBroker)
    store = broker.openStore("quiz")
    result(store.set("a", b"1"))
    broker._store._opened.execute("ALTER TABLE entries RENAME TO hidden")
    calls: list[Deferred[Any]] = [store.get("a"), store.set("a", b"2"), store.items()]
    for call in calls:
        with pytest.raises(BrokerError, match=r"quiz: .*no such table"):
            result(call)
    broker._store._opened.execute("ALTER TABLE hidden RENAME TO entries")
    assert result(store.get("a")) == b"1"
    result(broker.stop())
    with pytest.raises(AssertionError):
        result(store.get("a"))


def test_older_file(clock: Clock, tmp_path: Path) -> None:
    """
    A file of the version before gets the table.
    """
    path = tmp_path / "broker.db"
    broker = makeBroker("sqlite", clock, path, SMALL)
    published = result(broker.publish("a", b"one"))
    result(broker.stop())
    with closing(sqlite3.connect(path)) as database:
        downgrade(database)
        database.commit()
    broker = makeBroker("sqlite", clock, path, SMALL)
    result(broker.openStore("quiz").set("a", b"1"))
    kept = result(broker.history("a")).publications
    assert [each.data for each in kept] == [published.data]
    result(broker.stop())


class Scores(Application):
    """
    Count what each name says.
    """

    async def received(self, socket: WebSocket, message: str | bytes) -> None:
        assert isinstance(message, str)
        store = self.services.store
        count = int(await store.get(message) or b"0") + 1
        await store.set(message, str(count).encode())
        await socket.send(str(count))


def test_services() -> None:
    """
    Applications find their own store in their services; it lasts as long as the broker.
    """
    server = MemoryServer(Scores)
    client = server.connect()
    for name in ("Ann", "Bob", "Ann"):
        client.send(name)
    assert client.messages == ["1", "1", "2"]
    again = MemoryServer(Scores, broker=server.broker).connect()
    again.send("Ann")
    assert again.messages == ["3"]
    kept: Mapping[str, bytes] = result(server.broker.openStore("scores").items())
    assert kept == {"Ann": b"3", "Bob": b"1"}
