"""
The applications that come with wsplug.
"""

from wsplug.apps.bot import bot
from wsplug.apps.chat import chat
from wsplug.apps.echo import echo
from wsplug.apps.process import process
from wsplug.apps.push import push
from wsplug.apps.relay import relay
from wsplug.apps.ticker import ticker

__all__ = ["bot", "chat", "echo", "process", "push", "relay", "ticker"]
