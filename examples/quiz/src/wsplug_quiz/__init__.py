"""
An application for wsplug: a quiz, in rooms. Whoever is first with the answer gets a
point. The scores outlive a restart if the broker does.
"""

from random import Random
from typing import Annotated

import msgspec

from wsplug import Application, RequestRefused, Room, WebSocket

__all__ = ["Quiz"]

QUESTIONS = {
    "Which number is twice 21?": "42",
    "Which planet is the largest?": "jupiter",
    "Which key does a client send in its handshake?": "sec-websocket-key",
}


Name = Annotated[str, msgspec.Meta(min_length=1, max_length=20)]


class Join(msgspec.Struct, tag_field="type", tag="join"):
    room: Name
    name: Name


class Answer(msgspec.Struct, tag_field="type", tag="answer"):
    text: str


class Game:
    """What goes on in a room."""

    def __init__(self, room: Room, scores: dict[str, int]) -> None:
        self.room, self.scores, self.answer = room, scores, ""


class Quiz(Application):
    """Ask questions in rooms, and keep the scores."""

    seconds: Annotated[float, "seconds to answer a question"] = 10.0
    pause: Annotated[float, "seconds between two questions"] = 3.0
    messages = Join | Answer

    def start(self) -> None:
        self.random = Random()
        self.games: dict[str, Game] = {}

    async def received(self, socket: WebSocket, message: Join | Answer) -> None:
        game: Game | None = getattr(socket.state, "game", None)
        if isinstance(message, Join):
            if game is not None:
                raise RequestRefused("already-there", "you are playing already")
            await self.join(socket, message)
        elif game is None:
            raise RequestRefused("not-there", "join a room first")
        elif message.text.strip().lower() != game.answer:
            raise RequestRefused("wrong", "wrong, or too late")
        else:
            await self.score(game, socket.state.name)

    async def join(self, socket: WebSocket, wish: Join) -> None:
        room = self.room(wish.room)
        stored = await self.services.store.get(room.name)
        await room.join(socket, key=wish.name)
        if room.name not in self.games:
            scores = msgspec.json.decode(stored or b"{}", type=dict[str, int])
            self.games[room.name] = Game(room, scores)
            self.spawn(self.play(self.games[room.name]))
        game = self.games[room.name]
        socket.state.game, socket.state.name = game, wish.name
        await socket.send_json({"type": "scores", "scores": game.scores})

    async def play(self, game: Game) -> None:
        while game.room.count:
            question, game.answer = self.random.choice(list(QUESTIONS.items()))
            await game.room.send_json({"type": "question", "text": question})
            await self.sleep(self.seconds)
            game.answer = ""
            await self.sleep(self.pause)
        del self.games[game.room.name]

    async def score(self, game: Game, name: str) -> None:
        game.answer = ""
        game.scores[name] = game.scores.get(name, 0) + 1
        stored = msgspec.json.encode(game.scores)
        await self.services.store.set(game.room.name, stored)
        await game.room.send_json({"type": "scores", "scores": game.scores})
