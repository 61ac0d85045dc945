"""
Makes the application known to wsplug.
"""

from wsplug_rpc import Calculator

__all__ = ["Calculator"]
