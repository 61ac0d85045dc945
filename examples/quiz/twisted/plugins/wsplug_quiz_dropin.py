"""
Makes the application known to wsplug.
"""

from wsplug_quiz import Quiz

__all__ = ["Quiz"]
