"""
Rooms: the connections of an application that get what is sent to a name, over the
broker's channels.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger

from wsplug.authoring.coroutine import WebSocket
from wsplug.authoring.messages import (
    NOBODY,
    RoomMessage,
    encodeJoined,
    encodeLeft,
    encodePositioned,
    pack,
    unpack,
)
from wsplug.broker import (
    Backlog,
    ChannelRetention,
    Channels,
    History,
    Position,
    Publication,
)
from wsplug.interfaces import IServices, IWebSocketTransport
from wsplug.jsonmessages import RequestId, RequestRefused, WirePosition, write
from wsplug.shielding import shielded

__all__ = ["Room", "Rooms"]


class _Membership:
    """
    A connection in a room.

    @ivar key: its key in the presence; C{None} if it has none, or hasn't it yet.
    @ivar hasLeft: whether it is over.
    """

    __slots__ = ("hasLeft", "key")

    def __init__(self) -> None:
        self.key: str | None = None
        self.hasLeft = False


class Room:
    """
    A room of an application. It has the connections that have joined it, on this server
    and on all others that share its broker.

    Messages come to all members in the same order. The room keeps the last ones, as
    long as the broker keeps them (C{--history-count} and the other options for
    history).

    If the application's C{recovery} is true, clients can recover what they have missed,
    for instance with C{wsplug.js}. Each message is a JSON object then, and has two more
    keys: C{room}, and C{offset} if it is stored. A connection that joins gets the
    history in one message::

        {"type": "joined", "room": "lobby", "request": 1, "recovered": true,
         "position": {"offset": 5, "epoch": "ab"}, "messages": […]}

    A client that comes again gives its last position, and the application passes it to
    L{join} as C{since}.

    @ivar name: the room's name.
    @ivar channel: the name of its channel in the broker.
    """

    _log = Logger()

    def __init__(self, rooms: Rooms, name: str) -> None:
        self.name = name
        self.channel = rooms.prefix + name
        self._rooms = rooms
        self._broker = rooms.services.broker
        self._members: dict[WebSocket, _Membership] = {}

    def __repr__(self) -> str:
        return f"<Room {self.name!r}>"

    # Members

    @property
    def count(self) -> int:
        """
        How many connections of this server are in it.
        """
        return len(self._members)

    def __contains__(self, socket: object) -> bool:
        """
        Tell whether a connection is in it.
        """
        return socket in self._members

    async def join(
        self,
        socket: WebSocket,
        *,
        key: str | None = None,
        info: object = None,
        limit: int | None = None,
        since: Position | WirePosition | None = None,
        request: RequestId = None,
    ) -> History:
        """
        Let a connection join. It gets what the room has of the past, and then each
        message. It leaves when it ends, at the latest.

        @param key: adds the connection to the presence, under a key that is unique in
            the room.
        @param info: what others can read in the presence: anything that msgspec can
            encode as JSON.
        @param limit: how many messages of the past it gets at most: without C{since},
            none by default.
        @param since: the position from which a client goes on. It gets all messages
            after it. If some of them are gone, it is told: by C{"recovered": false}
            with C{recovery}, otherwise by what C{missed} makes.
        @param request: the client's identifier for its request, for the answer that
            C{recovery} sends.
        @return: the channel's history that the connection has got: nothing of it if the
            connection has left the room meanwhile.
        @raise RequestRefused: the connection is in the room already; the key is taken,
            or longer than 200 characters.
        @raise ConnectionClosed: the connection is closed.
        @raise wsplug.errors.BrokerError: the broker fails.
        """
        socket.check()
        if key is not None:
            _checkLength("key", key)
        if socket in self._members:
            raise RequestRefused("already-there", f"you are in {self.name} already")
        membership = self._members[socket] = _Membership()
        socket.whenEnded(self, lambda: self._leave(socket))
        try:
            if key is not None:
                await self._enter(membership, key, write(info).encode("utf-8"))
            socket.check()
            if membership.hasLeft:
                return await self._broker.history(self.channel, None, 0)
            history = await self._subscribe(socket, membership, limit, since, request)
            socket.check()
            return history
        except BaseException:
            if self._members.get(socket) is membership:
                self._leave(socket)
            raise

    async def _enter(self, membership: _Membership, key: str, info: bytes) -> None:
        def entered(isFree: bool) -> bool:
            if isFree and membership.hasLeft:
                self._release(key)
            elif isFree:
                membership.key = key
            return isFree

        # The caller may be cancelled while it waits. The key has to be free again then.
        entering = self._broker.enter(self.channel, key, info).addCallback(entered)
        if not await shielded(entering):
            raise RequestRefused("key-taken", f"{key!r} is in {self.name} already")

    async def _subscribe(
        self,
        socket: WebSocket,
        membership: _Membership,
        limit: int | None,
        since: Position | WirePosition | None,
        request: RequestId,
    ) -> History:
        position = since.position() if isinstance(since, WirePosition) else since
        if limit is None and position is None:
            limit = 0
        joining = self._rooms.subscribe(socket, self.channel, position, limit)

        def show(history: History) -> History:
            messages = self._encodeAll(history)
            first = self._fit(socket, messages)
            if first:
                history = History(history.publications[first:], history.position, False)
            if not membership.hasLeft:
                recovers = position is not None
                self._show(socket, history, messages[first:], recovers, request)
            return history

        # Sent at once, so that it comes before all that is new.
        shown: History = await joining.addCallback(show)
        return shown

    def _encodeAll(self, history: History) -> list[str | bytes]:
        return [
            self._rooms.encode(self.name, unpack(each.data).message, each)
            for each in history.publications
        ]

    def _fit(self, socket: WebSocket, messages: Sequence[str | bytes]) -> int:
        """
        Find out how many of the oldest messages don't fit into the backlog.
        """
        room = self._rooms.backlog.size - socket.transport.bufferedAmount
        first = len(messages)
        while first:
            last = messages[first - 1]
            room -= len(last.encode() if isinstance(last, str) else last)
            if room < 0:
                break
            first -= 1
        return first

    def _show(
        self,
        socket: WebSocket,
        history: History,
        messages: list[str | bytes],
        recovers: bool,
        request: RequestId,
    ) -> None:
        transport = socket.transport
        if self._rooms.recovery:
            texts = [each for each in messages if isinstance(each, str)]
            recovered = history.isComplete if recovers else None
            transport.sendTextMessage(
                encodeJoined(self.name, history.position, texts, request, recovered)
            )
            return
        if recovers and not history.isComplete:
            gap = self._rooms.missed(self, None)
            messages[:0] = [] if gap is None else [gap]
        for message in messages:
            if isinstance(message, str):
                transport.sendTextMessage(message)
            else:
                transport.sendBytesMessage(message)

    async def leave(self, socket: WebSocket, *, request: RequestId = None) -> None:
        """
        Let a connection leave. Does nothing if it isn't in the room.

        @param request: the client's identifier for its request. With one, the client
            gets the answer C{{"type":"left","room":"lobby","request":2}}.
        """
        self._leave(socket)
        if request is not None:
            await socket.send(encodeLeft(self.name, request))

    def _leave(self, socket: WebSocket) -> None:
        membership = self._members.pop(socket, None)
        if membership is None:
            return
        membership.hasLeft = True
        socket.forgetEnding(self)
        self._rooms.unsubscribe(socket, self.channel)
        if membership.key is not None:
            self._release(membership.key)

    def _release(self, key: str) -> None:
        """
        Leave the presence.
        """
        leaving = self._broker.leave(self.channel, key)
        leaving.addErrback(
            lambda failure: self._log.warn(
                "{key} can't leave {channel}: {error}",
                key=key,
                channel=self.channel,
                error=failure.getErrorMessage(),
            )
        )

    @asynccontextmanager
    async def joined(
        self,
        socket: WebSocket,
        *,
        key: str | None = None,
        info: object = None,
        limit: int | None = None,
        since: Position | WirePosition | None = None,
        request: RequestId = None,
    ) -> AsyncIterator[History]:
        """
        Join the room for as long as a block lasts::

            async with room.joined(socket):
                async for message in socket:
                    await room.send(message)

        The parameters are those of L{join}.
        """
        history = await self.join(
            socket, key=key, info=info, limit=limit, since=since, request=request
        )
        try:
            yield history
        finally:
            self._leave(socket)

    # Messages

    async def send(
        self,
        message: str | bytes,
        *,
        exclude: WebSocket | None = None,
        store: bool = True,
    ) -> Position:
        """
        Send a message to all members.

        @param message: C{str} for a text message, bytes for a binary one.
        @param exclude: a connection that doesn't get it. (If its client recovers later,
            it gets it then.)
        @param store: whether the room keeps it.
        @return: the position after the message.
        @raise wsplug.errors.BrokerError: the broker fails, or the message is larger
            than what it keeps.
        """
        sender = NOBODY if exclude is None else self._rooms.senderOf(exclude)
        data = pack(message, sender)
        retention = self._rooms.retention
        publication = await self._broker.publish(self.channel, data, store, retention)
        return publication.position

    async def send_json(
        self, value: object, *, exclude: WebSocket | None = None, store: bool = True
    ) -> Position:
        """
        Send a value as JSON to all members, as L{send} does.

        @param value: whatever msgspec can encode.
        @raise TypeError: it can't encode this.
        """
        return await self.send(write(value), exclude=exclude, store=store)

    async def history(
        self, limit: int | None = None, since: Position | WirePosition | None = None
    ) -> list[RoomMessage]:
        """
        Read what the room keeps, without joining it.

        @param limit: at most this many messages, the latest ones.
        @param since: only those after this position, as far as they are there.
        @return: the messages, oldest first.
        @raise wsplug.errors.BrokerError: the broker fails.
        """
        position = since.position() if isinstance(since, WirePosition) else since
        history = await self._broker.history(self.channel, position, limit)
        return [RoomMessage.of(each) for each in history.publications]

    # Presence

    async def present(self) -> dict[str, Any]:
        """
        Read who is present, on all servers.

        @return: for each key, its C{info}, in the order of joining.
        @raise wsplug.errors.BrokerError: the broker fails.
        """
        present = await self._broker.presence(self.channel)
        return {key: _readInfo(info) for key, info in present.items()}

    async def update(self, socket: WebSocket, info: object) -> None:
        """
        Change what others can read of a connection in the presence. Does nothing if it
        has no key in the room.

        @raise wsplug.errors.BrokerError: the broker fails.
        """
        membership = self._members.get(socket)
        if membership is not None and membership.key is not None:
            data = write(info).encode("utf-8")
            await self._broker.update(self.channel, membership.key, data)


_MAX_LENGTH: Final = 200
"""
Characters that the name of a room and a key may have. They often come from clients.
"""


def _checkLength(what: str, name: str) -> None:
    if len(name) > _MAX_LENGTH:
        raise RequestRefused(
            "too-long", f"{what}: it may have at most {_MAX_LENGTH} characters"
        )


_infos: Final = msgspec.json.Decoder()


def _readInfo(info: bytes) -> Any:
    try:
        return _infos.decode(info)
    except (msgspec.MsgspecError, UnicodeError):
        return None  # another program's


class Rooms:
    """
    The rooms of an application.

    @ivar prefix: what the names of their channels begin with.
    @ivar recovery: whether clients can recover.
    @ivar retention: how much each room keeps; C{None} for what the server keeps.
    @ivar missed: makes the message that tells a client of a gap.
    """

    def __init__(
        self,
        services: IServices,
        prefix: str,
        *,
        backlog: Backlog,
        recovery: bool,
        retention: ChannelRetention | None,
        missed: Callable[[Room, int | None], str | bytes | None],
    ) -> None:
        """
        @param prefix: what the names of their channels begin with, without the slash
            after it.
        """
        self.services = services
        self.prefix = f"{prefix}/"
        self.backlog = backlog
        self.recovery = recovery
        self.retention = retention
        self.missed = missed
        self._rooms: WeakValueDictionary[str, Room] = WeakValueDictionary()
        self._sockets: dict[IWebSocketTransport, WebSocket] = {}
        # The connections that are excluded now and then, by their identifiers.
        self._senders: dict[bytes, WebSocket] = {}
        self._identifiers: dict[WebSocket, bytes] = {}
        self._channels: Channels | None = None

    def find(self, name: str) -> Room:
        """
        Return the room with a name.

        @raise TypeError: the name isn't a C{str}.
        @raise RequestRefused: it is too long.
        """
        if not isinstance(name, str):
            raise TypeError(f"a room's name must be a str, not {type(name).__name__}")
        _checkLength("room", name)
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(self, name)
        return room

    def encode(
        self, room: str, message: str | bytes, publication: Publication
    ) -> str | bytes:
        """
        Make what clients get of a publication.
        """
        if self.recovery:
            return encodePositioned(room, message, publication)
        return message

    def subscribe(
        self,
        socket: WebSocket,
        channel: str,
        since: Position | None,
        limit: int | None,
    ) -> Any:
        """
        Subscribe a connection to a channel; see L{Channels.join}.
        """
        if self._channels is None:
            self._channels = Channels(
                self.services.broker,
                self.services.clock,
                self._encode,
                self._encodeGap,
                self.backlog,
                exclude=self._excluded,
                attach=self._attach,
                detach=self._detach,
            )
        self._sockets[socket.transport] = socket
        return self._channels.join(socket.transport, channel, since, limit)

    def unsubscribe(self, socket: WebSocket, channel: str) -> None:
        """
        Undo L{subscribe}, if that was done.
        """
        if self._channels is not None:
            self._channels.leave(socket.transport, channel)

    def senderOf(self, socket: WebSocket) -> bytes:
        """
        Return the identifier of a connection.
        """
        if socket.closed is not None:
            return NOBODY
        identifier = self._identifiers.get(socket)
        if identifier is None:
            identifier = secrets.token_bytes(len(NOBODY))
            self._identifiers[socket] = identifier
            self._senders[identifier] = socket
            socket.whenEnded(self, lambda: self._forget(socket))
        return identifier

    def _forget(self, socket: WebSocket) -> None:
        del self._senders[self._identifiers.pop(socket)]

    # For the channels

    def _nameOf(self, channel: str) -> str:
        return channel[len(self.prefix) :]

    def _encode(self, channel: str, publication: Publication) -> str | bytes:
        message = unpack(publication.data).message
        return self.encode(self._nameOf(channel), message, publication)

    def _encodeGap(self, channel: str, count: int) -> str | bytes | None:
        return self.missed(self.find(self._nameOf(channel)), count)

    def _excluded(
        self, channel: str, publication: Publication
    ) -> IWebSocketTransport | None:
        if not self._senders:
            return None
        socket = self._senders.get(unpack(publication.data).sender)
        return None if socket is None else socket.transport

    def _attach(self, transport: IWebSocketTransport, producer: IPushProducer) -> None:
        self._sockets[transport].attach(producer)

    def _detach(self, transport: IWebSocketTransport) -> None:
        self._sockets.pop(transport).detach()
