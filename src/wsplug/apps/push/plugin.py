"""
C{--app push}: the plugin and its options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from zope.interface import implementer

from wsplug.apps.push.application import Push
from wsplug.apps.push.feeds import Feeds, Limits
from wsplug.apps.push.names import PART
from wsplug.apps.push.publishing import PublishResource
from wsplug.apps.push.tokens import Tokens, readTokens
from wsplug.broker import backlogOptions, makeBacklog
from wsplug.failures import Failures
from wsplug.interfaces import IServices, IWebSocketApplicationPlugin
from wsplug.options import Option, count, integer, secret, size, text
from wsplug.staticfiles import StaticFiles

__all__ = ["PushPlugin", "push"]

_PAGES: Final = str(Path(__file__).with_name("pages"))


def _prefix(value: str) -> str:
    """
    The prefix of the broker's channels.
    """
    if re.fullmatch(PART, value):
        return value
    raise ValueError("letters, digits and _ . : @ ~ -")


@implementer(IWebSocketApplicationPlugin)
class PushPlugin:
    """
    Makes L{Push} applications.
    """

    name = "push"
    help = "Push what you publish in channels to browsers and other clients."
    options = (
        Option(
            "token",
            secret,
            "",
            "a token for publishing over HTTP; local users see it in the process list",
            "none",
        ),
        Option(
            "token-file",
            text,
            "",
            "a file with one token per line; without tokens, nobody may publish",
            "none",
        ),
        Option("prefix", _prefix, "push", "the prefix of its channels in the broker"),
        Option(
            "history",
            integer(0, 10**6),
            0,
            "latest messages that a subscriber gets by default",
        ),
        Option(
            "max-history",
            count,
            1000,
            "latest messages that a subscriber gets at most",
        ),
        Option(
            "max-channels",
            count,
            100,
            "channels that a connection may be subscribed to",
        ),
        Option(
            "max-channel-length",
            integer(1, 1000),
            100,
            "characters that a channel's name may have",
        ),
        *backlogOptions(
            "bytes that may wait in a channel for a subscriber that reads too slowly"
        ),
        Option(
            "max-size",
            size,
            64 * 1024,
            "bytes that the body of a POST may have",
        ),
        Option(
            "max-publications",
            count,
            1000,
            "publications of a POST; one for several channels counts for each",
        ),
        Option(
            "max-failures",
            count,
            10,
            "wrong tokens a minute from one address; beyond that, 429",
        ),
    )

    def makeApplication(self, options: Mapping[str, Any], services: IServices) -> Push:
        tokens = Tokens(readTokens(options["token"], options["token-file"]))
        limits = Limits(
            options["history"],
            options["max-history"],
            options["max-channels"],
            options["max-channel-length"],
        )
        backlog = makeBacklog(options)
        feeds = Feeds(
            services.broker, services.clock, options["prefix"], limits, backlog
        )
        failures = Failures(
            services.clock, options["max-failures"], setting="max-failures"
        )
        publish = PublishResource(
            feeds, tokens, options["max-size"], options["max-publications"], failures
        )
        pages = StaticFiles(_PAGES)
        pages.putChild(b"publish", publish)
        return Push(feeds, pages)


push: Final = PushPlugin()
