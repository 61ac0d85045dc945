"""
People in a chat, and a broker that takes its time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from zope.interface import implementer

from wsplug.apps.chat import chat
from wsplug.apps.chat.protocol import SUBPROTOCOL
from wsplug.broker import History, MemoryBroker, Position, Publication, Retention
from wsplug.broker.retention import DEFAULT_RETENTION, ChannelRetention
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker, IKeyValueStore, ISubscriber
from wsplug.testing import MemoryClient, MemoryServer

__all__ = ["STEP", "Chat", "Client", "SlowBroker", "key"]

_T = TypeVar("_T")

STEP = 0.0625
"""
Seconds that a slow broker takes.
"""


def key(name: str) -> str:
    """
    The secret of somebody.
    """
    return f"the secret of {name}".ljust(16, ".")


@implementer(IBroker)
class SlowBroker:
    """
    A broker in memory, whose answers take a while, or don't come at all.

    @ivar delay: seconds that each answer takes; C{None} for none.
    @ivar broken: whether each fails.
    @ivar full: a part of the names of channels that nothing can be published to.
    @ivar published: how many times something was published.
    """

    def __init__(
        self,
        clock: Clock,
        delay: float | None = STEP,
        retention: Retention = DEFAULT_RETENTION,
    ) -> None:
        self._broker = MemoryBroker(clock, retention)
        self._clock = clock
        self.delay = delay
        self.broken = False
        self.full = ""
        self.published = 0

    def _later(self, done: Deferred[_T]) -> Deferred[_T]:
        if self.broken:
            done = Deferred()
            done.errback(BrokerError("the disk is full"))
        if self.delay is None:
            return done
        answer: Deferred[_T] = Deferred()
        self._clock.callLater(self.delay, done.chainDeferred, answer)
        return answer

    def openStore(self, application: str) -> IKeyValueStore:
        return self._broker.openStore(application)

    def start(self) -> Deferred[None]:
        return self._broker.start()

    def stop(self) -> Deferred[None]:
        return self._broker.stop()

    def publish(
        self,
        channel: str,
        data: bytes,
        store: bool = True,
        retention: ChannelRetention | None = None,
    ) -> Deferred[Publication]:
        if self.broken:
            return self._later(Deferred())
        if self.full and self.full in channel:
            return fail(BrokerError("the disk is full"))
        self.published += 1
        return self._later(self._broker.publish(channel, data, store, retention))

    def subscribe(self, channel: str, subscriber: ISubscriber) -> Deferred[Position]:
        return self._later(self._broker.subscribe(channel, subscriber))

    def unsubscribe(self, channel: str, subscriber: ISubscriber) -> Deferred[None]:
        return self._later(self._broker.unsubscribe(channel, subscriber))

    def history(
        self, channel: str, since: Position | None = None, limit: int | None = None
    ) -> Deferred[History]:
        return self._later(self._broker.history(channel, since, limit))

    def enter(self, channel: str, key: str, info: bytes = b"") -> Deferred[bool]:
        return self._later(self._broker.enter(channel, key, info))

    def update(self, channel: str, key: str, info: bytes) -> Deferred[bool]:
        return self._later(self._broker.update(channel, key, info))

    def leave(self, channel: str, key: str) -> Deferred[None]:
        return self._later(self._broker.leave(channel, key))

    def presence(self, channel: str) -> Deferred[Mapping[str, bytes]]:
        return self._later(self._broker.presence(channel))


class Client:
    """
    Somebody's connection.

    @ivar memory: the L{MemoryClient}.
    """

    def __init__(self, server: MemoryServer, memory: MemoryClient) -> None:
        self._server = server
        self.memory = memory
        self._request = 0
        self._read = 0

    def send(self, **message: Any) -> None:
        self.memory.send(json.dumps(message))

    @property
    def all(self) -> list[dict[str, Any]]:
        """
        All that has come so far.
        """
        return [json.loads(message) for message in self.memory.messages]

    def new(self, *types: str) -> list[dict[str, Any]]:
        """
        What has come since it was asked last, of some types or of all.
        """
        new = self.all[self._read :]
        self._read = len(self.all)
        return [each for each in new if not types or each["type"] in types]

    def ask(self, **message: Any) -> dict[str, Any]:
        """
        Send a request.

        @return: its answer, without the request's name.
        """
        self._request += 1
        self.send(request=self._request, **message)
        waited = 0.0
        while True:
            for each in self.all:
                if each.get("request") == self._request:
                    del each["request"]
                    return each
            assert waited < 30, f"no answer to {message}; {self.all}"
            self._server.advance(STEP)
            waited += STEP

    def said(self) -> list[tuple[str, str]]:
        """
        Who has said what, of what is new.
        """
        return [(each["name"], each["message"]) for each in self.new("usermsg")]


class Chat:
    """
    A chat and its people.
    """

    def __init__(
        self,
        *,
        slow: bool = False,
        retention: Retention = DEFAULT_RETENTION,
        server: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """
        @param slow: whether the broker takes its time.
        @param retention: what the broker keeps.
        @param server: what else the L{MemoryServer} is told.
        @param options: the chat's.
        """
        given: dict[str, object] = {
            name.replace("_", "-"): str(value) for name, value in options.items()
        }
        clock = Clock()
        clock.advance(1_000_000)
        broker = SlowBroker(clock, STEP if slow else None, retention)
        whole = {"clock": clock, "broker": broker, **(server or {})}
        self.broker: Any = whole["broker"]
        self.server = MemoryServer(chat, options=given, **whole)

    @property
    def service(self) -> Any:
        """
        The chat's parts, once somebody has connected.
        """
        application: Any = self.server.application
        return application.chat

    def classic(self, path: str = "/", address: str = "192.0.2.1") -> Client:
        """
        Connect a tutorial's client.
        """
        return self._wait(
            Client(self.server, self.server.connect(path, address=address))
        )

    def connect(self, path: str = "/", address: str = "192.0.2.1") -> Client:
        """
        Connect one that speaks the subprotocol.
        """
        memory = self.server.connect(path, subprotocols=[SUBPROTOCOL], address=address)
        return self._wait(Client(self.server, memory))

    def person(self, name: str, *rooms: str, path: str = "/", **hello: Any) -> Client:
        """
        Connect somebody, and have them in some rooms.
        """
        client = self.connect(path)
        welcome = client.ask(
            **{"type": "hello", "name": name, "key": key(name), **hello}
        )
        assert welcome["type"] == "welcome", welcome
        for room in rooms:
            joined = client.ask(type="join", room=room)
            assert joined["type"] == "joined", joined
        self.settle()
        client.new()
        return client

    def advance(self, seconds: float) -> None:
        self.server.advance(seconds)

    def settle(self) -> None:
        """
        Let the broker answer.
        """
        if getattr(self.broker, "delay", None) is not None:
            self.server.advance(20 * STEP)

    def _wait(self, client: Client) -> Client:
        self.settle()
        return client
