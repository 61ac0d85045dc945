"""
A bot's commands, by their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from unicodedata import normalize

from twisted.logger import Logger

from wsplug import dropins
from wsplug.interfaces import ICommand

__all__ = ["findCommand", "findPlugins", "indexCommands", "wordsOf"]

_PUNCTUATION: Final = "!?.,:;"
"""
Punctuation that may follow a word, as in C{hello!}.
"""

_log = Logger()


def findPlugins() -> list[ICommand]:
    """
    Return the commands that drop-ins register, sorted by module. Those of wsplug come
    last, so that others can replace them.
    """
    for file, reason in dropins.findBrokenDropIns():
        _log.warn("the drop-in {file} is left out: {reason}", file=file, reason=reason)
    return sorted(dropins.findPlugins(ICommand), key=_rank)


def _rank(command: ICommand) -> tuple[bool, str]:
    module = _moduleOf(command)
    return module.startswith("wsplug."), module


def _moduleOf(command: object) -> str:
    return str(getattr(command, "__module__", ""))


def indexCommands(commands: Iterable[ICommand]) -> Mapping[str, ICommand]:
    """
    Index commands by their words. If several commands have a word, the first one gets
    it. Such conflicts and invalid commands are logged.
    """
    found: dict[str, ICommand] = {}
    for command in commands:
        reason = dropins.brokenContract(command, ICommand)
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


def findCommand(commands: Mapping[str, ICommand], word: str) -> ICommand | None:
    """
    Find the command for a word that a visitor has typed. Case and punctuation after the
    word don't matter.
    """
    word = _fold(word)
    return commands.get(word, commands.get(word.rstrip(_PUNCTUATION)))


def _fold(word: str) -> str:
    return normalize("NFC", normalize("NFC", word).casefold())


def wordsOf(
    commands: Mapping[str, ICommand],
) -> list[tuple[list[str], ICommand]]:
    """
    Return each command with its words, sorted by the first word.
    """
    found: dict[int, tuple[list[str], ICommand]] = {}
    for command in commands.values():
        if id(command) not in found:
            own = [each for each in command.words if commands[_fold(each)] is command]
            found[id(command)] = list(dict.fromkeys(own)), command
    return sorted(found.values(), key=lambda pair: pair[0][0])
