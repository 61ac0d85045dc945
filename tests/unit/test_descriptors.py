"""
How many connections a process may have.
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
    """
    Where there are descriptors enough, as many as are wanted.
    """
    assert fitConnections(1000, 1000 + RESERVED, asked=True) == 1000
    assert fitConnections(1000, UNLIMITED, asked=True) == 1000


def test_fewer() -> None:
    """
    The default, and as many as there can be, become what there can be.
    """
    assert fitConnections(10_000, 1024, asked=False) == 1024 - RESERVED
    assert fitConnections(UNLIMITED, 1024, asked=True) == 1024 - RESERVED


def test_too_many() -> None:
    """
    Who has asked for more than there can be is told so, with both ways out.
    """
    with pytest.raises(InvalidOption) as caught:
        fitConnections(5000, 1024, asked=True)
    message = str(caught.value)
    assert "max-connections 5000 is too high" in message
    assert str(5000 + RESERVED) in message
    assert f"max-connections to {1024 - RESERVED}" in message


def test_applications() -> None:
    """
    What applications may take isn't there for connections, except for a fifth: each
    connection may come with a program that takes four descriptors.
    """
    free = 1024 - RESERVED
    assert fitConnections(10_000, 1024, asked=False, taken=200) == free - 200
    assert fitConnections(UNLIMITED, 1024, asked=True, taken=900) == free // 5
    assert fitConnections(100, 1024, asked=True, taken=200) == 100
    assert fitConnections(10_000, UNLIMITED, asked=False, taken=200) == 10_000
    assert fitConnections(10_000, RESERVED, asked=False, taken=200) == 1
    with pytest.raises(InvalidOption) as caught:
        fitConnections(900, 1024, asked=True, taken=200)
    message = str(caught.value)
    assert str(900 + RESERVED + 200) in message
    assert f"max-connections to {free - 200}" in message


@pytest.mark.parametrize(
    ("application", "taken"),
    [
        ("echo", 0),
        ("process:command=cat", 200),
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
    monkeypatch.setattr("wsplug.assembly.parts.raiseLimit", lambda: 1024)
    configuration = combine({"app": [parseDescription(application)]}, {})
    reactor: Any = MemoryReactorClock()
    parts = assemble(configuration, reactor)
    settings = parts.configuration.settings
    assert settings.max_connections == 1024 - RESERVED - taken


def test_raised() -> None:
    """
    The limit is raised as far as it may be, and what it is then is known.
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
