"""
The messages of the status page's subprotocol, C{wsplug.status.v1}, which
C{docs/reference/status.md} describes.
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
    "ChannelInfo",
    "ChannelList",
    "Client",
    "Clients",
    "CloseClients",
    "Closed",
    "DisconnectInfo",
    "Drain",
    "Draining",
    "LiftBan",
    "Lifted",
    "ListChannels",
    "ListClients",
    "Noticed",
    "Ping",
    "Pong",
    "PublishData",
    "Published",
    "RefusalInfo",
    "Sample",
    "SendNotice",
    "SettingInfo",
    "Tick",
    "Welcome",
]

SUBPROTOCOL: Final = "wsplug.status.v1"


# Requests


class _Request(Struct, tag_field="type", kw_only=True):
    request: RequestId = None


class Authenticate(_Request, tag="auth"):
    """
    Authenticate with the token.
    """

    token: Annotated[str, Meta(max_length=1024)] = ""


class ListClients(_Request, tag="clients"):
    """
    List the connected clients.
    """

    sort: str = "newest"
    search: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class SendNotice(_Request, tag="notice"):
    """
    Send a text to all clients, to an application's clients, or to one client.
    """

    text: Annotated[str, Meta(min_length=1, max_length=2000)]
    application: Annotated[str, Meta(max_length=200)] | None = None
    client: int | None = None


class CloseClients(_Request, tag="close"):
    """
    Close one connection, or all connections from an address or network.
    """

    client: int | None = None
    address: Annotated[str, Meta(max_length=100)] | None = None
    code: int = 1008
    reason: str = ""


class ListChannels(_Request, tag="channels"):
    """
    List the broker's channels.
    """

    search: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class PublishData(_Request, tag="publish"):
    """
    Publish a text in a channel.
    """

    channel: Annotated[str, Meta(min_length=1, max_length=1000)]
    data: Annotated[str, Meta(max_length=65536)]
    store: bool = True


class BanAddress(_Request, tag="ban"):
    """
    Ban an address or network for a while.
    """

    address: Annotated[str, Meta(max_length=100)]
    seconds: float = 3600.0
    note: Annotated[str, Meta(max_length=200)] = ""


class LiftBan(_Request, tag="lift"):
    """
    Lift a ban.
    """

    address: Annotated[str, Meta(max_length=100)]


class Drain(_Request, tag="drain"):
    """
    Drain the server.
    """

    for_good: bool = False


class Ping(_Request, tag="ping"):
    """
    Check whether the server responds.
    """


REQUEST: Final = msgspec.json.Decoder(
    Authenticate
    | ListClients
    | SendNotice
    | CloseClients
    | ListChannels
    | PublishData
    | BanAddress
    | LiftBan
    | Drain
    | Ping
)


# Answers and events


class _Answer(Struct, tag_field="type", omit_defaults=True, kw_only=True):
    request: RequestId = None


class AuthRequired(_Answer, tag="auth-required"):
    """
    The server requires the token before any other request.
    """


class ApplicationSample(Struct):
    """
    The activity of one application in one second.
    """

    name: str
    connections: int
    received_messages: int
    received_bytes: int
    sent_messages: int
    sent_bytes: int


class Sample(Struct):
    """
    The activity of the server in one second.

    C{connections}, C{opening}, C{waiting} (in bytes) and C{stalled} are current values.
    C{stalls} is the number of new stalls. All others are rates per second.
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
    A closed connection.
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
    The number of closed connections, or refused handshakes, with one cause.
    """

    kind: str
    application: str
    code: str
    side: str
    setting: str
    count: int


class BanInfo(Struct):
    """
    A banned address or network.
    """

    address: str
    until: float
    note: str


class SettingInfo(Struct):
    """
    A current setting.
    """

    name: str
    value: str
    help: str


class Welcome(_Answer, tag="welcome"):
    """
    The complete state of the server, for a new operator.

    @ivar time: the time, in seconds of the clock that all other times here use.
    @ivar today: the same moment in seconds since 1970.
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
    The changes of one second. Unchanged values are left out.
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
    A connected client.
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


class ChannelInfo(Struct):
    """
    A channel of the broker.
    """

    name: str
    subscribers: int
    kept: int
    size: int


class ChannelList(_Answer, tag="channels"):
    """
    The answer to L{ListChannels}.
    """

    channels: list[ChannelInfo]


class Published(_Answer, tag="published"):
    """
    The answer to L{PublishData}. The offset is that of the channel's last publication.
    """

    channel: str
    offset: int = msgspec.field()


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
