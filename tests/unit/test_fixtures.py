"""
The fixtures for pytest that come with the package.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wsplug

TESTS = """
import pytest
from wsplug import Application

seen = []


class Shout(Application):
    times = 1

    async def received(self, socket, message):
        await socket.send(message.upper())

    async def stop(self):
        seen.append("stopped")


class Fails(Shout):
    async def stop(self):
        raise KeyError("lost")


class Hangs(Shout):
    async def stop(self):
        await self.sleep(1000)


def test_shout(memory_server):
    client = memory_server(Shout, path="/x").connect("/x")
    client.send("hello")
    assert client.receive() == "HELLO"


def test_was_stopped():
    assert seen == ["stopped"]


def test_two(memory_server):
    memory_server(Shout), memory_server(Shout)


def test_both_were_stopped():
    assert seen == ["stopped"] * 3


@pytest.mark.parametrize("kind", [Fails, Hangs])
def test_ends_badly(memory_server, kind):
    memory_server(kind).connect()
"""


def test_memory_server(tmp_path: Path) -> None:
    """
    Servers are stopped after each test, and one that can't be stopped is an error of
    the test that has made it.
    """
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["wsplug.testing.fixtures"]'
    )
    (tmp_path / "test_it.py").write_text(TESTS)
    source = str(Path(wsplug.__file__).parents[1])
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rE"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED
    assert "6 passed" in finished.stdout
    assert "2 errors" in finished.stdout
    assert "ERROR test_it.py::test_ends_badly[Fails] - KeyError: 'lost'" in (
        finished.stdout
    )
    assert "the server doesn't stop within 60 seconds" in finished.stdout
