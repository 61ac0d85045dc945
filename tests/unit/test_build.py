"""
Whether the compiled or the pure-Python build runs.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsplug.codec
import wsplug.codec.masking
from wsplug.build import (
    COMPILED,
    DESCRIPTION,
    HOT_MODULES,
    MARK,
    NATIVE_MODULES,
    describeBuild,
    digestOf,
)
from wsplug.codec import frames, utf8

SHOW = """
import sys
import wsplug.codec
from wsplug import build
from wsplug.codec import MessageReceiver, receiver
from wsplug.server import connection
assert wsplug.codec.MessageReceiver is receiver.MessageReceiver
print(build.DESCRIPTION, receiver.__file__, connection.__file__, sep="\\n")
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
    With WSPLUG_PURE, the sources run, even if compiled modules exist.
    """
    description, *files = _show(pure)
    assert description == "pure Python"
    assert [Path(file).name for file in files] == ["receiver.py", "connection.py"]


@pytest.mark.parametrize("pure", ["", "0"])
def test_compiled_where_it_is(pure: str) -> None:
    """
    Without it, the compiled modules run if they exist.
    """
    folder = Path(wsplug.codec.__file__).parent
    built = any(
        (folder / f"receiver{suffix}").exists() for suffix in EXTENSION_SUFFIXES
    )
    description, *files = _show(pure)
    assert description == ("compiled" if built else "pure Python")
    assert all((Path(file).suffix != ".py") is built for file in files)


def test_description() -> None:
    """The description matches the modules that are loaded."""
    assert ("compiled" if COMPILED else "pure Python") == DESCRIPTION
    for name in HOT_MODULES:
        module = import_module(name)
        assert str(module.__file__).endswith(".py") is not COMPILED


def _plain(name: str) -> Any:
    """
    Load a module's pure-Python functions.
    """
    found = find_spec(name)
    assert found is not None
    assert found.origin is not None
    spec = spec_from_file_location("plain", found.origin)
    assert spec is not None
    assert spec.loader is not None
    module: Any = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsplug.build.COMPILED", False)
        spec.loader.exec_module(module)
    return module


def test_both_mask_alike() -> None:
    """Compiled and plain masking agree for each length and offset."""
    native: Any = wsplug.codec.masking
    plain = _plain("wsplug.codec.masking")
    chance = random.Random(1)
    data = chance.randbytes(300)
    mask = chance.randbytes(4)
    for size in range(80):
        part = plain.apply_mask(data[:size], mask)
        assert native.apply_mask(data[:size], mask) == part
        for start in range(4, 13):
            end = start + size
            part = plain.unmask(data, start, end, mask)
            assert native.unmask(data, start, end, mask) == part
            assert plain.apply_mask(part, mask) == data[start:end]
            behind = plain.unmask_behind(data, start, end)
            assert native.unmask_behind(data, start, end) == behind
            assert behind == plain.unmask(data, start, end, data[start - 4 : start])


def test_both_encode_alike() -> None:
    """Compiled and plain frames are identical at the limits of each length encoding."""
    plain = _plain("wsplug.codec.frames")
    for size in (0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 100_000):
        payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
        frame = plain.encode_unmasked(0x82, payload)
        assert frames.encode_unmasked(0x82, payload) == frame
        for text in ("a" * size, "é" * (size // 2), "😀" * (size // 4)):
            frame = plain.encode_text(0x81, text)
            assert frames.encode_text(0x81, text) == frame
            assert frame == plain.encode_unmasked(0x81, text.encode())
    for encode in (plain.encode_text, frames.encode_text):
        with pytest.raises(UnicodeEncodeError):
            encode(0x81, "half a pair: \ud800")


_plain_utf8 = _plain("wsplug.codec.utf8")


@given(
    st.lists(
        st.one_of(
            st.text(max_size=20).map(str.encode),
            st.binary(max_size=4),
            st.integers(1, 200).map(lambda size: b"a" * size),
            st.text("é日😀", max_size=20).map(str.encode),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_both_check_alike(pieces: list[bytes], final: bool) -> None:
    """The compiled and the plain UTF-8 check agree for any bytes."""
    plain = _plain_utf8.known_utf8
    text = bytearray(b"".join(pieces))
    assert utf8.known_utf8(text, 0, final) == plain(text, 0, final)


def test_limits_beyond_all() -> None:
    """
    The largest possible limit doesn't overflow.
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


