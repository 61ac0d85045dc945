"""
The shortest application: a coroutine that is called for each connection.

    twistd -n wsplug --app shout.py
    twistd -n wsplug --app shout.py:times=3
"""

from typing import Annotated

from wsplug import WebSocket, application


@application("shout", help="Repeat every text in capitals.")
async def shout(
    socket: WebSocket, *, times: Annotated[int, "how often to repeat it"] = 1
) -> None:
    async for message in socket:
        if isinstance(message, str):
            await socket.send(" ".join([message.upper()] * times))
        else:
            socket.close(1003, "only text is understood here")
