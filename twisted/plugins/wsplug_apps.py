"""
The applications that come with wsplug.
"""

from wsplug.apps.echo import echo

__all__ = ["echo"]
