"""
The command bot: its plugin and options, and its pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timezone
from pathlib import Path
from typing import Any, Final

import msgspec
from zope.interface import implementer

from wsplug import WebSocketApplication
from wsplug.apps.bot.conversation import Conversation
from wsplug.apps.bot.vocabulary import findPlugins, indexCommands, wordsOf
from wsplug.apps.bot.zones import zone
from wsplug.interfaces import (
    ICommand,
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)
from wsplug.options import Option, count, seconds
from wsplug.plain import JSONResource
from wsplug.staticfiles import StaticFiles

__all__ = ["CommandBot", "bot"]

_PAGES: Final = Path(__file__).with_name("pages")


def _someText(value: str) -> str:
    if not value.strip():
        raise ValueError("some text")
    return value


class _CommandEntry(msgspec.Struct):
    """
    A command, as the page gets it.
    """

    words: list[str]
    help: str


class _CommandList(msgspec.Struct):
    commands: list[_CommandEntry]


def _listCommands(commands: Mapping[str, ICommand]) -> JSONResource:
    """
    Describe the commands to the page.
    """
    entries = [_CommandEntry(words, each.help) for words, each in wordsOf(commands)]
    return JSONResource(msgspec.json.encode(_CommandList(entries)))


class _Bot(WebSocketApplication):
    """
    The application.
    """

    # The clients of tutorials offer "chat", and browsers close what takes nothing.
    subprotocols = ("*",)

    # The option timeout limits commands.
    handlerTimeout = 0.0

    def __init__(
        self,
        options: Mapping[str, Any],
        services: IServices,
        commands: Mapping[str, ICommand],
    ) -> None:
        self._options = options
        self._services = services
        self._commands = commands
        pages = StaticFiles(_PAGES)
        pages.putChild(b"commands.json", _listCommands(commands))
        self.pages = pages

    def buildProtocol(self, request: IHandshakeRequest) -> Conversation:
        return Conversation(request, self._options, self._services, self._commands)


@implementer(IWebSocketApplicationPlugin)
class CommandBot:
    """
    The plugin.
    """

    name = "bot"
    help = "A bot that answers commands, with a page."
    options: Sequence[Option] = (
        Option("name", _someText, "Pluggy", "the bot's name"),
        Option(
            "age",
            _someText,
            "younger than I act",
            "what the bot answers about its age, after: I am",
        ),
        Option(
            "zone",
            zone,
            timezone.utc,
            "the time zone, like Europe/Vienna; local for the system's",
        ),
        Option("max-length", count, 1000, "characters that a line may have"),
        Option(
            "timeout",
            seconds,
            30.0,
            "seconds that a command may take to answer; then the bot apologizes",
        ),
    )

    def __init__(self, commands: Iterable[ICommand] | None = None) -> None:
        """
        @param commands: the bot's commands; the first one with a word gets it. By
            default, they are the commands that drop-ins register.
        """
        self._given = None if commands is None else tuple(commands)

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        # Now rather than at the start, before the process gives up privileges.
        found = findPlugins() if self._given is None else self._given
        return _Bot(options, services, indexCommands(found))

    def __repr__(self) -> str:
        return "<application 'bot'>"


bot: Final = CommandBot()
"""
The bot with all commands that drop-ins register.
"""
