"""
An application for wsplug: every message throws the dice.
"""

from random import SystemRandom
from typing import Annotated

from wsplug import WebSocket, application

__all__ = ["dice"]

_random = SystemRandom()


@application("dice", help="Throw dice: send how many.")
async def dice(
    socket: WebSocket, *, sides: Annotated[int, "how many sides each one has"] = 6
) -> None:
    async for message in socket:
        if not isinstance(message, str) or message not in map(str, range(1, 101)):
            await socket.send("send a number from 1 to 100")
            continue
        throws = [_random.randint(1, sides) for _ in range(int(message))]
        await socket.send(" ".join(map(str, throws)))
