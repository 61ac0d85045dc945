"""
Kinds of values: each one parses an option's value, and writes a value as its user
would.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

__all__ = [
    "UNLIMITED",
    "Kind",
    "ValueKind",
    "boolean",
    "choice",
    "count",
    "delay",
    "delayUpTo",
    "describeKind",
    "integer",
    "number",
    "path",
    "period",
    "seconds",
    "secret",
    "showValue",
    "size",
    "text",
    "threshold",
    "wholeSeconds",
]

_T = TypeVar("_T")

Kind = Callable[[str], Any]
"""
A function that parses a value, or raises a C{ValueError} that says which values it
takes. A L{ValueKind} can also show its values.
"""

UNLIMITED: Final = sys.maxsize // 4
"""
The value of a limit that is switched off. It is larger than any real value, and small
enough for arithmetic without an overflow in C.
"""


class ValueKind(Generic[_T]):
    """
    A kind of value.

    @ivar words: which values it takes, in a few words, for the reference.
    @ivar show: writes a value as text that the kind parses as the same value.
    """

    def __init__(
        self, parse: Callable[[str], _T], words: str, show: Callable[[Any], str]
    ) -> None:
        """
        @param parse: parses a value, or raises C{ValueError}.
        """
        self._parse = parse
        self.words = words
        self.show = show
        self.__doc__ = parse.__doc__

    def __call__(self, value: str) -> _T:
        return self._parse(value)


def _showPlainly(value: Any) -> str:
    if isinstance(value, bool):
        return _showBoolean(value)
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value)


def _showBoolean(value: bool) -> str:
    return "yes" if value else "no"


def _kind(
    words: str, show: Callable[[Any], str] = _showPlainly
) -> Callable[[Callable[[str], _T]], ValueKind[_T]]:
    def make(parse: Callable[[str], _T]) -> ValueKind[_T]:
        return ValueKind(parse, words, show)

    return make


def describeKind(kind: Kind) -> str:
    """
    Return in a few words which values a kind takes.
    """
    return kind.words if isinstance(kind, ValueKind) else "text"


def showValue(kind: Kind, value: Any) -> str:
    """
    Write a value as a user would.
    """
    if isinstance(kind, ValueKind):
        return str(kind.show(value))
    return _showPlainly(value)


def _showCount(value: int) -> str:
    return "unlimited" if value == UNLIMITED else str(value)


def _showSize(value: int) -> str:
    if value == UNLIMITED:
        return "unlimited"
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if value and value % unit == 0:
            return f"{value // unit}{name}"
    return str(value)


def _showNumber(value: float) -> str:
    """
    Write a number with all its digits and without an exponent.
    """
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _showLimit(value: float) -> str:
    return _showNumber(value) if value else "off"


def _showPeriod(value: float) -> str:
    for unit, name in ((3600, "h"), (60, "m")):
        if value and value % unit == 0:
            return f"{_showNumber(value / unit)}{name}"
    return _showNumber(value)


@_kind("text")
def text(value: str) -> str:
    """
    Any text.
    """
    return value


@_kind("path")
def path(value: str) -> str:
    """
    The path of a file or folder.
    """
    return value


@_kind("text")
def secret(value: str) -> str:
    """
    Any text that has to stay secret: no error message quotes it.
    """
    return value


@_kind("`yes` or `no`", _showBoolean)
def boolean(value: str) -> bool:
    """
    C{yes} or C{no}; C{on}, C{true}, C{1} and their opposites too.
    """
    word = value.lower()
    if word in ("yes", "on", "true", "1"):
        return True
    if word in ("no", "off", "false", "0"):
        return False
    raise ValueError("yes or no")


def integer(low: int, high: int) -> ValueKind[int]:
    """
    A whole number in a range, including both ends.
    """

    def parse(value: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,18}", value) and low <= int(value) <= high:
            return int(value)
        raise ValueError(f"a whole number from {low} to {high}")

    return _kind(f"number from {low} to {high}")(parse)


def number(low: float, high: float) -> ValueKind[float]:
    """
    A number in a range, including both ends.
    """
    words = f"number from {_showNumber(low)} to {_showNumber(high)}"

    def parse(value: str) -> float:
        plain = re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value)
        if plain and low <= float(value) <= high:
            return float(value)
        raise ValueError(f"a {words}")

    return _kind(words, _showNumber)(parse)


@_kind("number, or `unlimited`", _showCount)
def count(value: str) -> int:
    """
    A whole number of at least 1, or C{unlimited}.
    """
    if value == "unlimited":
        return UNLIMITED
    if re.fullmatch(r"[0-9]{1,18}", value) and int(value) > 0:
        return int(value)
    raise ValueError("a whole number of at least 1, or 'unlimited'")


_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def _sizeOf(value: str) -> int | None:
    """
    Read a number of bytes, or C{unlimited}.
    """
    if value == "unlimited":
        return UNLIMITED
    match = re.fullmatch(r"([0-9]{1,12}) ?(?:([kmg])(?:i?b)?|b)?", value.lower())
    return None if match is None else int(match[1]) * _UNITS[match[2] or ""]


@_kind("size, or `unlimited`", _showSize)
def size(value: str) -> int:
    """
    A number of bytes, C{KiB}, C{MiB} or C{GiB}, at least 1, or C{unlimited}.
    """
    read = _sizeOf(value)
    if not read:
        raise ValueError("a size like 65536, 64KiB or 1MiB, or 'unlimited'")
    return read


@_kind("size, or `unlimited`", _showSize)
def threshold(value: str) -> int:
    """
    The smallest size for which the server does something: a number of bytes like
    L{size}, C{0} for always, or C{unlimited} for never.
    """
    read = _sizeOf(value)
    if read is None:
        raise ValueError("a size like 128 or 64KiB, 0 for any, or 'unlimited' for none")
    return read


_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


def _secondsOf(value: str) -> float | None:
    """
    Read a time in seconds, minutes (C{5m}) or hours (C{1h}).
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smh]?)", value.lower())
    return None if match is None else float(match[1]) * _SECONDS[match[2]]


