"""What is built, and whether it works once installed, each way in a separate
environment.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.packaging.kit import ROOT, Environment, run

pytestmark = pytest.mark.slow

DROP_INS = {
    f"twisted/plugins/{path.name}" for path in ROOT.glob("twisted/plugins/*.py")
}


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The source distribution.
    """
    folder = tmp_path_factory.mktemp("sdist")
    build = "import build_backend, sys; build_backend.build_sdist(sys.argv[1])"
    run(source, sys.executable, "-c", build, folder)
    (built,) = folder.glob("*.tar.gz")
    return built


def test_wheel(wheel: Path) -> None:
    """The wheel has the package, its typing marker, the pages and the drop-ins, and
    no file that would make Twisted's folders a package. Its list has each file with its
    digest.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert len(names) == len(archive.namelist())
        (record,) = (name for name in names if name.endswith(".dist-info/RECORD"))
        rows = list(csv.reader(io.StringIO(archive.read(record).decode("utf-8"))))
        assert sorted(row[0] for row in rows) == sorted(names)
        for name, digest, size in rows:
            if name == record:
                continue
            content = archive.read(name)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            assert digest == "sha256=" + hashed.rstrip(b"=").decode("ascii")
            assert int(size) == len(content)
    assert names > DROP_INS
    assert {name for name in names if name.startswith("twisted/")} == DROP_INS
    assert "wsplug/py.typed" in names
    assert "wsplug/codec/__init__.py" in names
    modules = {
        path.relative_to(ROOT / "src").as_posix() for path in ROOT.glob("src/**/*.py")
    }
    assert modules <= names
    patterns = (
        "web/static/*",
        "web/console/*",
        "admin/pages/*",
        "apps/*/pages/**/*",
        "scaffold/template/**/*",
    )
    pages = {
        path.relative_to(ROOT / "src").as_posix()
        for pattern in patterns
        for path in (ROOT / "src" / "wsplug").glob(pattern)
        if path.is_file()
    }
    assert {"wsplug/web/static/wsplug.js", "wsplug/apps/echo/pages/echo.js"} <= pages
    assert pages <= names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"twisted", "wsplug"}


def test_sdist(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """The source distribution has everything needed to build a wheel, and the tests;
    its wheel is identical.
    """
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names > DROP_INS
    assert {"build_backend.py", "pyproject.toml", "LICENSE", "README.md"} < names
    assert {"tests/conftest.py", "tests/live/node/package-lock.json"} < names
    assert not any(name.endswith((".pyc", "dropin.cache")) for name in names)
    assert not any("node_modules" in name or "/.hypothesis" in name for name in names)
    run(tmp_path, sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", sdist)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as ours, zipfile.ZipFile(wheel) as theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())


@pytest.mark.parametrize("way", ["wheel", "source", "editable"])
def test_installed(way: str, source: Path, wheel: Path, tmp_path: Path) -> None:
    """Installed from a wheel, from source, or editable, the command and the bundled
    applications are found from any folder. Twisted is complete, also after wsplug is
    uninstalled.
    """
    environment = Environment(tmp_path / "installed")
    what = wheel if way == "wheel" else source
    environment.pip("install", *["-e"] * (way == "editable"), what)
    environment.checkServes([environment.twistd])
    look = "import twisted, twisted.plugins, wsplug; print(twisted.__file__)"
    finished = run(environment.work, environment.python, "-c", look)
    assert Path(finished.out.strip()) == environment.site / "twisted" / "__init__.py"
    plugins = environment.site / "twisted" / "plugins"
    assert {f"twisted/plugins/{each.name}" for each in plugins.glob("wsp*")} == DROP_INS
    assert environment.missing() == []

    environment.pip("uninstall", "-y", "wsplug")
    assert list(plugins.glob("wsplug*")) == []
    assert environment.missing() == []
    finished = run(environment.work, environment.twistd, "--help")
    assert "    web " in finished.out
    assert "wsplug" not in finished.out
    assert "Traceback" not in finished.err


def test_new(wheel: Path, tmp_path: Path) -> None:
    """
    The package that C{wsplug new} makes installs editable, its tests pass, and C{--app}
    knows its application from any folder.
    """
    environment = Environment(tmp_path / "new")
    environment.pip("install", wheel, "pytest")
    program = environment.python.with_name("wsplug")
    run(environment.work, program, "new", "my-board")
    made = environment.work / "my-board"
    environment.pip("install", "-e", made)
    assert "3 passed" in run(made, environment.python, "-m", "pytest", "-q").out
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    checked = run(elsewhere, program, "check", "--no-listen", "--app", "my-board")
    assert "good: application my-board at /\n" in checked.out


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that all users can access."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o755)
    shutil.rmtree(folder)


def test_readOnly(wheel: Path, public: Path) -> None:
    """It also starts if a user can't write Twisted's plugin cache, as with packages
    that the system installed.
    """
    environment = Environment(public)
    environment.pip("install", wheel)
    for cache in environment.site.glob("**/dropin.cache"):
        cache.unlink()
    for path, _, files in os.walk(environment.site):
        Path(path).chmod(0o555)
        for name in files:
            (Path(path) / name).chmod(0o444)
    environment.work.chmod(0o777)
    program: list[str | Path] = [environment.twistd]
    if os.getuid() == 0:
        # Without these capabilities, root has no more rights than other users.
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            missing("setpriv (util-linux), to take from root what it may write")
        bounds = "--bounding-set=-dac_override,-dac_read_search"
        program = [setpriv, bounds, environment.twistd]
    environment.checkServes(program)
    assert list(environment.site.glob("**/dropin.cache")) == []
