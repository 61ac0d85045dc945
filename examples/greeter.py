"""
An application that knows the names of its clients.

    twistd -n wsplug --app greeter.py --auth file:passwords
    twistd -n wsplug --app greeter.py --auth token:tokens
"""

from wsplug import WebSocket, application


@application("greeter", help="Greet everybody by name.")
async def greeter(socket: WebSocket) -> None:
    avatar = socket.request.avatar
    name = getattr(avatar, "name", "whoever you are")
    await socket.send(f"Hello, {name}!")
    async for message in socket:
        await socket.send(f"{name}: {message!r}")
