"""
C{--app bot}: the command bot. A visitor types a word, and it answers; the words are
commands, which anybody can add to.

What the author of a command needs is here by name::

    from random import randint
    from wsplug.apps.bot import command

    @command("roll", help="Throws a die.")
    def roll(arguments, conversation):
        return f"You threw a {randint(1, 6)}."

A module under C{twisted/plugins} that has C{roll} in it makes it known to each bot.
"""

from wsplug.apps.bot.application import CommandBot, bot
from wsplug.apps.bot.decorators import DeclaredCommand, command
from wsplug.apps.bot.names import sayable

__all__ = ["CommandBot", "DeclaredCommand", "bot", "command", "sayable"]
