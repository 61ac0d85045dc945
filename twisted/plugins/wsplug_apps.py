"""
The applications that come with wsplug.
"""

from wsplug.apps.echo import echo
from wsplug.apps.process import process

__all__ = ["echo", "process"]
