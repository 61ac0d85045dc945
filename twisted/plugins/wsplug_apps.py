"""
The applications that come with wsplug.
"""

from wsplug.apps.chat import chat
from wsplug.apps.echo import echo

__all__ = ["chat", "echo"]
