"""
Mistakes in how an application is written. They are found when it is loaded, and each is
one line that points at the application's own code.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from wsplug.interfaces import (
    INoticeReceiver,
    IWebSocketApplication,
    IWebSocketProtocol,
)

__all__ = [
    "APPLICATION",
    "PROTOCOL",
    "DeclarationError",
    "checkCoroutine",
    "checkNames",
    "checkProtocolClass",
    "placeOf",
    "showPlace",
]

PROTOCOL: Final = frozenset({*IWebSocketProtocol.names(), *INoticeReceiver.names()})

APPLICATION: Final = frozenset(IWebSocketApplication.names())
"""
The names of the methods that a protocol and an application may have.
"""

_FOREIGN: Final = ("abc", "builtins", "twisted", "typing", "wsplug", "zope")

_SIMILAR: Final = 0.92
"""
How similar two names are of which one is taken for the other, as difflib counts it.
"""

_LONG: Final = 13
"""
Letters of the shortest name that similar names are looked for. Short names are similar
to too many words.
"""

_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)

Place = tuple[str, int]


class DeclarationError(TypeError):
    """
    An application is written wrongly.

    @ivar place: the file and the line; C{None} if they aren't known.
    """

    def __init__(self, message: str, target: object) -> None:
        """
        @param target: the function or class that is wrong.
        """
        super().__init__(message)
        self.place = placeOf(target)


def placeOf(target: object) -> Place | None:
    """
    Return where a function, a class or the class of an object is written.

    @return: the file and the line; C{None} for code of wsplug and for what has no
        source.
    """
    found: Any = inspect.unwrap(target) if callable(target) else target
    if not inspect.isroutine(found) and not isinstance(found, type):
        found = type(found)
    if _isForeign(getattr(found, "__module__", None)):
        return None
    code = getattr(found, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    try:
        return inspect.getsourcefile(found) or "", inspect.getsourcelines(found)[1]
    except (OSError, TypeError):
        return None


def showPlace(target: object) -> str:
    """
    Return where something is written, for an error message; empty if nobody knows.
    """
    place = placeOf(target)
    return "" if place is None else f"{place[0]}, line {place[1]}"


def _isForeign(module: str | None) -> bool:
    return module is None or module.partition(".")[0] in _FOREIGN


# Names


def checkNames(cls: type, names: Collection[str]) -> None:
    """
    Find methods whose names are nearly those of a contract, such as
    C{textMessageRecieved}. Nobody would ever call them.

    @param names: the contract's.
    @raise DeclarationError: there is one, and the class doesn't have the method with
        the right name.
    """
    own = dict(_methodsOf(cls))
    for name, method in own.items():
        meant = None if name in names else _findMeant(name, names)
        if meant is not None and meant not in own:
            raise DeclarationError(
                f"{cls.__name__}.{name} is never called; did you mean {meant}?", method
            )


def _methodsOf(cls: type) -> Iterator[tuple[str, Any]]:
    """
    Yield the public methods that aren't those of a library's base class.
    """
    for base in cls.__mro__:
        if _isForeign(base.__module__):
            continue
        for name in vars(base):
            method = getattr(cls, name, None)
            if not name.startswith("_") and inspect.isroutine(method):
                yield name, method


def _findMeant(name: str, names: Collection[str]) -> str | None:
    """
    Return the name that somebody has meant: with the same letters, or a similar one.
    """
    written = name.replace("_", "").lower()
    lowered = {each.lower(): each for each in sorted(names)}
    for lower, each in lowered.items():
        if sorted(written) == sorted(lower):
            return each
    long = [lower for lower in lowered if len(lower) >= _LONG]
    close = difflib.get_close_matches(written, long, 1, _SIMILAR)
    return lowered[close[0]] if close else None


# What is decorated


def checkCoroutine(function: Callable[..., Any]) -> None:
    """
    Check the parameters of a coroutine function: the socket, and options behind a
    C{*}.

    @raise DeclarationError: they are others.
    """
    name = function.__name__
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    if not positional:
        raise DeclarationError(
            f"{name}() takes no socket: write async def {name}(socket)", function
        )
    if len(positional) > 1:
        option = positional[1].name
        raise DeclarationError(
            f"{name}() has {option!r} beside the socket: an option is written behind a "
            f"*, as in async def {name}(socket, *, {option}=...)",
            function,
        )


def checkProtocolClass(cls: type) -> None:
    """
    Check a class that makes a protocol for each connection.

    @raise DeclarationError: a method is missing or has a wrong name, or a parameter
        can't be an option.
    """
    if callable(getattr(cls, "buildProtocol", None)):
        raise DeclarationError(
            f"{cls.__name__} has buildProtocol, so it is an application and not a "
            "protocol: leave out the decorator, and name an object of the class",
            cls,
        )
    checkNames(cls, PROTOCOL)
    missing = [
        name
        for name in IWebSocketProtocol.names()
        if not callable(getattr(cls, name, None))
    ]
    if missing:
        raise DeclarationError(
            f"{cls.__name__} has no {min(missing)}: write class "
            f"{cls.__name__}(WebSocketProtocol), which has all that a protocol needs",
            cls,
        )
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind in _POSITIONAL:
            raise DeclarationError(
                f"{cls.__name__}() has the parameter {parameter.name!r}: an option is "
                "written behind a *, as in "
                f"def __init__(self, *, {parameter.name}=...)",
                cls.__init__,  # type: ignore[misc]
            )
