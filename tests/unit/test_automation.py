"""The files with which other tools run the steps of C{.ci/run}: nox, pre-commit and a
hosted continuous integration. They name existing steps, and all of them.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
CI = (ROOT / ".ci" / "run").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WORKFLOW: dict[str, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
)


def stepsOfCI() -> set[str]:
    """Give the steps that C{.ci/run} runs by default."""
    rest = CI[CI.rindex("\nrun system\n") :]
    named = re.findall(
        r"^(?:run|for step in|lane) ([a-z ]+?)(?:; do.*| &)?$", rest, re.M
    )
    steps = {step for line in named for step in line.split()}
    assert {"system", "newest", "lint"} <= steps
    for step in steps:
        assert f"\n{step}() {{" in CI
    return steps


def test_workflow() -> None:
    """The workflow runs each step, and runs newest before the steps that need it."""
    job = WORKFLOW["jobs"]["step"]
    lines = job["strategy"]["matrix"]["steps"]
    assert {"system", *(step for line in lines for step in line.split())} == stepsOfCI()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert "sudo .ci/run system" in runs[0]
    assert runs[1] == ".ci/run ${{ matrix.steps }}"
    for line in lines:
        needing = {"alone", "packaging", "conformance"} & set(line.split())
        assert not needing or line.startswith("newest ")


def test_pythons() -> None:
    """Each promised version of Python is set up where the steps run, and has wheels."""
    promised = [
        found[1]
        for each in PROJECT["project"]["classifiers"]
        if (found := re.search(r"Python :: (3\.\d+)$", each))
    ]
    (there,) = (
        step["with"]["python-version"].split()
        for step in WORKFLOW["jobs"]["step"]["steps"]
        if "setup-python" in step.get("uses", "")
    )
    assert there == promised
    wheels = PROJECT["tool"]["cibuildwheel"]["build"]
    assert wheels == [f"cp{version.replace('.', '')}-*" for version in promised]
    commands = [
        step["run"] for step in WORKFLOW["jobs"]["wheels"]["steps"] if "run" in step
    ]
    assert commands[-1].startswith("python -m cibuildwheel ")


def test_sessions() -> None:
    """
    Nox has a session for each step, which runs it as C{.ci/run} does.
    """
    sessions: dict[str, Any] = {}

    def session(function: Any = None, **options: Any) -> Any:
        if function is None:
            return lambda each: session(each, **options)
        sessions[options.get("name", function.__name__)] = function
        return function

    nox: Any = SimpleNamespace(
        session=session, Session=object, options=SimpleNamespace()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "nox", nox)
        runpy.run_path(str(ROOT / "noxfile.py"))
    steps = stepsOfCI()
    assert sessions.keys() == steps | {"everything", "tests"}
    assert set(nox.options.sessions) <= steps
    ran: list[tuple[str, ...]] = []
    running = SimpleNamespace(run=lambda *words, **_: ran.append(words))
    for name in sorted(steps):
        assert sessions[name].__doc__
        sessions[name](running)
    assert [words[-1] for words in ran] == sorted(steps)
    assert {words[:2] for words in ran} == {("bash", ".ci/run")}


def test_hooks() -> None:
    """The pre-commit hooks run the programs of the lint step, and one that refuses long
    subjects.
    """
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    (repository,) = yaml.safe_load(text)["repos"]
    hooks = {hook["id"]: shlex.split(hook["entry"]) for hook in repository["hooks"]}
    lint = CI.partition("\nlint() {")[2].partition("\n}")[0]
    for name, words in hooks.items():
        if name != "subject":
            assert f"bin/{words[0]}" in lint
    assert {"ruff-format", "ruff-check", "mypy", "subject"} <= hooks.keys()


@pytest.mark.parametrize(("length", "status"), [(72, 0), (73, 1)])
def test_subjects(length: int, status: int, tmp_path: Path) -> None:
    """A subject has at most 72 characters; the body doesn't count."""
    import subprocess

    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    (repository,) = yaml.safe_load(text)["repos"]
    (hook,) = (each for each in repository["hooks"] if each["id"] == "subject")
    message = tmp_path / "message"
    message.write_text("x" * length + "\n\n" + "y" * 90 + "\n", "utf-8")
    command = [*shlex.split(hook["entry"]), str(message)]
    assert subprocess.run(command, timeout=60).returncode == status
