"""
The application that the tests of logging in serve: it says who is there, and ends
connections when it is told to.
"""

from __future__ import annotations

from pathlib import Path

from wsplug import WebSocket, application


@application(
    "who", help="Say who is there.", pages=str(Path(__file__).with_name("pages"))
)
async def who(socket: WebSocket) -> None:
    """
    Serve one.
    """
    avatar = socket.request.avatar
    await socket.send(f"you are {getattr(avatar, 'name', None)}")
    async for message in socket:
        if message == "abort":
            socket.transport.abortConnection()
        elif message == "expire":
            socket.close(3000, "the token has expired")
        else:
            await socket.send(message)
