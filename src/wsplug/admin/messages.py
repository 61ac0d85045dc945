"""
What goes over the status page's WebSocket, C{wsplug.status.v1};
C{docs/reference/status.md} describes it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from wsplug.jsonmessages import RequestId

__all__ = [
    "REQUEST",
    "SUBPROTOCOL",
    "ApplicationSample",
    "AuthRequired",
    "Authenticate",
    "BanAddress",
    "BanInfo",
    "Banned",
    "Cause",
    "Client",
    "Clients",
    "CloseClients",
    "Closed",
    "DisconnectInfo",
    "Drain",
    "Draining",
    "LiftBan",
    "Lifted",
    "ListClients",
    "Noticed",
    "Ping",
    "Pong",
    "RefusalInfo",
    "Sample",
    "SendNotice",
    "SettingInfo",
    "Tick",
    "Welcome",
]

SUBPROTOCOL: Final = "wsplug.status.v1"


# What operators ask for


class _Request(Struct, tag_field="type", kw_only=True):
    request: RequestId = None


class Authenticate(_Request, tag="auth"):
    """
    Who they are.
    """

    token: Annotated[str, Meta(max_length=1024)] = ""


class ListClients(_Request, tag="clients"):
    """
    Who is connected.
    """

    sort: str = "newest"
    search: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class SendNotice(_Request, tag="notice"):
    """
    A text to everybody, to an application's clients, or to one.
    """

    text: Annotated[str, Meta(min_length=1, max_length=2000)]
    application: Annotated[str, Meta(max_length=200)] | None = None
    client: int | None = None


class CloseClients(_Request, tag="close"):
    """
    Close one connection, or all from a place.
    """

    client: int | None = None
    address: Annotated[str, Meta(max_length=100)] | None = None
    code: int = 1008
    reason: str = ""


class BanAddress(_Request, tag="ban"):
    """
    Let nobody in from there for a while.
    """

    address: Annotated[str, Meta(max_length=100)]
    seconds: float = 3600.0
    note: Annotated[str, Meta(max_length=200)] = ""


class LiftBan(_Request, tag="lift"):
    """
    Let them in again.
    """

    address: Annotated[str, Meta(max_length=100)]


class Drain(_Request, tag="drain"):
    """
    Send everybody away, in order.
    """

    for_good: bool = False


class Ping(_Request, tag="ping"):
    """
    Whether the server is there.
    """


REQUEST: Final = msgspec.json.Decoder(
    Authenticate
    | ListClients
    | SendNotice
    | CloseClients
    | BanAddress
    | LiftBan
    | Drain
    | Ping
)


# What they get


class _Answer(Struct, tag_field="type", omit_defaults=True, kw_only=True):
    request: RequestId = None


class AuthRequired(_Answer, tag="auth-required"):
    """
    The token has to come first.
    """


class ApplicationSample(Struct):
    """
    What one application did in a second.
    """

    name: str
    connections: int
    received_messages: int
    received_bytes: int
    sent_messages: int
    sent_bytes: int


class Sample(Struct):
    """
    What the server did in a second. What is no number of the moment is a rate.
    """

    time: float
    connections: int
    opening: int
    accepted: int
    refused: int
    closed: int
    received_messages: int
    received_bytes: int
    sent_messages: int
    sent_bytes: int
    waiting: int
    stalled: int
    stalls: int
    applications: list[ApplicationSample]


class DisconnectInfo(Struct):
    """
    A connection's end.
    """

    time: float
    client: str
    address: str
    application: str
    seconds: float
    code: int
    reason: str
    side: str
    setting: str | None
    clean: bool


class RefusalInfo(Struct):
    """
    A refused handshake.
    """

    time: float
    client: str
    address: str
    application: str
    status: int
    reason: str
    setting: str | None


class Cause(Struct):
    """
    How many connections ended, or handshakes were refused, for one reason.
    """

    kind: str
    application: str
    code: str
    side: str
    setting: str
    count: int


class BanInfo(Struct):
    """
    A place that is banned.
    """

    address: str
    until: float
    note: str


class SettingInfo(Struct):
    """
    A setting in force.
    """

    name: str
    value: str
    help: str


class Welcome(_Answer, tag="welcome"):
    """
    All there is to know at first.

    @ivar time: by the clock that all other times here are by.
    @ivar today: the same moment, by the wall clock: seconds since 1970.
    """

    version: str
    codec: str
    python: str
    twisted: str
    time: float
    today: float
    started: float
    state: str
    client: str
    applications: list[tuple[str, str]]
    settings: list[SettingInfo]
    history: list[Sample]
    departures: list[DisconnectInfo]
    refusals: list[RefusalInfo]
    causes: list[Cause]
    bans: list[BanInfo]


class Tick(_Answer, tag="sample"):
    """
    What a second has brought. What hasn't changed isn't there.
    """

    sample: Sample
    state: str
    operators: int
    departures: list[DisconnectInfo] = []
    refusals: list[RefusalInfo] = []
    causes: list[Cause] | None = None
    bans: list[BanInfo] | None = None


class Client(Struct):
    """
    Somebody who is connected.
    """

    id: int
    client: str
    address: str
    application: str
    path: str
    opened: float
    waiting: int
    name: str | None


class Clients(_Answer, tag="clients"):
    """
    The answer to L{ListClients}.
    """

    clients: list[Client]
    found: int
    total: int


class Noticed(_Answer, tag="noticed"):
    """
    The answer to L{SendNotice}.
    """

    reached: int = msgspec.field()
    unable: int = msgspec.field()


class Closed(_Answer, tag="closed"):
    """
    The answer to L{CloseClients}.
    """

    count: int = msgspec.field()


class Banned(_Answer, tag="banned"):
    """
    The answer to L{BanAddress}.
    """

    ban: BanInfo
    count: int = msgspec.field()


class Lifted(_Answer, tag="lifted"):
    """
    The answer to L{LiftBan}.
    """

    address: str = msgspec.field()


class Draining(_Answer, tag="draining"):
    """
    The answer to L{Drain}.
    """


class Pong(_Answer, tag="pong"):
    """
    The answer to L{Ping}.
    """
