"""Clients of channels: members of the chat's rooms, subscribers, and publishers.

They reconnect, and resume where they were.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from tests.soak.client import Client
from tests.soak.connection import HOST, Connection, Message, Wrong

__all__ = ["Chat", "Classic", "Publisher", "Subscriber"]

_FILLER: Final = (
    "weather is what people talk about when nothing else comes to mind " * 3
)

ROOM: Final = 20
"""The average number of members of a room or channel."""


class _Member(Client):
    """A client that is in channels.

    @ivar positions: by channel, its last position: offset and epoch.
    """

    needsToSettle = True

    def __init__(self, crowd: Any, number: int) -> None:
        super().__init__(crowd, number)
        self.positions: dict[str, tuple[int, str]] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._request = 0
        self._joining = ""
        self._early: list[dict[str, Any]] = []

    async def ask(self, connection: Connection, **asked: Any) -> dict[str, Any]:
        """Send a request, and wait for the answer."""
        self._request = number = self._request + 1
        connection.send(json.dumps({**asked, "request": number}))
        await connection.until(
            lambda: number in self._answers, f"{asked['type']}: answer"
        )
        answer = self._answers.pop(number)
        if answer["type"] == "error":
            raise Wrong(f"{asked['type']}: {answer['code']} {answer['message']}")
        return answer

    def read(self, message: Message) -> None:
        """Handle incoming messages."""
        read = json.loads(message)
        if "offset" in read:
            self.arrived(read)
        elif read.get("request") is not None:
            if read["type"] in ("joined", "subscribed"):
                # At once: later messages were published after it.
                self.entered(read)
            self._answers[read["request"]] = read
        elif read["type"] in ("gap", "error"):
            raise Wrong(f"{read}")

    def nameOf(self, message: dict[str, Any]) -> str:
        """Give the ledger's name for a message's channel."""
        raise NotImplementedError

    def textOf(self, message: dict[str, Any]) -> str:
        raise NotImplementedError

    def arrived(self, message: dict[str, Any]) -> None:
        """Record a publication."""
        name = self.nameOf(message)
        if name not in self.positions:
            raise Wrong(f"{name}: something came, and nobody had asked")
        last, epoch = self.positions[name]
        ledger = self.crowd.ledger
        offset = ledger.see(name, last, message["offset"], self.textOf(message))
        self.positions[name] = offset, epoch

    def entered(self, answer: dict[str, Any]) -> None:
        """Record the answer to joining, with everything missed since the last
        position.
        """
        name = self.nameOf(answer)
        position = answer["position"]
        now = position["offset"], position["epoch"]
        if name in self.positions:
            if not answer["recovered"]:
                raise Wrong(f"{name}: not recovered from {self.positions[name]}")
            for message in answer["messages"]:
                self.arrived(message)
            if self.positions[name] != now:
                raise Wrong(
                    f"{name}: recovered up to {self.positions[name]}, not {now}"
                )
        self.positions[name] = now

    def since(self, name: str) -> dict[str, Any]:
        """Give the parameters that ask for everything since the last position."""
        if name not in self.positions:
            return {}
        offset, epoch = self.positions[name]
        return {"since": {"offset": offset, "epoch": epoch}}

    async def settle(self, connection: Connection) -> None:
        """Make sure that everything has arrived: whatever precedes the answer to a
        new request is all of it.
        """
        if self.crowd.finishing.is_set():
            await self.ask(connection, type="ping")
            for name in self.here():
                self.crowd.ledger.end(name, self.positions[name][0])
            self.isSettled = True

    def here(self) -> list[str]:
        """Give the channels that the client is in, by the ledger's names."""
        raise NotImplementedError


