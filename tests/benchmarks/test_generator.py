"""The benchmarks' load generator trusts no server: for a chat, it detects each
possible fault and reports it in one line.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.errors import SetupError
from benchmarks.installing import ROOT, compile_load
from tests.conftest import missing
from tests.processes import Server, portOf, serve

CHAT = Path(__file__).with_name("faulty_chat.py")

# The generator gives up after ten seconds without an answer.
pytestmark = [pytest.mark.slow, pytest.mark.alone]


# Whether the next client has connected by then.
_ANNOUNCED = "a message came while connection 1|came in place of"


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    @return: the generator.
    """
    try:
        return compile_load(tmp_path_factory.mktemp("load"))
    except SetupError as error:
        missing(str(error))


def run(load: Path, server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """
    @return: the generator, after a short chat of five rooms of four.
    """
    return subprocess.run(
        [
            *(str(load), "--port", str(portOf(server.addresses[0]))),
            *("--workload", "chat", "--connections", "20", "--rooms", "5"),
            *("--warmup", "0.1", "--seconds", "0.1", *words),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("in_flight", [1, 8])
def test_chat(load: Path, tmp_path: Path, in_flight: int) -> None:
    """wsplug's own chat has no fault, and its figures are plausible."""
    with serve(tmp_path, "--app=chat:rate=1000000:burst=1000000") as server:
        done = run(load, server, "--in-flight", str(in_flight))
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert figures["rate"] > 0
    assert 0 < figures["p50"] <= figures["p99"]


def test_refusals_are_shown(load: Path, tmp_path: Path) -> None:
    """If the server answers with an error, the generator reports it."""
    with serve(tmp_path, "--app=chat:rate=1:burst=1") as server:
        done = run(load, server)
    assert done.returncode == 1
    assert '{"type":"error","code":"rate-limited"' in done.stderr


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("announced twice", _ANNOUNCED),
        ("announced elsewhere", _ANNOUNCED),
        ("announced as another", '"127[.]0[.]1[.]12 connected"} came in place of'),
        ("not announced", "3 in the room were not told"),
        ("twice", "came twice"),
        ("to one less", "got no answer for 10 seconds"),
        ("elsewhere", "(came in place of .*|came twice)$"),
        ("late", "came in place of"),
        ("changed", "sewn .* came in place of .* seen "),
        ("longer", "a message is longer than 100 bytes"),
        ("shorter", "a message has 99 bytes instead of 100"),
    ],
)
def test_faults_are_found(
    load: Path, tmp_path: Path, fault: str, complaint: str
) -> None:
    """Any wrong, lost, duplicate or misplaced message ends the run with an error."""
    chat = f"--app={CHAT}:fault={fault}"
    environment = {"PYTHONPATH": str(ROOT)}
    with serve(tmp_path, chat, environment=environment) as server:
        done = run(load, server)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("load: ")
    assert done.stderr.count("\n") == 1
    assert re.search(complaint, done.stderr)
