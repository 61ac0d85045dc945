"""
C{--app push}: pushes data from the server to browsers. Clients subscribe to channels.
You publish with C{POST}, or in Python through the broker.
"""

from wsplug.apps.push.plugin import push

__all__ = ["push"]
