"""
The short form of the soak.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
OPERATING = Path(__file__).parents[2] / "docs" / "guides" / "operating.md"


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as developers do: from any folder."""
    return subprocess.run(
        [sys.executable, str(RUN), *arguments],
        cwd="/",
        env={**os.environ, "http_proxy": "http://127.0.0.1:9/"},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_quick(tmp_path: Path) -> None:
    """300 clients of all kinds for half a minute: each answer is right, every end
    matches the client's action, and nothing is left behind. The server has the options
    in docs/guides/operating.md.
    """
    (line,) = re.findall(r"tests/soak/run\.py .* (-- .*)", OPERATING.read_text("utf-8"))
    report, files = tmp_path / "report.json", tmp_path / "files"
    done = soak("--quick", f"--report={report}", f"--folder={files}", *line.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\nall was right\n")
    figures = json.loads(report.read_text("utf-8"))
    assert figures["problems"] == []
    assert figures["messages"]["delivered"] > 1000
    assert figures["echo_milliseconds"]["count"] > 100
    # Every kind of client took part.
    met = " ".join(figures["closings"])
    for application in (
        *("echo", "chat", "bot", "push", "ticker", "process", "shout", "abused"),
    ):
        assert f"{application} " in met
    for setting in (
        "ping-timeout",
        "send-timeout",
        "max-message-rate",
        "max-message-size",
    ):
        assert setting in met


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_faults_are_found(tmp_path: Path) -> None:
    """A server that can't handle the mix fails, and the problems are reported."""
    report = tmp_path / "report.json"
    done = soak("--quick", f"--report={report}", "--", "--max-connections=200")
    assert done.returncode == 1
    assert done.stdout.endswith(" things were wrong\n")
    problems = "\n".join(json.loads(report.read_text("utf-8"))["problems"])
    assert ": refused with 503" in problems
    assert "of 300 were connected" in problems


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--minutes=0"], "a number from 1 to 1440"),
        (["--connections=10"], "a number from 100 to 100000"),
        (["--processes=none"], "a number from 1 to 64"),
    ],
)
def test_mistakes(arguments: list[str], words: str) -> None:
    """A mistake in the command line is reported in one line, with status 2."""
    done = soak(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
