"""
What the soak's misbehaving clients talk to: an application of their own, so that what
they do is counted apart.
"""

from wsplug import WebSocket, application


@application("abused", help="Send back what comes.")
async def abused(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)
