"""How much freed memory the process keeps."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing
from wsplug.memory import keepFreedMemory

ROUNDS = 100

# Eight messages of 1 MiB at a time, as on eight connections.
CHURN = f"""
import resource
from wsplug.memory import keepFreedMemory
print(keepFreedMemory())
def churn():
    messages = [bytes([1]) * (1024 * 1024) for _ in range(8)]
churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    churn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _churn(tmp_path: Path, **environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", CHURN],
        env=environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


def test_pages_are_kept(tmp_path: Path) -> None:
    """
    The memory of large messages is requested from the system once, not for each
    message. If the environment configures that, its setting is used.
    """
    if platform.libc_ver()[0] != "glibc":
        missing("glibc")
    kept, faults = _churn(tmp_path)
    assert kept == "True"
    # A message is 256 pages, so 200,000 in all.
    assert faults < 8 * 256
    kept, faults = _churn(tmp_path, MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False"
    assert faults > ROUNDS * 256
    kept, _ = _churn(tmp_path, GLIBC_TUNABLES="glibc.malloc.trim_threshold=131072")
    assert kept == "False"


def test_without_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With another C library, nothing is changed.
    """
    for name in ("MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keepFreedMemory()
