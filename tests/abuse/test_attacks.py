"""Each kind of attack, from so many addresses that no limit for an address applies,
and from a single one.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.abuse.measure import attack
from tests.abuse.swarm import PACE, WAYS
from tests.processes import HOST, Server, checkEcho, serve, waitUntil
from wsplug import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

MIB: Final = 1024 * 1024

CLOSE_TIMEOUT: Final = 1

SECONDS: Final = 4.0
"""Seconds that an attack lasts once all attackers have begun."""

CEILING: Final = 48 * MIB
"""C{max-send-buffer-total} and C{max-incomplete-total}: each may be used up, and the
allocator may need as much again.
"""

BASE: Final = 24 * MIB
"""The uncounted memory of a thousand clients: their connections, and the data being
read and inflated at the time.
"""


_WARMING: Final = 200
"""The region of the attackers that come before all others."""

_TRIES: Final = 3
"""Attempts at an attack until well-behaved clients are served in time: a busy
machine can be late for other reasons.
"""


@dataclass(frozen=True)
class Attack:
    """@ivar clients: how many there are.
    @ivar counted: whether a memory budget counts what they use.
    @ivar answer: what some get in place of a 101, if any.
    @ivar setting: what ends them, if anything.
    """

    clients: int
    counted: bool = False
    answer: str = ""
    setting: str = ""


ATTACKS: Final = {
    "saysNothing": Attack(1000, setting="open-timeout"),
    "halfHead": Attack(1000, setting="open-timeout"),
    "slowHead": Attack(1000, setting="open-timeout"),
    "endlessHead": Attack(200, answer="431", setting="max-head-size"),
    "halfTLS": Attack(1000, answer="400"),
    "garbage": Attack(500, answer="400"),
    "neverReads": Attack(500, counted=True),
    "neverReadsMuch": Attack(100, counted=True, setting="max-send-buffer-total"),
    "neverReadsPages": Attack(200),
    "byteASecond": Attack(1000),
    "neverFinishes": Attack(300, counted=True, setting="max-incomplete-total"),
    "emptyFragments": Attack(200, setting="max-fragments"),
    "smallFragments": Attack(200),
    "pingFlood": Attack(200, setting="max-message-rate"),
    "messageFlood": Attack(200, setting="max-message-rate"),
    "bomb": Attack(200, setting="max-message-size"),
    "smallBombs": Attack(100),
    "churn": Attack(200),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without exemptions.

    Its timeouts are short, so that attacks reach them.
    """
    arguments = [
        "--app=echo:path=/",
        # It sends a lot, which must not be compressed for hundreds of clients at once.
        f"--app={Path(__file__).with_name('application.py')}:compression=no",
        *("--exempt=none", "--open-timeout=2", f"--close-timeout={CLOSE_TIMEOUT}"),
        *("--send-timeout=2", "--max-send-buffer=4MiB"),
        *("--ping-interval=2", "--ping-timeout=2"),
        *(f"--max-send-buffer-total={CEILING}", f"--max-incomplete-total={CEILING}"),
        *("--cool-down=1", "--max-address-handshake-rate=1000"),
    ]
    folder = tmp_path_factory.mktemp("abuse")
    # As users configure it: with a backlog for many clients at once.
    arguments += ["--port=0", f"--interface={HOST}"]
    with serve(folder, *arguments, listen=()) as server:
        checkEcho(server.port)
        # The allocator keeps some memory that was needed once: that isn't growth.
        for way in ("neverFinishes", "neverReads"):
            with attack(server, way, 300, 300, _WARMING, 1.0):
                pass
        yield server
        assert "Traceback" not in server.log
        assert server.stop() == 0


def test_each_way_is_tried() -> None:
    """Every kind of attack is tested."""
    assert set(ATTACKS) == set(WAYS)


@pytest.mark.parametrize("addresses", [1000, 1], ids=["many", "one"])
@pytest.mark.parametrize("way", ATTACKS)
def test_attack(server: Server, way: str, addresses: int) -> None:
    """During the attack, well-behaved clients are served in under a second, and
    memory and descriptors stay within bounds. Soon after it, everything is as before.
    """
    expected = ATTACKS[way]
    clients = expected.clients
    for count in range(_TRIES):
        # Its own addresses: the server remembers earlier attackers for a while.
        region = 1 + _TRIES * (2 * list(ATTACKS).index(way) + (addresses == 1)) + count
        before, open = server.memory(), server.descriptors()
        start = len(server.log)
        with attack(server, way, clients, addresses, region, SECONDS) as (
            swarm,
            stander,
        ):
            pass
        assert stander.error is None
        allowed = BASE + (2 * CEILING if expected.counted else 0)
        assert stander.memory - before < allowed
        # A refused or closed connection may linger while its client reconnects. A
        # client can't hold more than that.
        held = 1 + math.ceil(CLOSE_TIMEOUT / PACE)
        assert stander.descriptors - open < held * clients + 10
        _checkFreed(server, open, before)
        assert swarm.counts["connections"] >= clients
        _checkLog(server, start, expected, addresses)
        if expected.answer:
            assert swarm.counts[expected.answer] > 0
        checkEcho(server.port)
        if stander.slowest < 1.0 and stander.answers > 10:
            break
    assert stander.slowest < 1.0
    assert stander.answers > 10


def _checkFreed(server: Server, open: int, memory: int) -> None:
    """Check that everything the attack took is freed."""
    waitUntil(lambda: server.descriptors() <= open, "all descriptors are free")
    waitUntil(lambda: server.memory() - memory < BASE, "so is the memory")


def _checkLog(server: Server, start: int, expected: Attack, addresses: int) -> None:
    """Check that the log names what ended the attack: in its own line, or in the one
    every ten seconds that counts suppressed lines.
    """
    settings = {expected.setting} if expected.setting else set()
    if settings and addresses == 1:
        # From a single address, the limits for an address may be reached first.
        settings.add(expected.setting.replace("max-", "max-address-"))
        settings.add("max-address-byte-rate")
    if addresses == 1 and expected.clients > Settings.max_address_connections:
        settings.add("max-address-connections")
        settings.add("cool-down")
    if settings:
        named = re.compile(rf"\b({'|'.join(sorted(settings))})\b")
        waitUntil(
            lambda: named.search(server.log, start) is not None,
            f"{settings} in the log",
        )
