"""
What the log says when the server is ready: a line for each application, with its URLs,
who can reach it, and whether clients log in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from wsplug.auth.authenticator import Authenticator
from wsplug.networks import hostOf, isLocal, nameOfAddress
from wsplug.server.mounts import Mount

_TLSFactory: Any
try:
    from twisted.protocols.tls import TLSMemoryBIOFactory as _TLSFactory
except ImportError:  # the extra "tls" isn't installed
    _TLSFactory = ()

__all__ = ["Place", "Reach", "announce", "placeOf"]

_log = Logger(__name__)

_PORTS: Final = {"http": 80, "https": 443}


class Reach(IntEnum):
    """
    Who can connect to a port.
    """

    MACHINE = 0
    """Programs on this machine."""

    PROXIES = 1
    """Programs on this machine, and whoever its proxies let through."""

    CERTIFICATE = 2
    """Everybody with a client certificate."""

    EVERYBODY = 3
    """Everybody, as far as no firewall is in the way."""


_WORDS: Final = {
    Reach.MACHINE: "this machine only",
    Reach.PROXIES: "this machine and its proxies",
    Reach.CERTIFICATE: "everybody with a certificate",
    Reach.EVERYBODY: "everybody",
}


@dataclass(frozen=True)
class Place:
    """
    Where a port is.

    @ivar name: its address, as the log has it.
    @ivar reach: who can connect to it.
    @ivar secure: whether it uses TLS.
    @ivar host: what a URL has for the host; C{None} if no URL leads to the port, as to
        a UNIX socket.
    @ivar port: the number; 0 if there is none.
    """

    name: str
    reach: Reach
    secure: bool = False
    host: str | None = None
    port: int = 0

    def url(self, scheme: str, path: str) -> str:
        """
        Make a URL that a person can click.

        @param scheme: C{"http"} or C{"ws"}, also if the port uses TLS.
        @param path: percent-encoded, with its leading slash.
        """
        secure = "s" if self.secure else ""
        usual = self.port in (0, _PORTS["http" + secure])
        port = "" if usual else f":{self.port}"
        return f"{scheme}{secure}://{self.host}{port}{path}"

    def show(self, mount: Mount, hasPage: bool) -> str:
        """
        Show how to get to an application.

        @param hasPage: whether there is a page at its path.
        """
        path = mount.url
        if self.host is None:
            return f"{path} on {self.name}"
        socket = self.url("ws", path)
        if not hasPage:
            return socket
        # With the slash, the page's relative URLs lead below the application's path.
        page = self.url("http", path.rstrip("/") + "/")
        return f"{page} and {socket}"


def placeOf(port: IListeningPort, proxied: bool = False) -> Place:
    """
    Find out where a port is.

    @param proxied: whether there are trusted proxies.
    """
    address = port.getHost()
    name = nameOfAddress(address)
    secure, certified = _readTLS(port)
    reach = Reach.CERTIFICATE if certified else Reach.EVERYBODY
    here = Reach.PROXIES if proxied else Reach.MACHINE
    if isLocal(address):
        return Place(name, here)
    number: int = getattr(address, "port", 0) or getattr(address, "onion_port", 0)
    host = hostOf(address)
    if host is None:
        # Another kind of address, such as an onion service's, has the name in front.
        shown = name.removesuffix(f":{number}")
        return Place(name, reach, secure, shown if number else None, number)
    if host.is_loopback:
        reach = here
    if host.is_unspecified:
        shown = "localhost"
    else:
        shown = f"[{host}]" if host.version == 6 else str(host)
    return Place(name, reach, secure, shown, number)


def _readTLS(port: IListeningPort) -> tuple[bool, bool]:
    """
    Tell whether a port uses TLS, and whether clients need a certificate.
    """
    secure = certified = False
    factory: Any = getattr(port, "factory", None)
    while factory is not None:
        secure = secure or isinstance(factory, _TLSFactory)
        certified = certified or getattr(factory, "needsCertificate", False)
        # Twisted's wrappers, and the one of the PROXY protocol.
        inner = getattr(factory, "wrappedFactory", None)
        factory = getattr(factory, "wrapped", None) if inner is None else inner
    return secure, certified


def announce(
    mounts: Iterable[Mount],
    places: Sequence[Place],
    authenticator: Authenticator | None,
    hasPage: Callable[[Mount], bool],
) -> None:
    """
    Log a line for each application, and a warning for each that endangers the machine
    if strangers reach it without a login.

    @param places: where the server listens.
    @param authenticator: logs clients in; C{None} if nobody has to log in.
    @param hasPage: says whether there is a page at an application's path.
    """
    if not places:
        return
    reach = max(place.reach for place in places)
    for mount in mounts:
        login = "without a login"
        if authenticator is not None and mount.auth:
            login = "after a login"
            if authenticator.isOptional:
                login = "with or without a login"
        _log.info(
            "{application} is at {urls}, for {reach}, {login}",
            application=mount.name,
            urls=", ".join(place.show(mount, hasPage(mount)) for place in places),
            reach=_WORDS[reach],
            login=login,
        )
        danger = getattr(mount.application, "danger", None)
        if danger and reach is Reach.EVERYBODY and login != "after a login":
            _log.warn(
                "{application}: everybody who reaches this machine can {danger}, "
                "without a login; use --auth, or listen on 127.0.0.1",
                application=mount.name,
                danger=danger,
                setting="auth",
            )
