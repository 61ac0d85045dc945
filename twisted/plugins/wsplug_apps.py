"""
The applications that come with wsplug.
"""

from wsplug.apps.echo import echo
from wsplug.apps.push import push
from wsplug.apps.ticker import ticker

__all__ = ["echo", "push", "ticker"]
