"""
An application for wsplug: a quiz, in rooms. Whoever is first with the answer gets a
point. The scores outlive a restart if the broker's history does.
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


class Join(msgspec.Struct, tag_field="type", tag="join"):
    room: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]


class Answer(msgspec.Struct, tag_field="type", tag="answer"):
    text: str


class Game:
    """What goes on in a room."""

    def __init__(self, room: Room, memory: Room, scores: dict[str, int]) -> None:
        self.room, self.memory, self.scores = room, memory, scores
        self.answer = ""


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
        room, memory = self.room(f"play/{wish.room}"), self.room(f"scores/{wish.room}")
        past = await memory.history(limit=1)
        await room.join(socket, key=wish.name)
        if wish.room not in self.games:
            scores = past[0].json(dict[str, int]) if past else {}
            self.games[wish.room] = Game(room, memory, scores)
            self.spawn(self.play(wish.room, self.games[wish.room]))
        socket.state.game, socket.state.name = self.games[wish.room], wish.name
        scores = self.games[wish.room].scores
        await socket.send_json({"type": "scores", "scores": scores})

    async def play(self, name: str, game: Game) -> None:
        while game.room.count:
            question, game.answer = self.random.choice(list(QUESTIONS.items()))
            await game.room.send_json({"type": "question", "text": question})
            await self.sleep(self.seconds)
            game.answer = ""
            await self.sleep(self.pause)
        del self.games[name]

    async def score(self, game: Game, name: str) -> None:
        game.answer = ""
        game.scores[name] = game.scores.get(name, 0) + 1
        await game.memory.send_json(game.scores)
        await game.room.send_json({"type": "scores", "scores": game.scores})
