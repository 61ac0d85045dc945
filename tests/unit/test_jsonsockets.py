"""JSON in applications of coroutines and classes: typed, with errors answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from tests.server.kit import Logs
from wsplug import Application, ConnectionClosed, WebSocket, application
from wsplug.errors import BrokerError
from wsplug.jsonmessages import RequestId, RequestRefused
from wsplug.testing import MemoryClient, MemoryServer


class Add(msgspec.Struct, tag_field="type", tag="add"):
    a: int
    b: int
    request: RequestId = None


class Fail(msgspec.Struct, tag_field="type", tag="fail"):
    how: str
    request: RequestId = None


class Sum(msgspec.Struct, tag_field="type", tag="sum", omit_defaults=True):
    sum: int
    request: RequestId = None


def ask(client: MemoryClient, message: object) -> Any:
    """Send a message, as JSON unless it is text or bytes, and return the single
    answer."""
    plain = message if isinstance(message, (str, bytes)) else json.dumps(message)
    client.send(plain)
    (answer,) = client.messages
    client.messages.clear()
    return json.loads(answer)


WRONG = [
    ("nonsense", "not-json", None),
    (b'{"type":"add","a":1,"b":2}', "not-json", None),
    ({"type": "nonsense", "request": 5}, "unknown-type", 5),
    ({"type": "add", "a": "x", "b": 1, "request": "r"}, "invalid", "r"),
]


async def calculate(message: Add | Fail) -> Sum:
    if isinstance(message, Fail):
        if message.how == "broker":
            raise BrokerError("it is away")
        if message.how == "failure":
            raise RuntimeError("no")
        raise RequestRefused("too-hard", "ask another one")
    return Sum(message.a + message.b, message.request)


@application("coroutine")
async def coroutine(socket: WebSocket) -> None:
    async for message in socket.json(Add | Fail):
        async with socket.answering(message):
            await socket.send_json(await calculate(message))


class Serving(Application):
    async def serve(self, socket: WebSocket) -> None:
        await coroutine.target(socket)


class Events(Application):
    messages = Add | Fail

    async def received(self, socket: WebSocket, message: Add | Fail) -> None:
        await socket.send_json(await calculate(message))


class Plain(Application):
    """The same application without coroutines."""

    messages = Add | Fail

    def received(self, socket: WebSocket, message: Add | Fail) -> Deferred[None] | None:
        if isinstance(message, Fail):
            if message.how == "broker":
                raise BrokerError("it is away")
            if message.how == "failure":
                raise RuntimeError("no")
            raise RequestRefused("too-hard", "ask another one")
        answer = Sum(message.a + message.b, message.request)
        return Deferred.fromCoroutine(socket.send_json(answer))


EVERY = pytest.mark.parametrize("target", [coroutine, Serving, Events, Plain])


@EVERY
@pytest.mark.parametrize(("message", "code", "request_"), WRONG)
def test_what_does_not_fit(
    target: Any, message: object, code: str, request_: object
) -> None:
    """An invalid message is answered with the error of the bundled applications and the
    request's identifier. The connection stays open.
    """
    client = MemoryServer(target).connect()
    answer = ask(client, message)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert answer.get("request") == request_
    right = {"type": "add", "a": 1, "b": 2, "request": 6}
    assert ask(client, right) == {"type": "sum", "sum": 3, "request": 6}


@EVERY
def test_refused(target: Any) -> None:
    """Errors that the application or the broker raises are answered, too."""
    client = MemoryServer(target).connect()
    answer = ask(client, {"type": "fail", "how": "refused", "request": 7})
    assert answer == {
        "type": "error",
        "code": "too-hard",
        "message": "ask another one",
        "request": 7,
    }
    answer = ask(client, {"type": "fail", "how": "broker"})
    assert (answer["code"], answer["message"]) == ("unavailable", "it is away")
    assert client.closed is None


@EVERY
def test_failure(target: Any, logs: Logs) -> None:
    """Any other error is a failure of the application."""
    client = MemoryServer(target).connect()
    client.send('{"type":"fail","how":"failure"}')
    assert client.closed == (1011, "internal error")
    assert [str(each.value) for each in logs.failures()] == ["no"]


def test_receive_json() -> None:
    """One message is received, of any type if none is given; the connection's end is an
    error.
    """
    ends: list[int] = []

    @application("one")
    async def one(socket: WebSocket) -> None:
        await socket.send_json(await socket.receive_json())
        number = await socket.receive_json(int)
        await socket.send_json(number + 1)
        try:
            await socket.receive_json(int)
        except ConnectionClosed as closed:
            ends.append(closed.code)

    client = MemoryServer(one).connect()
    assert ask(client, '{"a":[1,null]}') == {"a": [1, None]}
    answer = ask(client, '"x"')
    assert answer["message"] == "expected `int`, got `str`"
    assert ask(client, "7") == 8
    client.close(4000)
    assert ends == [4000]


def test_other_answers() -> None:
    """An application may answer invalid messages in its own way, or not at all."""

    @application("own")
    async def own(socket: WebSocket) -> None:
        def refuse(error: RequestRefused) -> object:
            return None if error.code == "not-json" else [error.code, error.message]

        async for number in socket.json(int, refuse):
            await socket.send_json(number)

    client = MemoryServer(own).connect()
    client.send("nonsense")
    assert ask(client, '"x"') == ["invalid", "expected `int`, got `str`"]
    assert ask(client, "5") == 5


def test_request_of_a_dictionary() -> None:
    """The request's identifier is also found in a dictionary, if it can be sent."""

    @application("any")
    async def anything(socket: WebSocket) -> None:
        async for message in socket.json():
            async with socket.answering(message):
                raise RequestRefused("no", "no")

    client = MemoryServer(anything).connect()
    assert ask(client, {"request": 5})["request"] == 5
    assert "request" not in ask(client, {"request": [5]})
    assert "request" not in ask(client, [5])


def test_messages_that_cannot_be() -> None:
    """Mistakes in message types are found when the class is created."""

    class One(msgspec.Struct):
        a: int

    class Two(msgspec.Struct):
        b: int

    with pytest.raises(TypeError, match=r"Untold\.messages can't be read from JSON: "):

        class Untold(Application):
            messages = One | Two

            def received(self, socket: WebSocket, message: One | Two) -> None: ...

    with pytest.raises(TypeError, match=r"Vain\.messages is for 'received'"):

        class Vain(Application):
            messages = One

            async def serve(self, socket: WebSocket) -> None: ...
