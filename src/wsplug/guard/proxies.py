"""
Trusted proxies: who may name the client's address.

Anybody can send C{X-Forwarded-For} with any address. Only proxies that the operator
names are trusted. The header is read from the right (see L{wsplug.codec.forwarded}):
the first address that isn't a trusted proxy is the client.

Only one of the two headers counts: nginx and others append to one of them, and pass the
other on as the client has sent it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger

from wsplug.codec import RequestHead
from wsplug.codec.forwarded import (
    Hop,
    read_forwarded,
    read_schemes,
    read_x_forwarded_for,
)
from wsplug.codec.hosts import Host
from wsplug.networks import Networks, hostOf
from wsplug.options import boolean, choice, option, text

__all__ = [
    "UNNAMED",
    "ClientInfo",
    "ProxySettings",
    "TrustedProxies",
    "addressOf",
    "claimsTLS",
]

UNIX: Final = "unix"
"""
The name of all peers on UNIX sockets.
"""

X_FORWARDED_FOR: Final = "x-forwarded-for"

FORWARDED: Final = "forwarded"

_MAX_HOPS: Final = 32
"""
The maximum number of hops of a request that are read.
"""

_COMPLAINT_PAUSE: Final = 60.0
"""
Seconds between two warnings about a trusted proxy's malformed headers.
"""

_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}


@dataclass(frozen=True)
class ProxySettings:
    """
    The proxies in front of the server.

    @ivar trusted: addresses and networks of the trusted proxies, and L{UNIX}.
    @ivar header: the header in which they name the client: L{X_FORWARDED_FOR} or
        L{FORWARDED}.
    @ivar protocol: whether they begin each connection with a PROXY header.
    """

    trusted: tuple[str, ...] = option(
        text,
        (),
        "Address or network of a proxy that is trusted to name the client. "
        "`unix` stands for UNIX sockets.",
        name="trusted-proxy",
        repeats=True,
    )
    header: str = option(
        choice(X_FORWARDED_FOR, FORWARDED),
        X_FORWARDED_FOR,
        "Header in which trusted proxies name the client: x-forwarded-for or "
        "forwarded.",
        name="forwarded-header",
    )
    protocol: bool = option(
        boolean,
        False,
        "Whether trusted proxies begin each connection with a PROXY header. Without "
        "the header, the connection is closed.",
        name="proxy-protocol",
    )

    def __post_init__(self) -> None:
        """
        @raise ValueError: an entry of C{trusted} is invalid, or another setting needs a
            trusted proxy, and there is none.
        """
        try:
            Networks(each for each in self.trusted if each != UNIX)
        except ValueError as error:
            raise ValueError(f"trusted-proxy: {error}, or unix") from None
        if self.trusted:
            return
        if self.protocol:
            raise ValueError("proxy-protocol needs a trusted-proxy")
        if self.header != X_FORWARDED_FOR:
            raise ValueError("forwarded-header needs a trusted-proxy")


class ClientInfo(NamedTuple):
    """
    What trusted proxies tell about the client of a request.

    @ivar address: its address, with port 0 if they don't tell it; C{None} if they name
        no client: it is the peer then.
    @ivar secure: whether the client uses TLS; C{None} if they don't tell.
    """

    address: IAddress | None = None
    secure: bool | None = None


UNNAMED: Final = ClientInfo()
"""
For requests about which no trusted proxy tells anything.
"""


class TrustedProxies:
    """
    Finds the client of a request.

    @ivar settings: the proxies' settings.
    """

    _log = Logger()

    def __init__(self, settings: ProxySettings, clock: IReactorTime) -> None:
        self.settings = settings
        self._networks = Networks(each for each in settings.trusted if each != UNIX)
        self._unix = UNIX in settings.trusted
        self._clock = clock
        self._nextComplaint = 0.0
        self._noticed = False

    def trusts(self, address: IAddress) -> bool:
        """
        Return whether an address is that of a trusted proxy.
        """
        if not self.settings.trusted:
            return False
        if isinstance(address, UNIXAddress):
            return self._unix
        return hostOf(address) in self._networks

    def clientOf(self, peer: IAddress, head: RequestHead) -> ClientInfo:
        """
        Find the client of one request.

        @param peer: the address of the connection's peer.
        """
        if not self.settings.trusted:
            self._notice(peer, head)
            return UNNAMED
        if not self.trusts(peer):
            return UNNAMED
        if self.settings.header == FORWARDED:
            hops = read_forwarded(head.all(b"forwarded"))
        else:
            hops = read_x_forwarded_for(head.all(b"x-forwarded-for"))
        return self._follow(peer, hops, head)

    def _follow(
        self, peer: IAddress, hops: Iterator[Hop | None], head: RequestHead
    ) -> ClientInfo:
        """
        Go from proxy to proxy, to the first address that isn't one.
        """
        address: IAddress | None = None
        scheme: str | None = None
        last = 0
        for index, hop in enumerate(islice(hops, _MAX_HOPS)):
            if hop is None:
                self._complain(peer)
                break
            last, scheme = index, hop.scheme
            if hop.host is None:
                break
            address = addressOf(hop.host, hop.port)
            if hop.host not in self._networks:
                break
        if self.settings.header == X_FORWARDED_FOR:
            schemes = read_schemes(head.all(b"x-forwarded-proto"))
            # Some proxies append to it; others replace it, and then there are fewer.
            scheme = schemes[min(last, len(schemes) - 1)] if schemes else None
        secure = None if scheme is None else _SECURE.get(scheme)
        return ClientInfo(address, secure)

    def _complain(self, peer: IAddress) -> None:
        """
        Warn, once in a while, that a trusted proxy sends a malformed header.
        """
        now = self._clock.seconds()
        if now >= self._nextComplaint:
            self._nextComplaint = now + _COMPLAINT_PAUSE
            self._log.warn(
                "the trusted proxy {peer} sends a malformed {header} header: the last "
                "valid address in it counts as the client",
                peer=_nameOf(peer),
                header=self.settings.header,
            )

    def _notice(self, peer: IAddress, head: RequestHead) -> None:
        """
        Warn, once, about a peer that looks like a proxy, and isn't trusted.
        """
        if self._noticed or not (
            head.all(b"x-forwarded-for") or head.all(b"forwarded")
        ):
            return
        host = hostOf(peer)
        unix = isinstance(peer, UNIXAddress)
        if unix or (host is not None and (host.is_loopback or host.is_private)):
            self._noticed = True
            name = _nameOf(peer)
            self._log.warn(
                "{peer} names other clients in its requests, as a proxy does, but is "
                "not trusted: if it is your proxy, set trusted-proxy {peer}",
                peer=name,
            )


def claimsTLS(valuesOf: Callable[[bytes], Sequence[bytes]]) -> bool:
    """
    Tell whether any proxy, trusted or not, says in a header that the client uses TLS.
    Use it only to be stricter.

    @param valuesOf: returns the values of a request's headers of one name.
    """
    schemes = [
        *read_schemes(valuesOf(b"x-forwarded-proto")),
        *(hop.scheme for hop in read_forwarded(valuesOf(b"forwarded")) if hop),
    ]
    return any(_SECURE.get(scheme or "") for scheme in schemes)


def addressOf(host: Host, port: int) -> IPv4Address | IPv6Address:
    """
    Make Twisted's address object for a client.

    @param port: 0 if it isn't known.
    """
    if host.version == 4:
        return IPv4Address("TCP", str(host), port)
    return IPv6Address("TCP", str(host), port)


def _nameOf(peer: IAddress) -> str:
    """
    Format an address as C{trusted-proxy} takes it.
    """
    return UNIX if isinstance(peer, UNIXAddress) else str(hostOf(peer))
