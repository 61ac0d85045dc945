"""
The applications that come with wsplug.
"""

from wsplug.apps.bot import bot
from wsplug.apps.chat import chat
from wsplug.apps.echo import echo

__all__ = ["bot", "chat", "echo"]
