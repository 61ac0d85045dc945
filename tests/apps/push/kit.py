"""
What the tests of push share.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tests.broker.conftest import result
from wsplug import Settings
from wsplug.apps.push import push
from wsplug.interfaces import IBroker
from wsplug.testing import MemoryClient, MemoryResponse, MemoryServer
from wsplug.testing.server import CLIENT

TOKEN = "0123456789abcdef0123456789abcdef"

NAUGHTY = (
    "<script>alert(1)</script>",
    "\u202eevil\u202c \u200b\u200d\ufeff",
    "x" * 30_000,
    'quo"te \\ \x00\x1f \u2028',
    "\U0001f600\u0301",
)
"""
Text that is text all the same.
"""


def makeServer(*, broker: IBroker | None = None, **options: Any) -> MemoryServer:
    """
    Have a server with a token.

    @param options: of the application, with underscores for dashes.
    """
    given = {"token": TOKEN, **options}
    return MemoryServer(
        push,
        options={name.replace("_", "-"): value for name, value in given.items()},
        settings=Settings(ping_interval=0.0, send_timeout=0.0),
        broker=broker,
    )


def ask(client: MemoryClient, **message: Any) -> Any:
    """
    Send a message and take the answer.
    """
    client.send(msgspec.json.encode(message).decode())
    return take(client)


def take(client: MemoryClient) -> Any:
    """
    Take a message, which is JSON.
    """
    message = client.receive()
    assert isinstance(message, str)
    return msgspec.json.decode(message)


def takeAll(client: MemoryClient) -> list[Any]:
    """
    Take all messages.
    """
    return [take(client) for _ in list(client.messages)]


def subscribe(client: MemoryClient, channel: str, **more: Any) -> Any:
    """
    Subscribe, and take the answer.
    """
    answer = ask(client, type="subscribe", channel=channel, **more)
    assert answer["type"] == "subscribed"
    return answer


def publish(
    server: MemoryServer, channel: str, data: bytes, store: bool = True
) -> None:
    """
    Publish through the broker, as another application does.
    """
    result(server.broker.publish(f"push/{channel}", data, store))
    server.run()


def post(
    server: MemoryServer,
    body: bytes,
    query: str = "",
    *,
    kind: str | None = "application/json",
    token: str | None = TOKEN,
    address: str = CLIENT,
) -> MemoryResponse:
    """
    Publish over HTTP.
    """
    headers = [] if kind is None else [("Content-Type", kind)]
    if token is not None:
        headers.append(("Authorization", f"Bearer {token}"))
    return server.request(
        "POST", f"/publish{query}", headers=headers, body=body, address=address
    )
