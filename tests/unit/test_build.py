"""
Which build of the codec runs.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import wsplug.codec
from wsplug.build import COMPILED, DESCRIPTION, HOT_MODULES

SHOW = """
import sys
import wsplug.codec
from wsplug import build
from wsplug.codec import MessageReceiver, encode_frame, frames, receiver
assert wsplug.codec.MessageReceiver is receiver.MessageReceiver
assert wsplug.codec.encode_frame is frames.encode_frame
print(build.DESCRIPTION, receiver.__file__, frames.__file__, sep="\\n")
"""


def _show(pure: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", SHOW],
        env={**os.environ, "WSPLUG_PURE": pure},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()


@pytest.mark.parametrize("pure", ["1", "yes"])
def test_pure_is_forced(pure: str) -> None:
    """
    WSPLUG_PURE has the sources run, whatever is built.
    """
    description, *files = _show(pure)
    assert description == "pure Python"
    assert [Path(file).name for file in files] == ["receiver.py", "frames.py"]


@pytest.mark.parametrize("pure", ["", "0"])
def test_compiled_where_it_is(pure: str) -> None:
    """
    Otherwise what is built runs.
    """
    folder = Path(wsplug.codec.__file__).parent
    built = any((folder / f"receiver{suffix}").exists() for suffix in EXTENSION_SUFFIXES)
    description, *files = _show(pure)
    assert description == ("compiled" if built else "pure Python")
    assert all((Path(file).suffix != ".py") is built for file in files)


def test_description() -> None:
    """
    What the command says is what runs.
    """
    assert ("compiled" if COMPILED else "pure Python") == DESCRIPTION
    for name in HOT_MODULES:
        module = import_module(name)
        assert str(module.__file__).endswith(".py") is not COMPILED


def _plain_masking() -> Any:
    """
    Load masking.py as it is without the compiled codec.
    """
    source = Path(wsplug.codec.__file__).with_name("masking.py")
    spec = spec_from_file_location("plain_masking", source)
    assert spec is not None
    assert spec.loader is not None
    module: Any = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsplug.build.COMPILED", False)
        spec.loader.exec_module(module)
    return module


def test_both_mask_alike() -> None:
    """
    The compiled masking and the plain one agree on each length and offset.
    """
    plain = _plain_masking()
    chance = random.Random(1)
    data = chance.randbytes(300)
    mask = chance.randbytes(4)
    for size in range(80):
        assert wsplug.codec.apply_mask(data[:size], mask) == plain.apply_mask(
            data[:size], mask
        )
        for start in range(9):
            part = plain.unmask(data, start, start + size, mask)
            assert wsplug.codec.masking.unmask(data, start, start + size, mask) == part
            assert plain.apply_mask(part, mask) == data[start : start + size]


def test_limits_beyond_all() -> None:
    """
    A limit as large as there is one doesn't overflow anything.
    """
    received: list[object] = []

    class Sink:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: received.append((name, *arguments))

    sink: Any = Sink()
    receiver = wsplug.codec.MessageReceiver(sink, max_message_size=sys.maxsize)
    receiver.feed(b"\x82\x81\0\0\0\0x\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0y")
    (first, second) = received
    assert first == ("binary_received", b"x")
    assert isinstance(second, tuple)
    assert second[0] == "violation_received"
    assert second[1].code == 1009
