"""
Finding a Python 2.7 and installing the Autobahn testsuite for it.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.conformance.common import (
    Deadline,
    SetupError,
    prepare_folder,
    python27_environment,
    tail,
)

TESTSUITE = "autobahntestsuite==25.10.1"

# The last versions that create environments for Python 2.7.
VIRTUALENV = "virtualenv<20.22"

_PROBE = (
    "import sys; "
    "sys.stdout.write('%d.%d\\n%s' % (sys.version_info[:2] + (sys.executable,)))"
)

_LIST_CASES = (
    "import json, sys; "
    "from autobahntestsuite.case import CaseBasename, Cases; "
    "n = len(CaseBasename); "
    "json.dump([c.__name__[n:].replace('_', '.') for c in Cases], sys.stdout)"
)


def find_python27(option: str | None, environ: Mapping[str, str]) -> Path:
    """
    Look for a Python 2.7.

    @param option: the one named on the command line; nothing else is tried then.
    @param environ: the environment variables. C{PYTHON27} is the second choice, and
        the last one where it is set.
    @return: the interpreter's own path (a shim or link is followed).
    @raise SetupError: when there is none.
    """
    for origin, named in (
        ("--python27", option),
        ("PYTHON27", environ.get("PYTHON27")),
    ):
        if named:
            found = _probe(named)
            if found is None:
                raise SetupError(f"{origin} names {named}, which is not a Python 2.7")
            return found

    roots = list(_pyenv_roots(environ))
    on_path = shutil.which("python2.7")
    candidates = [on_path] if on_path else []
    for root in roots:
        # The newest patch release first.
        candidates += sorted(
            glob.glob(os.path.join(glob.escape(root), "versions/2.7.*/bin/python2.7")),
            key=lambda path: [int(n) for n in re.findall(r"\d+", path)],
            reverse=True,
        )
    for candidate in candidates:
        # The shims of pyenv are on PATH even where no 2.7 is selected: each candidate
        # has to prove that it runs.
        found = _probe(candidate)
        if found is not None:
            return found
    raise SetupError(
        "no Python 2.7, which the Autobahn testsuite needs (looked for --python27, "
        "$PYTHON27, python2.7 on PATH, pyenv versions 2.7.* in "
        f"{', '.join(roots)}): install one, e.g. with `pyenv install 2.7.18`, "
        "or name one with --python27 PATH"
    )


def _probe(candidate: str) -> Path | None:
    """@param candidate: the path of a possible Python 2.7.
    @return: its own path; None if it does not run or has another version.
    """
    try:
        answer = subprocess.run(
            [candidate, "-c", _PROBE],
            check=False,
            env=python27_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=30,
        ).stdout.split("\n")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(answer[1]) if len(answer) == 2 and answer[0] == "2.7" else None


def _pyenv_roots(environ: Mapping[str, str]) -> Iterator[str]:
    """
    @param environ: the environment variables.
    @return: the folders in which pyenv may keep its versions, each once.
    """
    roots = [environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")]
    pyenv = shutil.which("pyenv")
    if pyenv is not None:
        answer = subprocess.run(
            [pyenv, "root"],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        roots.insert(0, answer.stdout.strip())
    yield from dict.fromkeys(root for root in roots if root)


class Testsuite:
    """
    The Autobahn testsuite in its virtual environment.
    """

    # Not a test class, despite its name.
    __test__ = False

    def __init__(self, folder: Path) -> None:
        """
        @param folder: the folder of the environment.
        """
        self.folder = folder.absolute()
        self._python = self.folder / "venv" / "bin" / "python"
        self._stamp = self.folder / "installed"
        self._log = self.folder / "install.log"

    @property
    def fuzzingclient(self) -> list[str]:
        """
        @return: the command of the fuzzing client, without the spec file's name.
        """
        # Not through the script's first line, whose length is limited.
        wstest = self._python.with_name("wstest")
        return [str(self._python), str(wstest), "-m", "fuzzingclient", "-s"]

    def case_ids(self) -> list[str]:
        """
        @return: the numbers of all cases the testsuite has, such as C{"12.1.10"}, in
            their order.
        """
        answer = subprocess.run(
            [str(self._python), "-c", _LIST_CASES],
            env=python27_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        ids: list[str] = json.loads(answer.stdout)
        return ids

    def install(self, python27: Path, deadline: Deadline) -> None:
        """
        Make the environment, unless an earlier run has done so.

        @param python27: the Python 2.7 to use.
        @param deadline: when to give up.
        @raise SetupError: when it does not work out.
        """
        stamp = f"{TESTSUITE}\n{python27}\n"
        if self._is_installed(stamp):
            return
        prepare_folder(self.folder)
        print(f"installing {TESTSUITE} for {python27} in {self.folder}", flush=True)
        self._make_venv(python27, deadline)
        pip = [str(self._python), "-m", "pip", "--disable-pip-version-check"]
        if not self._run([*pip, "install", TESTSUITE], deadline):
            raise SetupError(
                f"cannot install {TESTSUITE}; "
                f"the end of {self._log}:\n{tail(self._log)}"
            )
        # Only now, so that an interrupted installation is repeated.
        self._stamp.write_text(stamp, encoding="utf-8")

    def _is_installed(self, stamp: str) -> bool:
        """
        @param stamp: what the environment has to be made of.
        @return: whether it is, and still works (its interpreter may have gone).
        """
        try:
            if self._stamp.read_text(encoding="utf-8") != stamp:
                return False
            self.case_ids()
        except (OSError, ValueError, subprocess.CalledProcessError):
            return False
        return True

    def _make_venv(self, python27: Path, deadline: Deadline) -> None:
        """Create a virtual environment in the first way that works here.

        A Python 2.7 often comes without virtualenv, and sometimes without pip; the
        Python that runs this can create the environment as well.

        @param python27: the Python 2.7 to use.
        @param deadline: when to give up.
        @raise SetupError: no way works.
        """
        old, new = str(python27), sys.executable
        if self._virtualenv([old], [], None, deadline):
            return
        for python, options in ((old, []), (new, ["-p", old])):
            modules = self.folder / "virtualenv" / Path(python).name
            pip = [python, "-m", "pip", "--disable-pip-version-check"]
            if self._run(
                [*pip, "install", "--target", str(modules), VIRTUALENV], deadline
            ) and self._virtualenv([python], options, modules, deadline):
                return
        raise SetupError(
            f"cannot make a virtual environment for {python27} (tried its own "
            f"virtualenv, and {VIRTUALENV} from PyPI with its pip and with that of "
            f"{new}); the end of {self._log}:\n{tail(self._log)}"
        )

    def _virtualenv(
        self,
        python: Sequence[str],
        options: Sequence[str],
        modules: Path | None,
        deadline: Deadline,
    ) -> bool:
        """
        Make the virtual environment with virtualenv.

        @param python: the command of the Python to run virtualenv with.
        @param options: options for it.
        @param modules: the folder virtualenv was installed in; None when it is
            installed for that Python.
        @param deadline: when to give up.
        @return: whether it worked.
        """
        # Its cache stays in the folder, too, instead of in the user's home.
        extra = {"VIRTUALENV_OVERRIDE_APP_DATA": str(self.folder / "app-data")}
        if modules is not None:
            extra["PYTHONPATH"] = str(modules)
        command = [*python, "-m", "virtualenv", *options, str(self.folder / "venv")]
        return self._run(command, deadline, extra)

    def _run(
        self,
        command: Sequence[str],
        deadline: Deadline,
        extra: Mapping[str, str] | None = None,
    ) -> bool:
        """
        Run a command of the installation; what it prints goes to the log.

        @param command: the command.
        @param deadline: when to give up.
        @param extra: environment variables to add.
        @return: whether it succeeded.
        """
        with self._log.open("a", encoding="utf-8") as log:
            print("$", *command, file=log, flush=True)
            try:
                done = subprocess.run(
                    command,
                    check=False,
                    env={**python27_environment(), **(extra or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=deadline.remaining(),
                )
            except subprocess.TimeoutExpired:
                raise deadline.error() from None
        return done.returncode == 0
