"""The compiled build matches the source: each C{.pxd} agrees with its C{.py}."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wsplug.build import HOT_MODULES

PACKAGE = Path(__file__).parents[2] / "src" / "wsplug"
DECLARED = [
    name
    for name in HOT_MODULES
    if (PACKAGE / f"{name[7:].replace('.', '/')}.pxd").exists()
]

_CLASS = re.compile(r"^cdef class (\w+)[^\n]*:\n((?:(?:    [^\n]*)?\n)*)", re.M)
_ATTRIBUTE = re.compile(r"^    cdef (?:public |readonly )?(?:[\w ]+ )(\w+)$", re.M)
_METHOD = re.compile(r"^    c(?:p)?def (?:[\w ]+ )?(\w+)\(", re.M)
_CONSTANT = re.compile(r"^cdef (?:[\w ]+ )(\w+)$", re.M)
_FUNCTION = re.compile(r"^c(?:p)?def (?:[\w ]+ )?(\w+)\(", re.M)


def readPair(name: str) -> tuple[ast.Module, str]:
    """Read the source of a hot module, and its declarations."""
    path = PACKAGE / f"{name[7:].replace('.', '/')}.py"
    declarations = path.with_suffix(".pxd").read_text("utf-8")
    return ast.parse(path.read_text("utf-8")), declarations


def classesOf(tree: ast.Module) -> dict[str, ast.ClassDef]:
    """Give the classes of a module."""
    return {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}


def slotsOf(found: ast.ClassDef) -> set[str]:
    """Give a class's C{__slots__}."""
    for statement in found.body:
        if isinstance(statement, ast.Assign):
            (target,) = statement.targets
            if isinstance(target, ast.Name) and target.id == "__slots__":
                return set(ast.literal_eval(statement.value))
    raise AssertionError(f"{found.name} has no __slots__")


def assignedIn(function: ast.AST) -> set[str]:
    """Give the attributes of C{self} that a function sets."""
    return {
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def methodsOf(found: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """Give the methods of a class."""
    return {each.name: each for each in found.body if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("name", DECLARED)
def test_attributes(name: str) -> None:
    """Each compiled class has the same attributes in C{__slots__}, in C{__init__} and
    in its C{.pxd}."""
    tree, declarations = readPair(name)
    classes = classesOf(tree)
    for title, body in _CLASS.findall(declarations):
        found = classes[title]
        slots = slotsOf(found)
        assert set(_ATTRIBUTE.findall(body)) == slots, title
        methods = methodsOf(found)
        assert assignedIn(methods["__init__"]) == slots, title
        assert assignedIn(found) <= slots, title


@pytest.mark.parametrize("name", DECLARED)
def test_functions(name: str) -> None:
    """Each function to which a C{.pxd} gives a C signature exists, with as many
    parameters.
    """
    tree, declarations = readPair(name)
    classes = classesOf(tree)
    for title, body in _CLASS.findall(declarations):
        methods = methodsOf(classes[title])
        for method in _METHOD.findall(body):
            assert method in methods, f"{title}.{method}"
            (parameters,) = re.findall(rf"def [\w ]*\b{method}\(([^)]*)\)", body)
            there = [each.arg for each in methods[method].args.args]
            given = [part.split()[-1] for part in parameters.split(",") if part.strip()]
            assert given == there, f"{title}.{method}"
    functions = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    assert set(_FUNCTION.findall(declarations)) <= functions


@pytest.mark.parametrize("name", DECLARED)
def test_constants(name: str) -> None:
    """A C{.pxd} declares the types of constants; only the C{.py} has their values."""
    tree, declarations = readPair(name)
    known: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            known.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            known.add(node.target.id)
    outside = _CLASS.sub("", declarations)
    assert set(_CONSTANT.findall(outside)) <= known
    assert "enum" not in outside
    assert not re.search(r"^cdef [^(\n]*=", outside, re.M)


def test_numbers_stand_once() -> None:
    """Cython's own modules don't repeat constants of a C{.py} either."""
    for path in PACKAGE.rglob("*.pyx"):
        assert "cdef enum" not in path.read_text("utf-8"), path.name
