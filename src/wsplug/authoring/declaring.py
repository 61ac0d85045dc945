"""
Options that are declared by annotations: of a function's parameters, or of a class's
attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, get_args, get_origin, get_type_hints

from wsplug.options import REQUIRED, Kind, Option, boolean, integer, number, text

__all__ = ["annotationsOf", "makeOption"]

_KINDS: Final[dict[Any, Kind]] = {
    str: text,
    int: integer(-(10**15), 10**15),
    float: number(-1e15, 1e15),
    bool: boolean,
}


def makeOption(
    name: str, hint: Any, default: Any = REQUIRED, *, what: str, advice: str = ""
) -> Option:
    """
    Make an option of an annotation.

    @param name: the name of the parameter or attribute. Underscores become dashes.
    @param hint: C{str}, C{int}, C{float}, C{bool}, a kind of L{wsplug.options}, or
        C{Annotated} of one of these. C{Annotated} may have the help, which is a text,
        and a kind, such as C{Annotated[int, integer(1, 10), "How often."]}.
    @param default: the default; without one, the option is required.
    @param what: what error messages call it.
    @param advice: what they say at the end.
    @raise TypeError: it can't be an option.
    """
    help, kind = "", None
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        help = next((each for each in more if isinstance(each, str)), "")
        kind = next((each for each in more if callable(each)), None)
    if kind is None:
        kind = _KINDS.get(hint) if isinstance(hint, type) else hint
    if not callable(kind) or get_origin(kind) is not None:
        raise TypeError(
            f"{what} can't be an option: its type has to be str, int, float or bool, "
            f"not {hint!r}{advice}"
        )
    if default is not REQUIRED and hint in _KINDS and not _fits(default, hint):
        raise TypeError(f"{what}: the default {default!r} isn't of {hint.__name__}")
    return Option(name.replace("_", "-"), kind, default, help)


def _fits(default: object, type: type) -> bool:
    if isinstance(default, bool):
        return type is bool
    return isinstance(default, (int, float) if type is float else type)


def annotationsOf(cls: type) -> Iterator[tuple[str, Any]]:
    """
    Yield the name and the type of each attribute that a class itself annotates, without
    class variables and names that begin with an underscore.

    @raise TypeError: a type refers to a name that isn't defined.
    """
    for name, hint in inspect.get_annotations(cls).items():
        if name.startswith("_") or _isClassVariable(hint):
            continue
        # Of this attribute alone: another one's type may be for type checkers only.
        alone = type(
            "", (), {"__annotations__": {name: hint}, "__module__": cls.__module__}
        )
        try:
            hints = get_type_hints(alone, localns=dict(vars(cls)), include_extras=True)
        except Exception as error:
            raise TypeError(
                f"{cls.__name__}.{name}: its type {hint!r} can't be read: {error}"
            ) from None
        yield name, hints[name]


def _isClassVariable(hint: object) -> bool:
    if isinstance(hint, str):
        return hint.startswith(("ClassVar", "typing.ClassVar", "t.ClassVar"))
    return hint is ClassVar or get_origin(hint) is ClassVar
