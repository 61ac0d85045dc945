"""Install everything a run needs: the servers in an environment of their own, the C
programs, a certificate. Existing parts are reused.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import SetupError

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "benchmarks"

PEERS = (
    "aiohttp",
    "autobahn[twisted]",
    "picows",
    "twisted[tls,websocket]",
    "uvloop",
    "websockets",
)

# Packages whose versions the page lists.
_SHOWN = ("wsplug", "Twisted", "autobahn", "websockets", "aiohttp", "picows", "uvloop")

_PROBE = f"""
import json, platform, ssl
from importlib.metadata import version
from autobahn.websocket import USES_NVX
versions = {{name: version(name) for name in {_SHOWN!r}}}
versions["Python"] = platform.python_version()
versions["OpenSSL"] = ssl.OPENSSL_VERSION.split()[1]
versions["nvx"] = "yes" if USES_NVX else ""
print(json.dumps(versions))
"""

_LOAD = (
    "load",
    "messages",
    "upgrade",
    "sha1",
    "client",
    "traffic",
    "chat",
    "handshakes",
    "idle",
    "measuring",
)
_ECHO = ("echo", "sha1")

# The parts of the checkout that wsplug is built from.
_PACKAGE = ("src", "twisted", "*.py", "*.toml", "MANIFEST.in", "README.md", "LICENSE")


@dataclass(frozen=True)
class Installation:
    """
    What was installed.

    @ivar folder: where: the environment C{env}, the programs, logs.
    @ivar versions: of the servers, by name.
    @ivar build: the line with which wsplug says which build it is.
    """

    folder: Path
    versions: dict[str, str]
    build: str

    @property
    def python(self) -> Path:
        """
        The environment's interpreter.
        """
        return self.folder / "env" / "bin" / "python"

    @property
    def twistd(self) -> Path:
        """
        The environment's C{twistd}.
        """
        return self.folder / "env" / "bin" / "twistd"

    @property
    def load(self) -> Path:
        """
        The load generator.
        """
        return self.folder / "load"

    @property
    def echo(self) -> Path:
        """
        The echo in C.
        """
        return self.folder / "echo"

    @property
    def certificate(self) -> Path:
        """
        The certificate for TLS.
        """
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """
        Its key.
        """
        return self.folder / "key.pem"


def install(folder: Path = BUILD) -> Installation:
    """
    Install what is missing.

    @param folder: where.
    @raise SetupError: something can't be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    compile_load(folder)
    _compile(folder / "echo", _ECHO, [])
    python = folder / "env" / "bin" / "python"
    _install_peers(folder, python)
    _install_wsplug(folder, python)
    unknown = Installation(folder, {}, "")
    if not unknown.certificate.exists() or not unknown.key.exists():
        words = ["-m", "benchmarks.peers.certificate"]
        paths = [str(unknown.certificate), str(unknown.key)]
        _run([str(python), *words, *paths], "no certificate", cwd=ROOT)
    versions: dict[str, str] = json.loads(
        _run([str(python), "-c", _PROBE], "the servers do not import")
    )
    if not versions.pop("nvx"):
        raise SetupError("this installation of Autobahn has no native code (NVX)")
    # Not in the checkout: twistd would find its drop-ins in place of the installed
    # ones.
    build = _run(
        [str(unknown.twistd), "wsplug", "--version"], "wsplug does not run", cwd=folder
    )
    return Installation(folder, versions, build.strip())


def _run(command: Sequence[str], complaint: str, cwd: Path | None = None) -> str:
    """
    @return: what a command printed.
    @raise SetupError: it failed.
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise SetupError(f"{complaint}: {error}") from error
    if done.returncode:
        reason = explain(done.stderr or done.stdout) or f"status {done.returncode}"
        raise SetupError(f"{complaint}: {reason}")
    return done.stdout


def explain(output: str) -> str:
    """@return: the line of a failed command's output that most likely gives the
    reason: an exception's, or else the first that mentions an error, or the last.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    exceptions = [line for line in lines if re.match(r"[A-Za-z_.]+Error: ", line)]
    errors = [line for line in lines if "error" in line.lower()]
    return next(iter([*exceptions, *errors, *lines[-1:]]), "")


def compile_load(folder: Path) -> Path:
    """
    Compile the load generator, if it isn't there as its sources are.

    @param folder: where to.
    @return: the program.
    @raise SetupError: it can't be compiled here.
    """
    program = folder / "load"
    _compile(program, _LOAD, ["-lssl", "-lcrypto", "-lz"])
    return program


def _compile(program: Path, modules: Sequence[str], libraries: list[str]) -> None:
    sources = [SOURCES / f"{module}.c" for module in modules]
    inputs = [*sources, *SOURCES.glob("*.h")]
    if program.exists() and all(
        path.stat().st_mtime < program.stat().st_mtime for path in inputs
    ):
        return
    print(f"compiling {program.name}", flush=True)
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
    _run(
        ["gcc", *flags, "-o", str(program), *map(str, sources), *libraries],
        f"can't compile {program.name} (it takes gcc, and the headers of zlib and "
        "OpenSSL: Debian's packages gcc, zlib1g-dev and libssl-dev)",
    )


def _install_peers(folder: Path, python: Path) -> None:
    stamp = folder / "env" / "peers"
    wanted = "\n".join(PEERS)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print("installing the servers to compare with", flush=True)
    _run([sys.executable, "-m", "venv", str(folder / "env")], "no environment")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--upgrade"]
    _run([*pip, *PEERS], "can't install the servers")
    stamp.write_text(wanted, "utf-8")


def _install_wsplug(folder: Path, python: Path) -> None:
    """Install wsplug as its users do, but from a copy: a build in the checkout
    leaves files there, and uses those that an older build left.
    """
    stamp = folder / "env" / "wsplug"
    state = fingerprint(ROOT, _package_files())
    if stamp.exists() and stamp.read_text("utf-8") == state:
        return
    print("installing wsplug", flush=True)
    copy = folder / "source"
    shutil.rmtree(copy, ignore_errors=True)
    for path in _package_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    # Its version stays the same while it changes, so pip would keep the old one.
    pip = [str(python), "-m", "pip"]
    _run([*pip, "uninstall", "--quiet", "--yes", "wsplug"], "can't remove wsplug")
    _run([*pip, "install", "--quiet", str(copy)], "can't install wsplug")
    stamp.write_text(state, "utf-8")


def _package_files() -> list[Path]:
    found = []
    for pattern in _PACKAGE:
        for path in sorted(ROOT.glob(pattern)):
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
            found += [each for each in inside if _is_source(each)]
    return found


def _is_source(path: Path) -> bool:
    # Files that an in-place build left: Cython's C code, and extension modules.
    built = path.suffix in (".pyc", ".so", ".c") or path.name == "dropin.cache"
    inside = any(part.endswith((".egg-info", "__pycache__")) for part in path.parts)
    return path.is_file() and not built and not inside


def fingerprint(root: Path, paths: Iterable[Path]) -> str:
    """@return: a digest that changes if a file's content or name does."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
