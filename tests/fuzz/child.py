"""Run one fuzz target in its own process, or again with the inputs that broke it.

C{python -m tests.fuzz.child TARGET FILE...} runs the target on saved inputs, without a
fuzzer. L{tests.fuzz.run} starts it the other way, with C{--fuzz} and libFuzzer's own
options.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def _replay(target: str, paths: list[str]) -> None:
    from tests.fuzz.targets import TARGETS

    for path in paths:
        TARGETS[target](Path(path).read_bytes())
        print(f"{path}: the invariant holds")


def _fuzz(target: str, options: list[str]) -> None:
    atheris = import_module("atheris")
    # Only the code under test, before the targets import it uninstrumented.
    with atheris.instrument_imports(include=["wsplug"]):
        import_module("wsplug.codec")
        import_module("wsplug.auth.credentials")
        import_module("wsplug.testing")
    from tests.fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def main(arguments: list[str]) -> None:
    target, *rest = arguments
    if rest[:1] == ["--fuzz"]:
        _fuzz(target, rest[1:])
    else:
        _replay(target, rest)


if __name__ == "__main__":
    main(sys.argv[1:])
