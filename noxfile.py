"""
The steps of continuous integration as sessions of nox: C{nox -s lint}, C{nox -l}.

What a step does stands in C{.ci/run} alone, which makes the step's environments, too.
"""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "newest"]

STEPS = {
    "system": "Install Debian's packages that the tests need (as root).",
    "lint": "Check form, types, the documentation site and the changelog.",
    "newest": "Run the tests on the newest Python, compiled.",
    "alone": "Run the tests that measure time, behind those of newest.",
    "packaging": "Build packages and install them in all ways, behind newest.",
    "oldest": "Run the tests on the oldest Python and Twisted, plain, with coverage.",
    "wheel": "Build the wheel, and install it elsewhere.",
    "fuzz": "Fuzz each parser.",
    "benchmark": "Run the benchmarks for as long as it takes to see that all works.",
    "conformance": "Run the Autobahn testsuite, behind newest.",
}
"""
The steps, and what each is for.
"""

NEED_NEWEST = ("alone", "packaging", "conformance")
"""
Those that use the environment of another one.
"""


def _add(step: str, help: str) -> None:
    """
    Make a session of a step.
    """

    def run(session: nox.Session) -> None:
        before = ["newest"] if step in NEED_NEWEST else []
        session.run("bash", ".ci/run", *before, step, external=True)

    run.__doc__ = help
    nox.session(name=step, venv_backend="none")(run)


for _step, _help in STEPS.items():
    _add(_step, _help)


@nox.session(venv_backend="none")
def everything(session: nox.Session) -> None:
    """
    Run all steps, some of them side by side, and each case of conformance.
    """
    session.run("bash", ".ci/run", "everything", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """
    Run the everyday tests, compiled, with what stands behind C{--} for pytest.
    """
    session.install(".[test]")
    session.run("pytest", *session.posargs)
