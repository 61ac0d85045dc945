"""
Commands for wsplug's bot.
"""

from random import SystemRandom

from twisted.internet.task import deferLater

from wsplug.apps.bot import command
from wsplug.interfaces import IConversation

__all__ = ["count", "roll"]

_random = SystemRandom()


@command("roll", "dice", help="Throws a die. With more sides: roll 20")
def roll(arguments: str, conversation: IConversation) -> str:
    if arguments not in ["", *map(str, range(1, 101))]:
        return "A die has from 1 to 100 sides."
    return f"You threw a {_random.randint(1, int(arguments or 6))}."


@command("count", help="Counts up to a number from 1 to 9, in tenths of a second.")
async def count(arguments: str, conversation: IConversation) -> list[str] | str:
    if arguments not in list("123456789"):
        return "Up to where? Type: count 3"
    # Until this is done, the visitor's other messages wait. Other visitors don't.
    await deferLater(conversation.services.clock, int(arguments) / 10, lambda: None)
    return [str(number) for number in range(1, int(arguments) + 1)]
