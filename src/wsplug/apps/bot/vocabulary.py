"""
The commands that a bot has, by their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from unicodedata import normalize

from twisted.logger import Logger
from zope.interface.verify import verifyObject

from wsplug import dropins
from wsplug.interfaces import ICommand

__all__ = ["findCommand", "findPlugins", "makeVocabulary", "wordsOf"]

_PUNCTUATION: Final = "!?.,:;"
"""
What may be behind a word, as in C{hello!}.
"""

_log = Logger()


def findPlugins() -> list[ICommand]:
    """
    Give the commands that drop-ins have registered: other people's first, so that they
    can replace those that come with the bot; among them by their modules' names.
    """
    for file, reason in dropins.findBrokenDropIns():
        _log.warn("the drop-in {file} is left out: {reason}", file=file, reason=reason)
    return sorted(dropins.findPlugins(ICommand), key=_rank)


def _rank(command: ICommand) -> tuple[bool, str]:
    module = _moduleOf(command)
    return module.startswith("wsplug."), module


def _moduleOf(command: object) -> str:
    return str(getattr(command, "__module__", ""))


def makeVocabulary(commands: Iterable[ICommand]) -> Mapping[str, ICommand]:
    """
    Give commands by their words. A word that several have belongs to the first one.
    This, and what can be no command, is said in the log.
    """
    found: dict[str, ICommand] = {}
    for command in commands:
        reason = _brokenContract(command)
        if reason is not None:
            _log.warn(
                "the command {command!r} is left out: {reason}",
                command=command,
                reason=reason,
            )
            continue
        for word in command.words:
            winner = found.setdefault(_fold(word), command)
            if winner is not command:
                _log.warn(
                    "two commands have the word {word!r}: {winner!r} gets it, "
                    "{loser!r} does not",
                    word=word,
                    winner=winner,
                    loser=command,
                )
    return found


def _brokenContract(command: Any) -> str | None:
    try:
        verifyObject(ICommand, command)
        ICommand.validateInvariants(command)
    except Exception as error:
        # Invalid, or whatever an attribute raises that is computed.
        return " ".join(str(error).split()) or type(error).__name__
    return None


def findCommand(commands: Mapping[str, ICommand], word: str) -> ICommand | None:
    """
    Look a word up as a visitor has typed it: in any case, and with punctuation behind
    it.
    """
    word = _fold(word)
    return commands.get(word, commands.get(word.rstrip(_PUNCTUATION)))


def _fold(word: str) -> str:
    return normalize("NFC", normalize("NFC", word).casefold())


def wordsOf(
    commands: Mapping[str, ICommand],
) -> list[tuple[list[str], ICommand]]:
    """
    Give each command with the words that it has, in the alphabetical order of their
    first ones.
    """
    found: dict[int, tuple[list[str], ICommand]] = {}
    for command in commands.values():
        if id(command) not in found:
            own = [each for each in command.words if commands[_fold(each)] is command]
            found[id(command)] = list(dict.fromkeys(own)), command
    return sorted(found.values(), key=lambda pair: pair[0][0])
