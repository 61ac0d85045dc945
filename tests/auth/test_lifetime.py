"""
A login leaves nothing behind when the client is gone. See C{lifetimes.py}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.auth.lifetimes import NAMES


def test_nothing_is_left(tmp_path: Path) -> None:
    """
    However a login ends, it is freed at once, without the garbage collector, and leaves
    no deadline.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.auth.lifetimes", str(tmp_path / "tokens")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout) == {name: [0, 0] for name in NAMES}
