"""
How many connections a process can have.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from wsplug.assembly import assemble, combine
from wsplug.daemon.descriptors import RESERVED, fitConnections
from wsplug.errors import InvalidOption
from wsplug.options import UNLIMITED
from wsplug.plugins import parseDescription


def test_enough() -> None:
    """With enough descriptors, the requested number is possible."""
    assert fitConnections(200, 200 + RESERVED, asked=True) == 200
    assert fitConnections(1000, UNLIMITED, asked=True) == 1000
    assert fitConnections(UNLIMITED, UNLIMITED, asked=True) == UNLIMITED


def test_fewer() -> None:
    """The default, and the maximum, are reduced to what is possible."""
    assert fitConnections(10_000, 300, asked=False) == 300 - RESERVED
    assert fitConnections(UNLIMITED, 300, asked=True) == 300 - RESERVED


@pytest.mark.parametrize("limit", [100, 300, 400, 1024, 2000, 4096, 524_288])
def test_refused(limit: int) -> None:
    """Connections that a full server refuses, and that linger, need descriptors, too.

    The result is the largest possible number.
    """

    def needed(connections: int) -> int:
        return connections + max(connections // 20 - 16, 0) + RESERVED

    possible = fitConnections(10**6, limit, asked=False)
    assert needed(possible) <= limit < needed(possible + 1)
    assert fitConnections(possible, limit, asked=True) == possible
    with pytest.raises(InvalidOption, match=f"raise that to {needed(possible + 1)} "):
        fitConnections(possible + 1, limit, asked=True)


def test_too_many() -> None:
    """
    A user who asks for more than possible gets an error with both remedies.
    """
    with pytest.raises(InvalidOption) as caught:
        fitConnections(5000, 300, asked=True)
    message = str(caught.value)
    assert "max-connections 5000 is too high" in message
    assert "raise that to 5298 (LimitNOFILE=" in message
    assert f"max-connections to {300 - RESERVED}" in message


def test_applications() -> None:
    """Descriptors are reserved for applications, but a fifth is kept for connections.

    Each connection may have a program with four descriptors.
    """
    free = 300 - RESERVED
    assert fitConnections(10_000, 300, asked=False, taken=100) == free - 100
    assert fitConnections(UNLIMITED, 300, asked=True, taken=900) == free // 5
    assert fitConnections(100, 300, asked=True, taken=100) == 100
    assert fitConnections(10_000, UNLIMITED, asked=False, taken=200) == 10_000
    assert fitConnections(10_000, RESERVED, asked=False, taken=200) == 1
    with pytest.raises(InvalidOption) as caught:
        fitConnections(220, 300, asked=True, taken=100)
    message = str(caught.value)
    assert f"raise that to {220 + RESERVED + 100} (" in message
    assert f"max-connections to {free - 100}" in message


@pytest.mark.parametrize(
    ("application", "taken"),
    [
        ("echo", 0),
        ("process:command=cat:max-programs=7", 28),
        ("process:command=cat:mode=room:max-programs=7", 28),
        ("process:command=cat:mode=shared:max-programs=7", 4),
    ],
)
def test_programs(
    application: str, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The programs of C{--app process} leave fewer descriptors for connections.
    """
    monkeypatch.setattr("wsplug.assembly.parts.raiseLimit", lambda: 300)
    configuration = combine({"app": [parseDescription(application)]}, {})
    reactor: Any = MemoryReactorClock()
    parts = assemble(configuration, reactor)
    settings = parts.configuration.settings
    assert settings.max_connections == 300 - RESERVED - taken


def test_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Likewise, the connections of operators.
    """
    monkeypatch.setattr("wsplug.assembly.parts.raiseLimit", lambda: 300)
    given = {"app": [parseDescription("echo")], "admin": ["tcp:0"]}
    reactor: Any = MemoryReactorClock()
    parts = assemble(combine(given, {}), reactor)
    assert parts.configuration.settings.max_connections == 300 - RESERVED - 112


def test_raised() -> None:
    """
    The limit is raised as far as possible, and the new value is returned.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (128, {min(hard, 4000)}))\n"
        "from wsplug.daemon.descriptors import raiseLimit\n"
        "print(raiseLimit(), *resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    expected = str(min(hard, 4000))
    assert done.stdout.split() == [expected] * 3
    assert soft <= hard
