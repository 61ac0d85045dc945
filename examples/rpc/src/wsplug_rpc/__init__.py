"""
An application for wsplug: a JSON-RPC 2.0 server, with batches and notifications.
"""

from typing import Any, Literal

import msgspec

from wsplug import Application, WebSocket


class Call(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    method: str
    params: list[Any] | dict[str, Any] = []
    id: int | float | str | msgspec.UnsetType | None = msgspec.UNSET


# Each method is a class. Its attributes are the parameters.
class Add(msgspec.Struct, forbid_unknown_fields=True):
    a: float
    b: float

    async def run(self, calculator: Application) -> float:
        return self.a + self.b


class Wait(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float

    async def run(self, calculator: Application) -> None:
        await calculator.sleep(self.seconds)


METHODS: dict[str, type[Add] | type[Wait]] = {"add": Add, "wait": Wait}


def refusal(code: int, message: object) -> dict[str, Any]:
    error = {"code": code, "message": str(message)}
    return {"jsonrpc": "2.0", "error": error, "id": None}


class Calculator(Application):
    """Answer JSON-RPC 2.0 calls."""

    async def serve(self, socket: WebSocket) -> None:
        async for asked in socket.json(refuse=lambda error: refusal(-32700, error)):
            calls = asked if isinstance(asked, list) and asked else [asked]
            answers = [found for call in calls if (found := await self.answer(call))]
            if answers:
                await socket.send_json(answers if calls is asked else answers[0])

    async def answer(self, asked: object) -> dict[str, Any] | None:
        try:
            call = msgspec.convert(asked, Call)
        except msgspec.ValidationError as error:
            return refusal(-32600, error)
        answer = await self.perform(call.method, call.params)
        return None if call.id is msgspec.UNSET else {**answer, "id": call.id}

    async def perform(self, name: str, params: Any) -> dict[str, Any]:
        if name not in METHODS:
            return refusal(-32601, f"no method {name!r}")
        try:
            if isinstance(params, list):
                params = dict(zip(METHODS[name].__struct_fields__, params, strict=True))
            work = msgspec.convert(params, METHODS[name])
        except (msgspec.ValidationError, ValueError) as error:
            return refusal(-32602, error)
        return {"jsonrpc": "2.0", "result": await work.run(self)}
