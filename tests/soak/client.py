"""What all clients of a crowd share, and one client's life: one session after
another.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tests.soak.connection import PATIENCE, Connection, Ended, Refused, Wrong, open
from tests.soak.ledger import Ledger

__all__ = ["Client", "Crowd"]

_KEPT: Final = 50
"""Problems that are described; further ones are only counted."""


@dataclass
class Crowd:
    """
    One process's clients.

    @ivar number: the process's, from 0.
    @ivar silence: seconds after which the server drops a client that doesn't answer.
    @ivar session: seconds that a session lasts, on average.
    @ivar token: the token for publishing.
    @ivar counts: what the clients did and met, by a key of words: C{handshake
        APPLICATION STATUS}, C{closing APPLICATION CODE SIDE SETTING} (with C{|} between
        settings of which one has to be it, and C{-} for none), C{sent} and C{received
        APPLICATION}.
    @ivar hushed: clients send nothing new any more.
    @ivar finishing: clients that are done leave.
    @ivar ending: the server stops.
    """

    number: int
    crowds: int
    plain: int
    tls: int
    trust: ssl.SSLContext
    silence: float
    session: float
    token: str
    ledger: Ledger = field(default_factory=Ledger)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    hushed: asyncio.Event = field(default_factory=asyncio.Event)
    finishing: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    speaking: int = 0

    def complain(self, problem: str) -> None:
        """
        Remember what was wrong.
        """
        self.counts["problems"] += 1
        if len(self.problems) < _KEPT:
            self.problems.append(problem)


class Client(ABC):
    """
    One client, for as long as the soak lasts.

    @cvar application: what it talks to.
    @cvar pace: seconds between two things that it does, on average.
    @cvar area: the second byte of its address: those who break rules have one of their
        own, and what they bring on themselves.
    """

    application: str
    pace = 4.0
    area = 1

    def __init__(self, crowd: Crowd, number: int) -> None:
        """
        @param number: among all clients of all crowds.
        """
        self.crowd = crowd
        self.number = number
        self.random = random.Random(number)
        index = number % 1000
        self.address = f"127.{self.area}.{index // 250}.{index % 250 + 1}"
        self.isSettled = False
        self.hasBegun = False
        self._last: Connection | None = None

    async def live(self) -> None:
        """
        Live.
        """
        crowd = self.crowd
        while not self.isSettled:
            try:
                await self.session()
            except (Wrong, Ended, Refused, ValueError, OSError) as error:
                where = "" if self._last is None else self._last.describe()
                crowd.complain(f"{type(self).__name__} {self.number}: {error} {where}")
                # Any error has already been judged.
                self.hasBegun = True
                self.giveUp()
            if crowd.finishing.is_set() and not self.needsToSettle:
                return
            await self.pause(crowd.finishing, self.random.uniform(0.2, 2.0))

    def giveUp(self) -> None:
        """Discard whatever a failed session leaves."""
        if self._last is not None and not self._last.ended:
            self._last.transport.abort()
        self._last = None

    needsToSettle = False
    """
    Whether it has to see the end of what was said.
    """

    @abstractmethod
    async def session(self) -> None:
        """
        Connect, be there for a while, and go.
        """

    # The parts of a session

    async def connect(
        self,
        path: str,
        *,
        headers: str = "",
        buffer: int = 0,
        compression: bool | None = None,
    ) -> Connection:
        """
        Connect, and count it.
        """
        crowd, chance = self.crowd, self.random.random()
        secure = chance < 0.3
        if compression is None:
            compression = self.random.random() < 0.5
        try:
            connection = await open(
                crowd.tls if secure else crowd.plain,
                path,
                self.address,
                trust=crowd.trust if secure else None,
                compression=compression,
                headers=headers,
                buffer=buffer,
            )
        except Refused as error:
            self.hasBegun = True
            crowd.counts[f"handshake {self.application} {error.status}"] += 1
            raise
        crowd.counts[f"handshake {self.application} 101"] += 1
        self.hasBegun = True
        self._last = connection
        return connection

    def count(
        self, connection: Connection, code: int, side: str, setting: str = "-"
    ) -> None:
        """Count the end of a connection."""
        crowd = self.crowd
        crowd.counts[f"closing {self.application} {code} {side} {setting}"] += 1
        crowd.counts[f"sent {self.application}"] += connection.sent
        crowd.counts[f"received {self.application}"] += connection.received

    async def go(self, connection: Connection) -> None:
        """Leave in one of the usual ways."""
        chance = self.random.random()
        if self.crowd.finishing.is_set() or chance < 0.65:
            await connection.close()
            self.count(connection, 1000, "peer")
        elif chance < 0.80:
            await connection.reset()
            self.count(connection, 1006, "peer")
        elif chance < 0.93:
            await connection.leave()
            self.count(connection, 1006, "peer")
        else:
            connection.isMute = True
            await connection.end("a silent client is dropped", self.crowd.silence)
            self.count(connection, 1006, "server", "ping-timeout")

    def lasts(self) -> float:
        """Give the time at which a session ends."""
        now = asyncio.get_running_loop().time()
        return now + self.crowd.session * self.random.uniform(0.3, 1.7)

    def isOver(self, end: float) -> bool:
        """Say whether a session is over."""
        now = asyncio.get_running_loop().time()
        return now >= end or self.crowd.finishing.is_set()

    async def rest(self) -> None:
        """Pause."""
        pace = self.pace * self.random.uniform(0.2, 1.8)
        await self.pause(self.crowd.finishing, pace)

    async def pause(self, event: asyncio.Event, seconds: float) -> None:
        """Wait until a condition is true, or some seconds have passed."""
        if event.is_set():
            return
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(event.wait(), min(seconds, PATIENCE))
