"""
The command C{twistd wsplug}.
"""

from twisted.application.service import ServiceMaker

wsplug = ServiceMaker(
    "wsplug",
    "wsplug.tap",
    "A pluggable WebSocket server.",
    "wsplug",
)
