"""The fuzz targets run without a fuzzer, and their seeds are valid."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.run import NAMES
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS


def test_names() -> None:
    """The command knows each target, and each has seeds and an invariant."""
    assert tuple(TARGETS) == NAMES == tuple(SEEDS)
    for target in TARGETS.values():
        assert "Invariant: " in (target.__doc__ or "")


@pytest.mark.parametrize("name", NAMES)
def test_invariants(name: str) -> None:
    """Each invariant holds for its seeds, and for some random changes of them."""
    rng = random.Random(name)
    target = TARGETS[name]
    target(b"")
    for seed in SEEDS[name]:
        target(seed)
        for _ in range(40):
            changed = bytearray(seed or b"\x00")
            for _ in range(rng.randint(1, 3)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            target(bytes(changed))
            target(bytes(changed[: rng.randrange(len(changed) + 1)]))
