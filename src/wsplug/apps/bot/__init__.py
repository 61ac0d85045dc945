"""
C{--app bot}: the command bot. Visitors type a command, and it answers. You can add
commands::

    from random import randint
    from wsplug.apps.bot import command

    @command("roll", help="Throws a die.")
    def roll(arguments, conversation):
        return f"You threw a {randint(1, 6)}."

Import C{roll} in a module under C{twisted/plugins}, and every bot has it.
"""

from wsplug.apps.bot.application import CommandBot, bot
from wsplug.apps.bot.decorators import DeclaredCommand, command
from wsplug.apps.bot.names import visitorName

__all__ = ["CommandBot", "DeclaredCommand", "bot", "command", "visitorName"]
