"""
Proxies in front of the server: whose word is believed about who the client is.

Anybody can send C{X-Forwarded-For} with any address. So it is believed of those only
that the operator names, and read from the right (see L{wsplug.codec.forwarded}) until
somebody comes who is none of them: that is the client.

One header counts, never both: nginx and others add to the one that they know, and pass
on what a client has made up in the other.
"""

from __future__ import annotations

from collections.abc import Iterator
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
]

UNIX: Final = "unix"
"""
The word for whoever comes through a UNIX socket.
"""

X_FORWARDED_FOR: Final = "x-forwarded-for"

FORWARDED: Final = "forwarded"

_MAX_HOPS: Final = 32
"""
Trusted proxies that one request may have come through; more would be somebody's joke.
"""

_COMPLAINT_PAUSE: Final = 60.0
"""
Seconds between two complaints about what a trusted proxy sends.
"""

_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}


@dataclass(frozen=True)
class ProxySettings:
    """
    What is in front of the server.

    @ivar trusted: addresses and networks of the trusted proxies, and L{UNIX}.
    @ivar header: the header in which they name the client: L{X_FORWARDED_FOR} or
        L{FORWARDED}.
    @ivar protocol: whether they begin each connection with a PROXY header.
    """

    trusted: tuple[str, ...] = option(
        text,
        (),
        "Address or network of a proxy whose word about the client is believed. "
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
        @raise ValueError: one of C{trusted} is none, or nobody is to send what is
            asked for.
        """
        try:
            Networks(each for each in self.trusted if each != UNIX)
        except ValueError as error:
            raise ValueError(f"trusted-proxy: {error}, or unix") from None
        if self.trusted:
            return
        if self.protocol:
            raise ValueError("proxy-protocol needs a trusted-proxy, to believe it")
        if self.header != X_FORWARDED_FOR:
            raise ValueError("forwarded-header needs a trusted-proxy, to believe it")


class ClientInfo(NamedTuple):
    """
    What trusted proxies say of the client that a request is from.

    @ivar address: its address, with port 0 where they don't say which; C{None} where
        they name nobody: it is the peer then.
    @ivar secure: whether the client uses TLS; C{None} where they don't say.
    """

    address: IAddress | None = None
    secure: bool | None = None


UNNAMED: Final = ClientInfo()
"""
Of a request that no trusted proxy says anything about.
"""


class TrustedProxies:
    """
    Judges who a request is from.

    @ivar settings: what it goes by.
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
        Tell whether what comes from an address is believed.
        """
        if not self.settings.trusted:
            return False
        if isinstance(address, UNIXAddress):
            return self._unix
        return hostOf(address) in self._networks

    def clientOf(self, peer: IAddress, head: RequestHead) -> ClientInfo:
        """
        Judge one request.

        @param peer: whom the connection is from.
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
        Go from proxy to proxy, to the first one who is none.
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
            # Some proxies add to it, others replace it: then there are fewer.
            scheme = schemes[min(last, len(schemes) - 1)] if schemes else None
        secure = None if scheme is None else _SECURE.get(scheme)
        return ClientInfo(address, secure)

    def _complain(self, peer: IAddress) -> None:
        """
        Tell the operator, once in a while, that a trusted proxy makes no sense.
        """
        now = self._clock.seconds()
        if now >= self._nextComplaint:
            self._nextComplaint = now + _COMPLAINT_PAUSE
            self._log.warn(
                "the trusted proxy {peer} sends a malformed {header} header: its "
                "clients are taken for the proxy that last made sense",
                peer=_nameOf(peer),
                header=self.settings.header,
            )

    def _notice(self, peer: IAddress, head: RequestHead) -> None:
        """
        Tell the operator, once, of what looks like a proxy that nobody has spoken of.
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
                "{peer} names other clients in its requests, as a proxy does, and is "
                "not believed: if it is yours, say trusted-proxy {peer}",
                peer=name,
            )


def addressOf(host: Host, port: int) -> IPv4Address | IPv6Address:
    """
    Make Twisted's address of a client.

    @param port: 0 where it isn't known.
    """
    if host.version == 4:
        return IPv4Address("TCP", str(host), port)
    return IPv6Address("TCP", str(host), port)


def _nameOf(peer: IAddress) -> str:
    """
    Write an address as C{trusted-proxy} takes it.
    """
    return UNIX if isinstance(peer, UNIXAddress) else str(hostOf(peer))