class Chat(_Member):
    """Is in two rooms, and sends messages now and then."""

    application = "chat"
    pace = 8.0

    def __init__(self, crowd: Any, number: int) -> None:
        super().__init__(crowd, number)
        self.rooms: list[str] = []
        self._said = 0
        self._unanswered: dict[str, str] = {}

    def choose(self, count: int) -> None:
        """Choose the rooms.

        @param count: how many there are.
        """
        self.rooms = [f"room-{room}" for room in self.random.sample(range(count), 2)]

    def nameOf(self, message: dict[str, Any]) -> str:
        return f"chat {message['room']}"

    def textOf(self, message: dict[str, Any]) -> str:
        return str(message["message"])

    def here(self) -> list[str]:
        return [f"chat {room}" for room in self.rooms]

    def arrived(self, message: dict[str, Any]) -> None:
        super().arrived(message)
        if message.get("ref") in self._unanswered:
            # It was received before the connection was lost.
            text = self._unanswered.pop(message["ref"])
            self.crowd.ledger.say(self.nameOf(message), text)
            self.crowd.speaking -= 1

    async def session(self) -> None:
        headers = "Sec-WebSocket-Protocol: wsplug.chat.v1\r\n"
        connection = await self.connect(f"/chat/{self.rooms[0]}", headers=headers)
        connection.take = self.read
        self._answers.clear()
        key = f"a secret of the client {self.number}"
        await self.ask(connection, type="hello", name=f"Ann{self.number}", key=key)
        for room in self.rooms:
            await self.join(connection, room)
        await self.sayAgain(connection)
        end = self.lasts()
        while not self.isOver(end):
            await self.rest()
            chance = self.random.random()
            room = self.random.choice(self.rooms)
            if self.crowd.hushed.is_set():
                continue
            if chance < 0.8:
                await self.say(connection, room)
            elif chance < 0.9:
                connection.send(json.dumps({"type": "typing", "room": room}))
            elif chance < 0.95:
                await self.ask(connection, type="leave", room=room)
                await self.rest()
                await self.join(connection, room)
            else:
                await self.breakOff(connection, room)
                return
        await self.settle(connection)
        await self.go(connection)

    async def join(self, connection: Connection, room: str) -> None:
        since = self.since(f"chat {room}")
        await self.ask(connection, type="join", room=room, **since)

    def text(self) -> str:
        """Make up a text to send."""
        self._said += 1
        size = self.random.randint(0, len(_FILLER))
        return f"{self.number} {self._said} {_FILLER[:size]}."

    async def say(self, connection: Connection, room: str) -> None:
        self.crowd.speaking += 1
        text = self.text()
        try:
            await self.ask(connection, type="usermsg", room=room, message=text)
            self.crowd.ledger.say(f"chat {room}", text)
        finally:
            self.crowd.speaking -= 1

    async def breakOff(self, connection: Connection, room: str) -> None:
        """Send a message, and disconnect before the answer."""
        text, ref = self.text(), f"{self.number}-{self._said}"
        self._unanswered[ref] = text
        self.crowd.speaking += 1
        message = {"type": "usermsg", "room": room, "message": text, "ref": ref}
        connection.send(json.dumps(message))
        self._lost = room
        await asyncio.sleep(0)
        await connection.reset()
        self.count(connection, 1006, "peer")

    async def sayAgain(self, connection: Connection) -> None:
        """Resend messages lost with a connection.

        The server knows each by its C{ref}, and publishes it once.
        """
        for ref, text in list(self._unanswered.items()):
            await self.ask(
                connection, type="usermsg", room=self._lost, message=text, ref=ref
            )
            if self._unanswered.pop(ref, None) is not None:
                self.crowd.ledger.say(f"chat {self._lost}", text)
                self.crowd.speaking -= 1

    _lost = ""


class Classic(Client):
    """A classic chat client: its room is the path, and its own messages come back.

    @ivar room: a room shared with a few others.
    """

    application = "chat"

    def __init__(self, crowd: Any, number: int) -> None:
        super().__init__(crowd, number)
        self.room = ""
        self._said = 0
        self._back = 0
        self._others: dict[str, int] = {}

    def read(self, message: Message) -> None:
        read = json.loads(message)
        if read["type"] == "error":
            raise Wrong(f"{read}")
        if read["type"] != "usermsg":
            return
        sender, sequence = read["message"].split(" ")
        if sender == str(self.number):
            self._back = int(sequence)
            return
        # While both are here, no messages of either are missing.
        last = self._others.get(sender)
        if last is not None and int(sequence) != last + 1:
            raise Wrong(f"{sender} said {sequence} behind {last}")
        self._others[sender] = int(sequence)

    async def session(self) -> None:
        self._others.clear()
        connection = await self.connect(f"/chat/{self.room}")
        connection.take = self.read
        end = self.lasts()
        while not self.isOver(end):
            self._said += 1
            said = {
                "name": f"Bea{self.number}",
                "message": f"{self.number} {self._said}",
                "color": "F00",
            }
            connection.send(json.dumps(said))
            await connection.until(
                lambda: self._back == self._said, "what was said came back"
            )
            await self.rest()
        await self.go(connection)


