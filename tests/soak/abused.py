"""The application for the soak's misbehaving clients, separate so that their traffic
is counted separately.
"""

from wsplug import WebSocket, application


@application("abused", help="Send back what comes.")
async def abused(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)
