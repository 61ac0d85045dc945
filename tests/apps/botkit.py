"""
What the tests of the bot share: bots with commands of their own, and their visitors.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twisted.internet.task import Clock

from wsplug.apps.bot import CommandBot, commands
from wsplug.interfaces import ICommand
from wsplug.testing import MemoryClient, MemoryServer

BUNDLED: list[ICommand] = [getattr(commands, name) for name in commands.__all__]


def serveBot(
    *own: Any, clock: Clock | None = None, **options: str
) -> tuple[MemoryServer, MemoryClient]:
    """
    Start a bot, and visit it.

    @param own: commands that it has in front of the bundled ones.
    @param options: the bot's, with underscores for dashes.
    """
    given: dict[str, object] = {
        name.replace("_", "-"): value for name, value in options.items()
    }
    bot = CommandBot([*own, *BUNDLED])
    server = MemoryServer(bot, options=given, clock=clock)
    return server, server.connect()


def ask(client: MemoryClient, message: str | bytes) -> str:
    """
    Send something, and give the only answer.
    """
    client.send(message)
    (answer,) = client.messages
    client.messages.clear()
    assert isinstance(answer, str)
    return answer


def clockAt(moment: str) -> Clock:
    """
    Make a clock that stands at a moment in ISO 8601, with its offset from UTC.
    """
    clock = Clock()
    clock.advance(datetime.fromisoformat(moment).timestamp())
    return clock
