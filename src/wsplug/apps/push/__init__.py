"""
C{--app push}: data from the server to browsers. Clients subscribe to channels;
publications come by C{POST}, or from Python through the broker.
"""

from wsplug.apps.push.plugin import push

__all__ = ["push"]
