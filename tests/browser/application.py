"""
The application that the tests of wsplug.js serve with C{--app application.py}: channels
as the bundled applications speak of them, and orders to do what goes wrong elsewhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.python.failure import Failure
from twisted.web.resource import IResource
from zope.interface import implementer

from wsplug import Option, WebSocketProtocol
from wsplug.broker import Channels, History, Position, Publication
from wsplug.errors import BrokerError
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)

__all__ = ["channels"]


def encode(channel: str, publication: Publication) -> str:
    """
    Make the message for a publication.
    """
    message = json.loads(publication.data)
    if publication.isStored:
        message["offset"] = publication.offset
    return json.dumps({"type": "message", "channel": channel, **message})


def encodeGap(channel: str, count: int) -> str:
    """
    Make the message for what was missed.
    """
    return json.dumps({"type": "gap", "channel": channel, "count": count})


class Connection(WebSocketProtocol):
    """
    One connection.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def textMessageReceived(self, text: str) -> None:
        if not text.startswith("{"):
            self.transport.sendTextMessage(text)
            return
        message = json.loads(text)
        kind = message.get("type", "")
        self._application.seen.append(kind)
        if self._application.mute[kind] > 0:
            self._application.mute[kind] -= 1
            return
        answer: Callable[[Any], Any] | None = getattr(self, f"do_{kind}", None)
        if answer is None:
            self.refuse(message, "unknown-type", f"no type {kind!r}")
            return
        answer(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)

    def connectionLost(self, reason: Failure) -> None:
        self._application.channels.leaveAll(self.transport)

    def answer(self, message: Any, kind: str, /, **values: Any) -> None:
        request = {"request": message["request"]} if "request" in message else {}
        text = json.dumps({"type": kind, **values, **request})
        self.transport.sendTextMessage(text)

    def refuse(self, message: Any, code: str, words: str) -> None:
        self.answer(message, "error", code=code, message=words)

    # Channels

    def do_subscribe(self, message: Any) -> None:
        channel = message["channel"]
        if channel == "secret":
            self.refuse(message, "forbidden", "it is secret")
            return
        since = message.get("since")
        position = Position(since["offset"], since["epoch"]) if since else None
        try:
            joined = self._application.channels.join(
                self.transport, channel, position, None if since else 0
            )
        except ValueError as error:
            self.refuse(message, "subscribed", str(error))
            return
        joined.addCallback(self.joined, message, channel)

        def failed(failure: Failure) -> None:
            failure.trap(BrokerError)
            self.refuse(message, "unavailable", "try again later")

        joined.addErrback(failed)

    def joined(self, history: History, message: Any, channel: str) -> None:
        messages = [json.loads(encode(channel, each)) for each in history.publications]
        self.answer(
            message,
            "subscribed",
            channel=channel,
            position={
                "offset": history.position.offset,
                "epoch": history.position.epoch,
            },
            recovered=history.isComplete,
            messages=messages,
        )

    def do_unsubscribe(self, message: Any) -> None:
        self._application.channels.leave(self.transport, message["channel"])
        self.answer(message, "unsubscribed", channel=message["channel"])

    do_enter = do_subscribe
    do_exit = do_unsubscribe

    def do_hello(self, message: Any) -> None:
        self.answer(message, "welcome", name=message["name"])

    def do_join(self, message: Any) -> None:
        room = message["room"]
        self.answer(message, "joined", room=room)
        # As the chat does: not all that comes in a room is what somebody says.
        for each in (
            {"type": "presence", "room": room, "event": "joined", "name": "Ann"},
            {"type": "usermsg", "room": room, "message": "Hi"},
        ):
            self.transport.sendTextMessage(json.dumps(each))

    def do_publish(self, message: Any) -> None:
        data = json.dumps({"data": message["data"]}).encode()
        store = message.get("store", True)
        published = self._application.broker.publish(message["channel"], data, store)
        published.addCallback(lambda _: self.answer(message, "published"))

    # Orders

    def do_echo(self, message: Any) -> None:
        self.answer(message, "echo", data=message.get("data"))

    def do_mute(self, message: Any) -> None:
        """Answer nothing the next time that something is asked for, or more often."""
        self._application.mute[message["kind"]] += message.get("times", 1)
        self.answer(message, "muted")

    def do_seen(self, message: Any) -> None:
        """Tell the types of all messages that have come."""
        self.answer(message, "seen", types=self._application.seen)

    def do_reset(self, message: Any) -> None:
        """Forget what has come, and answer again."""
        self._application.seen.clear()
        self._application.mute.clear()
        self.answer(message, "reset")

    def do_say(self, message: Any) -> None:
        """Send texts as they are, then the answer."""
        for text in message["texts"]:
            self.transport.sendTextMessage(text)
        self.answer(message, "said")

    def do_close(self, message: Any) -> None:
        self.transport.loseConnection(message["code"], message.get("reason", ""))

    def do_abort(self, message: Any) -> None:
        self.transport.abortConnection()


@implementer(IWebSocketApplication)
class Application:
    """
    All connections.
    """

    subprotocols: Sequence[str] = ("wsplug.chat.v1",)
    pages: str | IResource | None = str(Path(__file__).with_name("pages"))

    def __init__(self, services: IServices) -> None:
        self.broker = services.broker
        self.channels = Channels(services.broker, services.clock, encode, encodeGap)
        self.seen: list[str] = []
        self.mute: Counter[str] = Counter()

    def buildProtocol(self, request: IHandshakeRequest) -> Connection:
        return Connection(self)

    def startApplication(self) -> None:
        pass

    def stopApplication(self) -> None:
        pass


@implementer(IWebSocketApplicationPlugin)
class Plugin:
    """
    Makes it.
    """

    name = "channels"
    help = "Channels, and orders to do what goes wrong elsewhere."
    options: Sequence[Option] = ()

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> Application:
        return Application(services)


channels = Plugin()
