"""
Makes the commands known to wsplug's bot.
"""

from wsplug_tricks import count, roll

__all__ = ["count", "roll"]
