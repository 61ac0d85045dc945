"""
Makes the application known to wsplug.
"""

from wsplug_dice import dice

__all__ = ["dice"]
