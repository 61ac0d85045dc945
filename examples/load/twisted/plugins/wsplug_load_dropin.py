"""
Makes the application known to wsplug.
"""

from wsplug_load import Load

__all__ = ["Load"]
