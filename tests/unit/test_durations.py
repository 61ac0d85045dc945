"""The rules for times, sizes and numbers, tested on every option."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from wsplug.apps.echo import echo
from wsplug.assembly.configuration import OPTIONS as SERVER_OPTIONS
from wsplug.auth.jwt import JWT_OPTIONS
from wsplug.broker import makeBroker
from wsplug.broker.selection import RETENTION_OPTIONS
from wsplug.errors import InvalidOption
from wsplug.options import (
    UNLIMITED,
    Option,
    boolean,
    choice,
    count,
    delay,
    period,
    seconds,
    size,
    text,
    threshold,
)
from wsplug.plugins import MOUNT_OPTIONS, findApplications
from wsplug.server.settings import Settings
from wsplug.testing import MemoryServer

LIMITS = Path(__file__).parents[2] / "docs" / "reference" / "limits.md"


def everyOption() -> Iterator[tuple[str, Option]]:
    """Give all options, including those of applications, with their owners."""
    for option in SERVER_OPTIONS:
        yield option.name, option
    for option in RETENTION_OPTIONS:
        yield f"broker:{option.name}", option
    for option in JWT_OPTIONS:
        yield f"jwt:{option.name}", option
    for option in MOUNT_OPTIONS:
        yield f"app:{option.name}", option
    for plugin in findApplications():
        if plugin.name in ("bot", "chat", "echo", "process", "push", "relay", "ticker"):
            for option in plugin.options:
                yield f"{plugin.name}:{option.name}", option


OPTIONS = dict(everyOption())

VALUES = ("0", "off", "unlimited", "5", "5m", "64KiB", "-1", "soon", "", "1e9", "0.0")


def suggestions(what: str) -> Iterator[str]:
    """Read from an error which values it says are valid.

    @param what: what the error asks for, as C{a time in seconds like 10, 0.5 or 5m, or
        'off'}.
    """
    yield from re.findall(r"'([^']*)'", what)
    yield from re.findall(r"\b(0) for", what)
    ends = re.search(r"(?:from|at least) (-?[0-9.e+]+)(?: to (-?[0-9.e+]+))?", what)
    if ends is not None:
        yield from (each for each in ends.groups() if each is not None)
    for like in re.findall(r"\blike ([^'(]+?)(?:, or|, 0 for|$)", what):
        yield from re.split(r", | or ", like)
    words = re.search(r"one of (.+)$", what)
    if words is not None:
        yield from words[1].split(", ")
    if what == "yes or no":
        yield from ("yes", "no")


@pytest.mark.parametrize("name", OPTIONS)
def test_suggestions_are_accepted(name: str) -> None:
    """The values that an option's error suggests are accepted."""
    option = OPTIONS[name]
    for value in VALUES:
        if meaning(option, value) != "refused":
            continue
        with pytest.raises(InvalidOption) as caught:
            option.parse(value)
        error = str(caught.value)
        match = re.fullmatch(rf"{option.name} takes (.*), not '.*'", error)
        assert match is not None, error
        suggested = list(suggestions(match[1]))
        if option.kind in (count, delay, period, seconds, size, threshold):
            assert suggested, error
        for each in suggested:
            option.parse(each)


def meaning(option: Option, value: str) -> object:
    try:
        return option.parse(value)
    except InvalidOption:
        return "refused"


def takesTime(option: Option) -> bool:
    """Say whether an option is a time, or could be mistaken for one."""
    words = option.kind not in (boolean, text) and "second" in option.help.split()[0]
    return words or meaning(option, "5m") == 300.0 or option.kind is threshold


def documented() -> dict[str, tuple[str, str]]:
    """Read what the documentation says about each option."""
    section = LIMITS.read_text("utf-8").partition("## What 0, off and unlimited")[2]
    section = section.partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", section, re.M)
    return {
        name: (zero, off) for name, zero, off in rows if name in OPTIONS or ":" in name
    }


def test_documented() -> None:
    """The documentation lists every option that is a time, and the values it calls
    invalid are refused.
    """
    rows = documented()
    times = {name for name, option in OPTIONS.items() if takesTime(option)}
    assert set(rows) & set(OPTIONS) >= times
    assert set(rows) <= set(OPTIONS)
    for name in times:
        zero, off = (meaning(OPTIONS[name], value) for value in ("0", "off"))
        told = rows[name]
        assert (zero == "refused") == told[0].startswith("refused"), name
        assert (off == "refused") == told[1].startswith("refused"), name
        if told[1] == "the same":
            assert zero == off == 0.0, name


@pytest.mark.parametrize("name", OPTIONS)
def test_zero_and_off(name: str) -> None:
    """Where 0 and off are both valid, they mean the same.

    A limit on a number or a size is switched off by unlimited, and by nothing else.
    """
    option = OPTIONS[name]
    zero, off = meaning(option, "0"), meaning(option, "off")
    if not isinstance(meaning(option, "5"), (int, float)) or option.kind is boolean:
        return
    assert "refused" in (zero, off) or zero == off
    if meaning(option, "unlimited") == UNLIMITED:
        assert off == "refused"


@pytest.mark.parametrize("value", ["0", "off"])
def test_age(value: str) -> None:
    """A broker can't keep things for no time: the error says what is valid."""
    with pytest.raises(InvalidOption, match=f"age takes a time .*, not {value!r}") as e:
        makeBroker(f"memory:age={value}", Clock())
    for each in ("10", "5m", "24h"):
        assert each in str(e.value)
        makeBroker(f"memory:age={each}", Clock())


def test_compression_of_everything() -> None:
    """With 0, an empty message is compressed, too, and arrives."""
    settings = Settings(compression_min_size=threshold("0"))
    server = MemoryServer(echo, settings=settings)
    client = server.connect(compression=True)
    for message in ("", "a", b""):
        client.send(message)
    assert client.messages == ["", "a", b""]


def test_helper() -> None:
    """The tests above find the suggestions in errors."""
    cases: list[tuple[Any, list[str]]] = [
        (seconds, ["off", "10", "0.5", "5m"]),
        (delay, ["0", "10", "0.5", "5m"]),
        (period, ["10", "5m", "24h"]),
        (size, ["unlimited", "65536", "64KiB", "1MiB"]),
        (threshold, ["unlimited", "0", "128", "64KiB"]),
        (count, ["unlimited", "1"]),
        (choice("a", "b"), ["a", "b"]),
    ]
    for kind, expected in cases:
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            kind("?")
        assert list(suggestions(str(caught.value))) == expected
