"""
Who may connect: pages by their origins, the server's names, proxies, and the networks
that are exempt from limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from wsplug.guard.admission import EXEMPT
from wsplug.guard.framing import frameHeaders
from wsplug.guard.hosts import HostRules
from wsplug.guard.origins import SAME_HOST, SAME_ORIGIN, OriginRules
from wsplug.guard.proxies import ProxySettings
from wsplug.networks import Networks
from wsplug.options import option, optionOf, text

__all__ = ["Access"]

_NONE: Final = ("none",)


@dataclass(frozen=True)
class Access:
    """
    Who may connect.

    @ivar origins: the pages that may connect; see L{OriginRules}.
    @ivar hosts: names by which pages on this machine may reach the server, besides
        C{localhost}, addresses and the hosts of C{origins}; see L{HostRules}.
    @ivar frameAncestors: the sites that may show the applications' pages in a frame;
        see L{frameHeaders}.
    @ivar exempt: the networks to which the limits for addresses and the rates don't
        apply.
    @ivar proxies: the proxies that are trusted to name the client.
    """

    origins: tuple[str, ...] = option(
        text,
        (SAME_HOST,),
        "Origin whose pages may connect besides those of the server's host: "
        "https://example.org, https://*.example.org, null, file:// or *. same-origin "
        "requires the server's port, too; none allows only the listed origins.",
        name="origin",
        repeats=True,
    )
    hosts: tuple[str, ...] = option(
        text,
        (),
        "Name by which pages on this machine may reach the server: chat.test, "
        "*.chat.test, or * for any.",
        name="allowed-host",
        formerly=("host",),
        shown="localhost, addresses and the hosts of origin",
        repeats=True,
    )
    frameAncestors: tuple[str, ...] = option(
        text,
        (SAME_ORIGIN,),
        "Origin whose pages may show the applications' pages in a frame: "
        "https://example.org, https://*.example.org, same-origin, none or *.",
        name="frame-ancestor",
        formerly=("framed-by",),
        repeats=True,
    )
    exempt: tuple[str, ...] = option(
        text,
        EXEMPT,
        "Address or network to which the limits for addresses and the rates don't "
        "apply. `none` exempts nobody.",
        repeats=True,
    )
    proxies: ProxySettings = field(default_factory=ProxySettings)

    def __post_init__(self) -> None:
        """
        @raise ValueError: a value is wrong. The message begins with its option.
        """
        if tuple(self.exempt) == _NONE:
            object.__setattr__(self, "exempt", ())
        checks: dict[str, Callable[[], Any]] = {
            "origins": lambda: OriginRules(self.origins),
            "hosts": lambda: HostRules(self.origins, self.hosts),
            "frameAncestors": lambda: frameHeaders(self.frameAncestors),
            "exempt": lambda: Networks(self.exempt),
        }
        for each, check in checks.items():
            try:
                check()
            except ValueError as error:
                raise ValueError(f"{optionOf(Access, each).name}: {error}") from None
