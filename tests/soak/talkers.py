"""Clients that send requests, and get an answer each time."""

from __future__ import annotations

import re
from typing import Final

from tests.soak.client import Client
from tests.soak.connection import Connection, Message, Wrong

__all__ = ["Bot", "Echo", "Gentle", "Idle", "Process", "Shout", "Ticker"]

_KIB: Final = 1024
_MIB: Final = 1024 * 1024

_WORDS: Final = ("wind", "rain", "snow", "fog", "hail", "Grüße", "雪", "☂", "🌦")


async def check(connection: Connection, question: Message, expected: Message) -> None:
    """Send a request, and compare the answer."""
    connection.send(question)
    compare(await connection.receive(), expected)


def compare(answer: Message, expected: Message) -> None:
    """@raise Wrong: the answer differs."""
    if answer != expected:
        raise Wrong(f"{expected[:40]!r} was expected, and {answer[:40]!r} came")


class Echo(Client):
    """Sends all kinds of messages to the echo: small and large, alone and many at
    once.
    """

    application = "echo"

    def make(self) -> Message:
        """Make up a message."""
        random = self.random
        chance = random.random()
        if chance < 0.7:
            return " ".join(random.choices(_WORDS, k=random.randint(0, 40)))
        if chance < 0.98:
            return random.randbytes(random.randint(0, 2000))
        if chance < 0.9985:
            return " ".join(random.choices(_WORDS, k=random.randint(2000, 10_000)))
        # As large as a message may be.
        return random.randbytes(random.choice([_MIB, 70 * _KIB, 300 * _KIB]))

    async def session(self) -> None:
        connection = await self.connect("/echo")
        end = self.lasts()
        while not self.isOver(end):
            chance = self.random.random()
            if chance < 0.05:
                await connection.ping()
            else:
                messages = [self.make() for _ in range(5 if chance < 0.1 else 1)]
                for message in messages:
                    connection.send(message)
                for message in messages:
                    compare(await connection.receive(), message)
            await self.rest()
        await self.go(connection)


class Gentle(Client):
    """Sometimes stops reading for a while, and misses nothing."""

    application = "echo"

    async def session(self) -> None:
        connection = await self.connect("/echo", buffer=16 * _KIB)
        messages = [self.random.randbytes(30 * _KIB) for _ in range(20)]
        connection.transport.pause_reading()
        for message in messages:
            connection.send(message)
        await self.pause(self.crowd.finishing, 3.0)
        connection.transport.resume_reading()
        for message in messages:
            compare(await connection.receive(), message)
        await self.rest()
        await self.go(connection)


class Idle(Client):
    """Connects once, and stays until the server stops, answering pings."""

    application = "echo"

    async def session(self) -> None:
        connection = await self.connect("/echo")
        await check(connection, "hello", "hello")
        while not self.crowd.ending.is_set():
            await self.pause(self.crowd.ending, 30)
            if connection.ended and not self.crowd.ending.is_set():
                raise Wrong(f"ended with {connection.code} {connection.reason}")
        await connection.end("the server sends all away")
        if connection.code != 1012:
            raise Wrong(f"sent away with {connection.code} {connection.reason}")
        self.isSettled = True
        self.count(connection, 1012, "server")


class Bot(Client):
    """
    Talks with the bot.
    """

    application = "bot"

    async def session(self) -> None:
        connection = await self.connect("/bot")
        await check(connection, "hello", "Hello, human!")
        name = f"Ann{self.number}"
        await check(connection, f"name {name}", f"Nice to meet you, {name}.")
        end = self.lasts()
        while not self.isOver(end):
            await self.rest()
            await check(connection, "hello", f"Hello, {name}!")
            word = f"anything {self.random.random()}"
            await check(connection, word, f"You have entered: {word}")
        if self.random.random() < 0.7:
            await self.go(connection)
            return
        await check(connection, "bye", f"Bye, {name}. Come back soon!")
        await connection.end("the bot closes behind bye")
        compare(f"closed with {connection.code}", "closed with 1000")
        self.count(connection, 1000, "application")


class Shout(Client):
    """Talks with a user's application, a coroutine."""

    application = "shout"

    async def session(self) -> None:
        connection = await self.connect("/shout")
        end = self.lasts()
        while not self.isOver(end):
            text = " ".join(self.random.choices(_WORDS, k=20))
            await check(connection, text, text.upper())
            await self.rest()
        if self.random.random() < 0.7:
            await self.go(connection)
            return
        connection.send(b"binary")
        await connection.end("it closes behind what is no text")
        compare(f"closed with {connection.code}", "closed with 1003")
        self.count(connection, 1003, "application")


class Process(Client):
    """Talks with its own program."""

    application = "process"

    async def session(self) -> None:
        connection = await self.connect("/process")
        end = self.lasts()
        while not self.isOver(end):
            line = f"{self.number} {self.random.random()}"
            await check(connection, line, line)
            await self.rest()
        if self.random.random() < 0.7:
            await self.go(connection)
            return
        connection.send("quit")
        await connection.end("the program has ended")
        compare(f"closed with {connection.code}", "closed with 1000")
        self.count(connection, 1000, "application")


class Ticker(Client):
    """
    Listens to the ticker.
    """

    application = "ticker"

    async def session(self) -> None:
        connection = await self.connect("/ticker")
        end = self.lasts()
        while not self.isOver(end):
            message = await connection.receive()
            if not re.fullmatch(r"I am waiting [1-5] seconds", str(message)):
                raise Wrong(f"the ticker says {message!r}")
        await self.go(connection)