class Subscriber(_Member):
    """
    Subscribes to channels.
    """

    application = "push"
    pace = 10.0

    def __init__(self, crowd: Any, number: int) -> None:
        super().__init__(crowd, number)
        self.channels: list[str] = []

    def choose(self, count: int) -> None:
        """
        Choose the channels.

        @param count: how many there are.
        """
        self.channels = [f"ch-{index}" for index in self.random.sample(range(count), 2)]

    def nameOf(self, message: dict[str, Any]) -> str:
        return f"push {message['channel']}"

    def textOf(self, message: dict[str, Any]) -> str:
        return str(message["data"]["text"])

    def here(self) -> list[str]:
        return [f"push {channel}" for channel in self.channels]

    async def session(self) -> None:
        connection = await self.connect("/push/")
        connection.take = self.read
        self._answers.clear()
        for channel in self.channels:
            await self.join(connection, channel)
        end = self.lasts()
        while not self.isOver(end):
            await self.rest()
            if self.random.random() < 0.2:
                channel = self.random.choice(self.channels)
                await self.ask(connection, type="unsubscribe", channel=channel)
                await self.rest()
                await self.join(connection, channel)
            else:
                await self.ask(connection, type="ping")
        await self.settle(connection)
        await self.go(connection)

    async def join(self, connection: Connection, channel: str) -> None:
        since = self.since(f"push {channel}")
        await self.ask(connection, type="subscribe", channel=channel, **since)


class Publisher(Client):
    """Publishes over HTTP, in channels of its own."""

    application = "push"

    def __init__(self, crowd: Any, number: int) -> None:
        super().__init__(crowd, number)
        self.channels: list[str] = []
        self._said = 0
        self._offsets: dict[str, int] = {}

    async def session(self) -> None:
        self.hasBegun = True
        while not self.crowd.hushed.is_set():
            self.crowd.speaking += 1
            try:
                count = min(4, len(self.channels))
                await self.publish(self.random.sample(self.channels, count))
            finally:
                self.crowd.speaking -= 1
            await self.pause(self.crowd.hushed, 0.4)
        await self.pause(self.crowd.finishing, 30)

    async def publish(self, channels: list[str]) -> None:
        """Publish data in some channels with one request."""
        self._said += 1
        size = self.random.randint(0, len(_FILLER))
        text = f"publisher{self.number} {self._said} {_FILLER[:size]}"
        data = {"text": text, "time": time.time()}
        body = json.dumps([{"channels": channels, "data": data}]).encode()
        status, answer = await self.post(body)
        if status != 200:
            raise Wrong(f"publishing: {status} {answer[:100]!r}")
        for one in json.loads(answer)["published"]:
            channel, offset = one["channel"], one["position"]["offset"]
            last = self._offsets.get(channel)
            if last is not None and offset != last + 1:
                raise Wrong(f"{channel}: {offset} was published behind {last}")
            self._offsets[channel] = offset
            self.crowd.ledger.say(f"push {channel}", text, offset)

    async def post(self, body: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(
            HOST, self.crowd.plain, local_addr=(self.address, 0)
        )
        try:
            writer.write(
                b"POST /push/publish HTTP/1.1\r\nHost: localhost\r\n"
                b"Authorization: Bearer %s\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (self.crowd.token.encode(), len(body), body)
            )
            answer = await asyncio.wait_for(reader.read(), 30)
        except asyncio.TimeoutError:
            raise Wrong("publishing: no answer in time") from None
        finally:
            writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        self.crowd.counts["pages"] += 1
        return int(head.split()[1]), rest
