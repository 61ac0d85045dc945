"""
Fuzz each parser for a bounded time: C{python tests/fuzz/run.py [--seconds N]
[TARGET...]}.

Needs atheris. Inputs that reach new code are kept in C{.fuzz/TARGET/corpus} for the
next run, those that break an invariant in C{.fuzz/TARGET}. The exit status is 1 if
one was broken, 2 if fuzzing can't be done here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / ".fuzz"
NAMES = (
    "head",
    "body",
    "handshake",
    "extensions",
    "receiver",
    "compressed",
    "close",
    "forwarded",
    "proxyheader",
    "origin",
    "credentials",
    "request",
)
SEED_SCRIPT = """
import sys
from pathlib import Path
from tests.fuzz.seeds import SEEDS
for i, seed in enumerate(SEEDS[sys.argv[1]]):
    Path(sys.argv[2], f"seed-{i}").write_bytes(seed)
"""


def environment() -> dict[str, str]:
    """Let the child processes find the project, installed or not, and its sources:
    the fuzzer can't trace compiled modules.
    """
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    found = os.pathsep.join(filter(None, paths))
    return {**os.environ, "PYTHONPATH": found, "WSPLUG_PURE": "1"}


def fuzz(target: str, seconds: int) -> bool:
    """
    Run one target.

    @return: whether its invariant held.
    """
    folder = OUTPUT / target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    old = set(folder.glob("*-*"))
    run = [sys.executable, "-c", SEED_SCRIPT, target, str(corpus)]
    subprocess.run(run, check=True, cwd=ROOT, env=environment())
    run = [
        *(sys.executable, "-m", "tests.fuzz.child", target, "--fuzz"),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}{os.sep}",
        *("-max_len=2048", "-timeout=20", "-rss_limit_mb=1024"),
        "-print_final_stats=1",
        str(corpus),
    ]
    done = subprocess.run(
        run,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    executions = re.findall(r"stat::number_of_executed_units: *(\d+)", done.stdout)
    coverage = re.findall(r"\bcov: (\d+) ft: (\d+)", done.stdout)
    edges, features = coverage[-1] if coverage else ("?", "?")
    count = executions[-1] if executions else "?"
    print(
        f"{target:<12}{count:>10} executions{edges:>7} edges{features:>7} features",
        flush=True,
    )
    if done.returncode == 0:
        return True
    print(done.stdout[-4000:])
    for path in sorted(set(folder.glob("*-*")) - old):
        print(f"broken by {path}")
        command = f"python -m tests.fuzz.child {target} {path.relative_to(ROOT)}"
        print(f"reproduce: {command}")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz wsplug's parsers.")
    parser.add_argument(
        "--seconds", type=int, default=30, help="time for each target (default: 30)"
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(NAMES))
    if unknown:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(NAMES)}")
    if find_spec("atheris") is None:
        print("fuzzing needs atheris: pip install atheris (Linux and macOS only)")
        return 2
    results = [fuzz(target, options.seconds) for target in options.targets or NAMES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
