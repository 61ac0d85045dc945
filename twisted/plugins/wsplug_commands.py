"""
The commands that come with wsplug's bot.
"""

from wsplug.apps.bot.commands import (
    age,
    bye,
    date,
    hello,
    help,
    hi,
    name,
    thanks,
    time,
)

__all__ = ["age", "bye", "date", "hello", "help", "hi", "name", "thanks", "time"]