def test_each_module_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says how many modules are loaded compiled, and names those that
    aren't.
    """
    modules = len(HOT_MODULES) + len(NATIVE_MODULES)
    if COMPILED:
        assert describeBuild() == f"compiled, {modules} of {modules} modules"
    else:
        assert describeBuild() == "pure Python"
    connection: Any = import_module("wsplug.server.connection")
    monkeypatch.setattr(connection, "__file__", f"{connection.__file__}.so")
    if not COMPILED:
        monkeypatch.setattr("wsplug.build._isStale", lambda name, file: False)
        start = f"compiled, 1 of {modules} modules; INCOMPLETE: pure Python: wsplug."
        assert describeBuild().startswith(start)
        assert "wsplug.server.inboundlimits" in describeBuild()


@pytest.mark.parametrize("stale", [HOT_MODULES[0], *NATIVE_MODULES])
def test_stale_module(
    stale: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If an extension module was compiled from sources other than those beside it, the
    command says so, whichever language it is written in.
    """
    modules = (*HOT_MODULES, *NATIVE_MODULES)
    loaded = {}
    for name in modules:
        file = tmp_path / f"{name}.so"
        file.write_bytes(b"\0" + MARK.encode() + digestOf(name).encode() + b"\0")
        loaded[name] = SimpleNamespace(__file__=str(file))
    monkeypatch.setattr("wsplug.build.COMPILED", True)
    monkeypatch.setattr("wsplug.build.import_module", loaded.__getitem__)
    whole = f"compiled, {len(modules)} of {len(modules)} modules"
    assert describeBuild() == whole
    other = digestOf("wsplug.server.connection").encode()
    Path(loaded[stale].__file__).write_bytes(b"\0" + MARK.encode() + other + b"\0")
    assert describeBuild() == f"{whole}; STALE: built from other sources: {stale}"


@pytest.mark.parametrize("name", NATIVE_MODULES)
def test_digest_has_cython(name: str) -> None:
    """The digest of a Cython module covers its sources: each differs from the others,
    and from that of a module without sources.
    """
    digests = {digestOf(each) for each in (*NATIVE_MODULES, "wsplug.codec.missing")}
    assert len(digests) == len(NATIVE_MODULES) + 1
    folder, _, last = name[len("wsplug.") :].rpartition(".")
    assert (Path(wsplug.__file__).parent / folder / f"{last}.pyx").exists()


def test_incomplete_build(tmp_path: Path) -> None:
    """If extension modules are missing, all modules run from source, and the command
    lists the missing ones.
    """
    package = Path(wsplug.__file__).parent
    shutil.copytree(
        package,
        tmp_path / "wsplug",
        ignore=shutil.ignore_patterns("*.so", "__pycache__", "pages"),
    )
    # The file isn't loaded: that would fail.
    tmp_path.joinpath("wsplug", "codec", f"receiver{EXTENSION_SUFFIXES[0]}").touch()
    code = "from wsplug.build import *; print(DESCRIPTION); print(describeBuild())"
    described = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "WSPLUG_PURE": "0"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    missing = ", ".join((*HOT_MODULES[1:], *NATIVE_MODULES))
    assert described == [
        "pure Python",
        f"pure Python; INCOMPLETE: not built: {missing}",
    ]


def test_all_sources_are_listed() -> None:
    """
    Each C{.pyx} of the package is one of the modules that are built.
    """
    package = Path(wsplug.__file__).parent
    found = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for path in package.rglob("*.pyx")
    }
    assert found == set(NATIVE_MODULES)


def test_digest_has_the_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A change in a .pxd changes the digest, too.
    """
    before = digestOf("wsplug.server.connection")
    assert before == digestOf("wsplug.server.connection")
    monkeypatch.setattr(
        "wsplug.build._fileOf", lambda name, suffix: Path(__file__) / suffix
    )
    assert digestOf("wsplug.server.connection") != before
