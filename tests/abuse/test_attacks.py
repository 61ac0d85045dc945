"""
Each way of an attack: from so many addresses that no limit for an address is in its
way, and from one.
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
"""
How long an attack lasts once all of it has begun.
"""

CEILING: Final = 48 * MIB
"""
C{max-send-buffer-total} and C{max-incomplete-total}: each may be held, and as much
again of what the allocator makes of it.
"""

BASE: Final = 24 * MIB
"""
What a thousand clients may take up beyond what is counted: their connections, and what
is being read and inflated at the time.
"""


_WARMING: Final = 200
"""
The region of the attackers that come before all others.
"""

_TRIES: Final = 3
"""
Attacks of a kind until good clients have been served in time: a machine that others
work on can be late for reasons of its own.
"""


@dataclass(frozen=True)
class Attack:
    """
    @ivar clients: how many there are.
    @ivar counted: whether what they do is held under a ceiling.
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
    """
    A server that makes no exceptions. Times are short, so that an attack meets them.
    """
    arguments = [
        "--app=echo:path=/",
        # Which says a lot: that isn't to be compressed for hundreds at once.
        f"--app={Path(__file__).with_name('application.py')}:compression=no",
        *("--exempt=none", "--open-timeout=2", f"--close-timeout={CLOSE_TIMEOUT}"),
        *("--send-timeout=2", "--max-send-buffer=4MiB"),
        *("--ping-interval=2", "--ping-timeout=2"),
        *(f"--max-send-buffer-total={CEILING}", f"--max-incomplete-total={CEILING}"),
        *("--cool-down=1", "--max-address-handshake-rate=1000"),
    ]
    folder = tmp_path_factory.mktemp("abuse")
    # As users listen: with a backlog for many that come at once.
    arguments += ["--port=0", f"--interface={HOST}"]
    with serve(folder, *arguments, listen=()) as server:
        checkEcho(server.port)
        # The allocator keeps some of what was needed once: that isn't growth.
        for way in ("neverFinishes", "neverReads"):
            with attack(server, way, 300, 300, _WARMING, 1.0):
                pass
        yield server
        assert "Traceback" not in server.log
        assert server.stop() == 0


def test_each_way_is_tried() -> None:
    """
    No way is left out.
    """
    assert set(ATTACKS) == set(WAYS)


@pytest.mark.parametrize("addresses", [1000, 1], ids=["many", "one"])
@pytest.mark.parametrize("way", ATTACKS)
def test_attack(server: Server, way: str, addresses: int) -> None:
    """
    While it lasts, good clients go on being served in under a second; memory and
    descriptors stay within bounds; and soon after, all is as it was before.
    """
    expected = ATTACKS[way]
    clients = expected.clients
    for count in range(_TRIES):
        # Addresses of its own: what others were is not forgotten at once.
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
        # What has been refused or closed may wait for its end, while its client comes
        # again: that is all that a client can hold.
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
    """
    All that the attack took is given back.
    """
    waitUntil(lambda: server.descriptors() <= open, "all descriptors are free")
    waitUntil(lambda: server.memory() - memory < BASE, "so is the memory")


def _checkLog(server: Server, start: int, expected: Attack, addresses: int) -> None:
    """
    The log names what has ended the attack: in a line, or in that which counts those
    that are left out and comes every ten seconds.
    """
    settings = {expected.setting} if expected.setting else set()
    if settings and addresses == 1:
        # From one address, the limits of an address may come first.
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
