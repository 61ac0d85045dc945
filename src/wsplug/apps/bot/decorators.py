"""
The C{@command} decorator, which makes a command from a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import Invalid, implementer

from wsplug.interfaces import ICommand, IConversation

__all__ = ["DeclaredCommand", "command"]

Respond = Callable[[str, IConversation], Any]


@implementer(ICommand)
class DeclaredCommand:
    """
    The plugin that C{@command} makes, for drop-ins.

    @ivar function: the decorated function.
    """

    def __init__(self, function: Respond, words: Sequence[str], help: str) -> None:
        self.function = function
        self.words = tuple(words)
        self.help = help
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    def respond(self, arguments: str, conversation: IConversation) -> Any:
        return self.function(arguments, conversation)

    def __repr__(self) -> str:
        return f"<command {self.words[0]!r} of {self.__module__}>"


def command(*words: str, help: str = "") -> Callable[[Respond], DeclaredCommand]:
    """
    Make a command from a function or a coroutine function, which is called as
    C{function(arguments, conversation)}. L{ICommand.respond} says what it may return::

        @command("roll", "dice", help="Throws a die.")
        def roll(arguments, conversation): ...

    @param words: the words that it answers to, in lower case and without spaces.
    @param help: one line of help; the first line of the docstring by default.
    @raise TypeError: it isn't a function, or doesn't take these two arguments.
    @raise ValueError: there is no word, or an invalid one.
    """

    def declare(function: Respond) -> DeclaredCommand:
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"{function!r} isn't a function")
        try:
            inspect.signature(function).bind("", None)
        except TypeError:
            raise TypeError(
                f"{function!r} has to take two arguments: arguments, conversation"
            ) from None
        line = help or (inspect.getdoc(function) or "").partition("\n")[0]
        made = DeclaredCommand(function, words, line)
        try:
            ICommand.validateInvariants(made)
        except Invalid as error:
            raise ValueError(f"@command over {function!r}: {error}") from None
        return made

    return declare
