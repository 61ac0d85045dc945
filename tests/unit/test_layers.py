"""Which way dependencies point (DESIGN section 1)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import wsplug
from tests.unit.test_exports import FOR_APPLICATIONS

ROOT = Path(wsplug.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in FILES]


def imports(path: Path, top: bool = False) -> Iterator[str]:
    """List the modules that a file imports, and the names in them: at its top level
    only, or anywhere.
    """
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_codec_imports_the_standard_library(path: Path) -> None:
    """codec imports itself, the errors and the standard library; the errors import even
    less.
    """
    allowed = {
        "codec": ("wsplug.errors.", "wsplug.build.", "wsplug.codec."),
        "errors.py": ("wsplug.printable.",),
        "printable.py": (),
    }.get(path.relative_to(ROOT).parts[0])
    if allowed is None:
        return
    for name in imports(path):
        standard = name.split(".")[0] in {*sys.stdlib_module_names, "__future__"}
        assert standard or name.startswith(allowed), name


PUT_TOGETHER = ("tap", "service", "serving", "plugins", "assembly", "testing")
"""No package imports the modules that assemble the server."""

FORBIDDEN = {
    "auth": (
        "guard",
        "codec",
        "transport",
        "server",
        "web",
        "apps",
        "broker",
        *PUT_TOGETHER,
    ),
    "guard": ("transport", "server", "web", "admin", "apps", "broker", *PUT_TOGETHER),
    "tls": ("server", "web", "admin", "apps", "broker", *PUT_TOGETHER),
    "transport": (
        "auth",
        "guard",
        "tls",
        "server",
        "web",
        "admin",
        "apps",
        "broker",
        "daemon",
        *PUT_TOGETHER,
    ),
    "server": ("admin", "tls", "web", "apps", "broker", "daemon", *PUT_TOGETHER),
    "daemon": ("admin", "web", "apps", "broker", "command", *PUT_TOGETHER),
    "web": ("admin", "apps", "broker", "daemon", *PUT_TOGETHER),
    "admin": ("daemon", *PUT_TOGETHER),
    "broker": ("admin", "apps", "web", *PUT_TOGETHER),
    "apps": ("admin", "server", "codec", "web", *PUT_TOGETHER),
    "testing": (
        "admin",
        "apps",
        "daemon",
        "tls",
        "tap",
        "command",
        "service",
        "assembly",
    ),
    **dict.fromkeys(
        (
            "interfaces.py",
            "options",
            "authoring",
            "shielding.py",
        ),
        ("server", "codec", "web", "apps", *PUT_TOGETHER),
    ),
    **dict.fromkeys(
        (
            "digests.py",
            "failures.py",
            "files.py",
            "jsontext.py",
            "networks.py",
            "rates.py",
            "responses.py",
        ),
        ("guard", "server", "web", "apps", *PUT_TOGETHER),
    ),
    "serving.py": ("tap", "assembly", "plugins", "service", "apps", "testing"),
    "service.py": ("tap", "assembly", "plugins", "apps", "testing"),
    "twistdservice.py": ("tap", "assembly", "plugins", "apps", "testing"),
    "plugins.py": ("tap", "assembly", "service", "apps", "testing"),
    "assembly": ("tap", "command", "apps", "testing"),
    "tap.py": ("command", "testing"),
    "command.py": ("testing",),
}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_rooms(path: Path) -> None:
    """codec <- transport, guard, auth <- server <- (broker, web, apps, admin) <- daemon
    <- tap, never the other way.
    """
    forbidden = FORBIDDEN.get(path.relative_to(ROOT).parts[0], ())
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "wsplug" and len(parts) > 1:
            assert parts[1] not in forbidden, name


APPLICATIONS = sorted((ROOT / "apps").rglob("*.py"))


@pytest.mark.parametrize(
    "path", APPLICATIONS, ids=[str(path.relative_to(ROOT)) for path in APPLICATIONS]
)
def test_applications_use_what_is_public(path: Path) -> None:
    """A bundled application imports its own modules, and names that public modules
    export.
    """
    own = ".".join(("wsplug", *path.relative_to(ROOT).parts[:2])).removesuffix(".py")
    for name in imports(path):
        if name.split(".")[0] != "wsplug" or name.startswith(f"{own}."):
            continue
        module, _, member = name.rpartition(".")
        if module == "wsplug" and name in FOR_APPLICATIONS:
            continue
        assert module in ("wsplug", *FOR_APPLICATIONS), name
        assert member in import_module(module).__all__, name


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_global_reactor(path: Path) -> None:
    """The reactor is a parameter; no module imports the global one."""
    for name in imports(path, top=True):
        assert not name.startswith("twisted.internet.reactor"), name
    if path.name != "tap.py":  # the command takes the reactor that twistd installed
        assert not any(
            name.startswith("twisted.internet.reactor") for name in imports(path)
        )


def test_one_place_for_twisted_webs_channel() -> None:
    """Only pages.py builds on HTTPChannel."""
    users = {path.name for path in FILES if "HTTPChannel" in path.read_text("utf-8")}
    assert users == {"pages.py"}


def test_pyopenssl_is_an_extra() -> None:
    """Only the TLS package needs pyOpenSSL; modules that everything imports do
    without."""
    users = {
        str(path.relative_to(ROOT))
        for path in FILES
        for name in imports(path, top=True)
        if name.startswith(("OpenSSL", "cryptography", "twisted.protocols.tls"))
    }
    assert users == {"tls/context.py", "tls/endpoint.py", "tls/reloading.py"}


def circles(roots: dict[str, set[str]]) -> list[list[str]]:
    """Find the groups of modules that import each other."""
    reached: dict[str, set[str]] = {}
    for start in roots:
        seen: set[str] = set()
        todo = list(roots[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(roots[name])
        reached[start] = seen
    found = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in reached
        if name in reached[name]
    }
    return sorted(map(list, found))


def test_circles() -> None:
    """No modules import each other, not even for type checkers.

    An import within a function is allowed: a package loads a part that way when it is
    needed.
    """
    modules: dict[str, Path] = {}
    for path in FILES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(("wsplug", *parts)).removesuffix(".__init__")
        modules[name] = path

    def targets(path: Path) -> Iterator[str]:
        tree = ast.parse(path.read_text("utf-8"))
        inner = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            if id(node) in inner:
                continue
            if isinstance(node, ast.Import):
                names = [(alias.name, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = str(node.module)
                names = [(f"{module}.{alias.name}", module) for alias in node.names]
            else:
                continue
            for name, module in names:
                target = name if name in modules else module
                if target in modules:
                    yield target

    graph = {name: set(targets(path)) - {name} for name, path in modules.items()}
    found = circles(graph)
    assert not found