@_kind("seconds, or `off`", _showLimit)
def seconds(value: str) -> float:
    """
    A timeout: seconds, minutes (C{5m}) or hours (C{1h}), or C{off} for none. C{off} is
    stored as 0. The kind refuses the number 0, because it could mean "at once" or
    "never".
    """
    read = 0.0 if value == "off" else _secondsOf(value)
    if read is None or (not read and value != "off"):
        raise ValueError("a time in seconds like 10, 0.5 or 5m, or 'off'")
    return read


@_kind("seconds", _showNumber)
def delay(value: str) -> float:
    """
    A time for which something waits or lasts: like L{seconds}, or C{0} or C{off}, which
    both mean no delay.
    """
    read = 0.0 if value == "off" else _secondsOf(value)
    if read is None:
        raise ValueError("a time in seconds like 10, 0.5 or 5m, or 0 for none")
    return read


def delayUpTo(high: float) -> ValueKind[float]:
    """
    A L{delay} with a maximum in seconds.
    """

    def parse(value: str) -> float:
        read = 0.0 if value == "off" else _secondsOf(value)
        if read is None or read > high:
            raise ValueError(f"a time in seconds from 0 to {_showNumber(high)}")
        return read

    return _kind(f"seconds, at most {_showNumber(high)}", _showNumber)(parse)


@_kind("seconds", _showPeriod)
def period(value: str) -> float:
    """
    A time of more than 0: like L{seconds}, but without C{off}.
    """
    read = _secondsOf(value)
    if not read:
        raise ValueError("a time in seconds like 10, or like 5m or 24h")
    return read


def wholeSeconds(low: int, high: int) -> ValueKind[int]:
    """
    A time of whole seconds in a range, including both ends.
    """

    def parse(value: str) -> int:
        read = _secondsOf(value)
        if read is None or read != int(read) or not low <= read <= high:
            raise ValueError(f"a time in whole seconds from {low} to {high}")
        return int(read)

    return _kind(f"whole seconds from {low} to {high}")(parse)


def choice(*words: str) -> ValueKind[str]:
    """
    One of some words.
    """

    def parse(value: str) -> str:
        if value in words:
            return value
        raise ValueError("one of " + ", ".join(words))

    return _kind(", ".join(f"`{word}`" for word in words))(parse)
