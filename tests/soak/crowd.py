"""
A process full of clients::

    python -m tests.soak.crowd FILE

C{FILE} contains a L{Plan} in JSON, and receives the results. The process and its parent
synchronize by words on standard input and output. It prints C{ready} once each client
has begun. After C{hush}, clients send nothing new; it prints C{quiet} once everything
is answered. After C{finish}, all but the idle clients leave; it prints C{finished}.
After C{end}, it waits until the server has closed the idle ones, and prints C{ended}.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.soak.client import Client, Crowd
from tests.soak.members import ROOM, Chat, Classic, Publisher, Subscriber
from tests.soak.strangers import Breaker, Flood, Lost, Never, Visitor
from tests.soak.talkers import Bot, Echo, Gentle, Idle, Process, Shout, Ticker

__all__ = ["Plan"]


@dataclass
class Plan:
    """A crowd's plan.

    @ivar connections: how many clients it has.
    @ivar ramp: seconds in which they connect.
    @ivar trust: the authority's certificate in PEM.
    """

    number: int
    crowds: int
    connections: int
    plain: int
    tls: int
    trust: str
    token: str
    ramp: float
    session: float
    silence: float

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), "utf-8")


_SHARES: Final[tuple[tuple[type[Client], int, int], ...]] = (
    # How many of a thousand clients are of each kind, and the maximum of each.
    (Chat, 220, 10_000),
    (Classic, 30, 10_000),
    (Subscriber, 200, 10_000),
    (Publisher, 4, 4),
    (Bot, 60, 10_000),
    (Shout, 60, 10_000),
    (Ticker, 40, 10_000),
    (Process, 8, 20),
    (Gentle, 10, 40),
    (Breaker, 10, 20),
    (Flood, 4, 4),
    (Never, 4, 4),
    (Lost, 6, 10),
    (Visitor, 10, 20),
    (Idle, 100, 10_000),
)


def populate(crowd: Crowd, connections: int) -> list[Client]:
    """Create the clients. Clients of no other kind use the echo."""
    clients: list[Client] = []
    first = crowd.number * connections
    for kind, share, most in _SHARES:
        count = min(most, max(1, share * connections // 1000))
        for index in range(count):
            clients.append(kind(crowd, first + len(clients)))
            _assign(clients[-1], index, count, crowd)
    while len(clients) < connections:
        clients.append(Echo(crowd, first + len(clients)))
    clients[0].random.shuffle(clients)
    return clients


def _assign(client: Client, index: int, count: int, crowd: Crowd) -> None:
    """Assign a client its rooms or channels.

    Those of chats and of push have members in all crowds.
    """
    groups = max(2, count * crowd.crowds * 2 // ROOM)
    if isinstance(client, Chat | Subscriber):
        client.choose(groups)
    elif isinstance(client, Classic):
        client.room = f"classic-{crowd.number}-{index // 5}"
    elif isinstance(client, Publisher):
        parts = count * crowd.crowds
        mine = crowd.number * count + index
        channels = max(parts, crowd.crowds * 2)
        client.channels = [f"ch-{each}" for each in range(mine, channels * 8, parts)]


class Life:
    """
    The crowd's life.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._plan = plan = Plan(**json.loads(path.read_text("utf-8")))
        self._crowd = Crowd(
            plan.number,
            plan.crowds,
            plan.plain,
            plan.tls,
            ssl.create_default_context(cadata=plan.trust),
            plan.silence,
            plan.session,
            plan.token,
        )
        self._late: list[float] = []
        self._words: asyncio.Queue[str] = asyncio.Queue()

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin, self._hear)
        loop.set_exception_handler(self._complain)
        crowd, plan = self._crowd, self._plan
        clients = populate(crowd, plan.connections)
        watch = loop.create_task(self._watch())
        tasks: dict[asyncio.Task[None], Client] = {}
        for client in clients:
            tasks[loop.create_task(client.live())] = client
            await asyncio.sleep(plan.ramp / len(clients))
        await self._until(lambda: all(client.hasBegun for client in clients), 60)
        # Existing objects stay: the garbage collector need not look at them again and
        # again.
        gc.collect()
        gc.freeze()
        began, busy = time.monotonic(), time.process_time()
        self._say("ready")
        await self._heard("hush")
        busy = time.process_time() - busy
        share = busy / (time.monotonic() - began)
        crowd.hushed.set()
        await self._until(lambda: not crowd.speaking, 60)
        self._say("quiet")
        await self._heard("finish")
        crowd.finishing.set()
        stay = [task for task, client in tasks.items() if isinstance(client, Idle)]
        go = [task for task, client in tasks.items() if not isinstance(client, Idle)]
        await self._all(go, tasks, 90)
        self._say(f"finished {len(stay)}")
        await self._heard("end")
        crowd.ending.set()
        await self._all(stay, tasks, 60)
        watch.cancel()
        self._write(share)
        self._say("ended")

    def _hear(self) -> None:
        line = sys.stdin.readline()
        if not line:
            # The parent process is gone.
            sys.exit(1)
        self._words.put_nowait(line.strip())

    async def _heard(self, word: str) -> None:
        heard = await self._words.get()
        if heard != word:
            raise ValueError(f"{heard!r} in place of {word!r}")

    def _say(self, word: str) -> None:
        print(word, flush=True)

    def _complain(self, loop: Any, context: dict[str, Any]) -> None:
        self._crowd.complain(
            f"the crowd: {context.get('exception', context['message'])}"
        )

    async def _watch(self) -> None:
        """Measure how late the crowd itself is."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.1)
            self._late.append(time.monotonic() - began - 0.1)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        if not condition():
            self._crowd.complain(f"something did not come to its end in {seconds:g} s")

    async def _all(
        self,
        tasks: list[asyncio.Task[None]],
        clients: dict[asyncio.Task[None], Client],
        seconds: float,
    ) -> None:
        done, pending = await asyncio.wait(tasks, timeout=seconds)
        for task in pending:
            client = clients[task]
            kind = type(client).__name__
            self._crowd.complain(f"{kind} {client.number}: not done in the end")
            task.cancel()
        for task in done:
            if (error := task.exception()) is not None:
                self._crowd.complain(f"{type(clients[task]).__name__}: {error!r}")

    def _write(self, share: float) -> None:
        crowd = self._crowd
        late = sorted(self._late)
        result = {
            "counts": dict(crowd.counts),
            "problems": crowd.problems,
            "ledger": crowd.ledger.dump(),
            "busy": share,
            "late": late[len(late) * 99 // 100],
        }
        self._path.write_text(json.dumps(result), "utf-8")


def main() -> None:
    asyncio.run(Life(Path(sys.argv[1])).live())


if __name__ == "__main__":
    main()
