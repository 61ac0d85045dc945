"""Typed options (wsplug.options)."""

from __future__ import annotations

from typing import Any

import pytest

from wsplug import options
from wsplug.errors import InvalidOption
from wsplug.options import REQUIRED, UNLIMITED, Kind, Option, parseOptions

RIGHT: list[tuple[Kind, str, Any]] = [
    (options.text, "", ""),
    (options.text, "a:b=c\\", "a:b=c\\"),
    (options.boolean, "yes", True),
    (options.boolean, "ON", True),
    (options.boolean, "true", True),
    (options.boolean, "1", True),
    (options.boolean, "No", False),
    (options.boolean, "off", False),
    (options.boolean, "false", False),
    (options.boolean, "0", False),
    (options.integer(-5, 5), "-5", -5),
    (options.integer(-5, 5), "5", 5),
    (options.integer(0, 99), "007", 7),
    (options.number(0, 1), "0.5", 0.5),
    (options.number(-1, 1), "-1", -1.0),
    (options.count, "1", 1),
    (options.count, "unlimited", UNLIMITED),
    (options.size, "65536", 65536),
    (options.size, "64KiB", 65536),
    (options.size, "64 kb", 65536),
    (options.size, "64k", 65536),
    (options.size, "1MiB", 1024**2),
    (options.size, "2g", 2 * 1024**3),
    (options.size, "10b", 10),
    (options.size, "unlimited", UNLIMITED),
    (options.seconds, "10", 10.0),
    (options.seconds, "0.5", 0.5),
    (options.seconds, "5m", 300.0),
    (options.seconds, "1 h", 3600.0),
    (options.seconds, "30S", 30.0),
    (options.seconds, "off", 0.0),
    (options.choice("a", "b"), "b", "b"),
]

WRONG: list[tuple[Kind, str]] = [
    *[(options.boolean, value) for value in ("", "y", "2", "yes ", "ja")],
    *[(options.integer(-5, 5), value) for value in ("6", "-6", "", "1.0", "x", "1 ")],
    *[
        (options.integer(0, 9), value)
        for value in ("٣", "+1", "0x1", "1_0", "9" * 5000)
    ],
    *[(options.number(0, 1), value) for value in ("1.1", "nan", "inf", "1e0", ".5")],
    *[
        (options.count, value)
        for value in ("0", "-1", "1.5", "", "Unlimited", "9" * 50)
    ],
    *[(options.size, value) for value in ("0", "-1", "1.5k", "k", "1TiB", "1ki b", "")],
    *[(options.seconds, value) for value in ("0", "-1", "1d", "", "1e3", "inf", "nan")],
    *[(options.choice("a", "b"), value) for value in ("", "c", "A")],
]


@pytest.mark.parametrize(("kind", "text", "value"), RIGHT)
def test_right(kind: Kind, text: str, value: Any) -> None:
    """Each kind accepts its values and converts them."""
    made = kind(text)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(("kind", "text"), WRONG)
def test_wrong(kind: Kind, text: str) -> None:
    """An error says in one line what the kind accepts."""
    option = Option("the-name", kind, None, "")
    with pytest.raises(InvalidOption, match=r"^the-name takes ") as caught:
        option.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        (options.boolean, True, True),
        (options.boolean, False, False),
        (options.integer(0, 9), 5, 5),
        (options.size, 4096, 4096),
        (options.seconds, 0.5, 0.5),
        (options.text, 5, "5"),
    ],
)
def test_values_of_toml(kind: Kind, value: object, made: object) -> None:
    """Numbers and booleans come as such from TOML."""
    assert Option("a", kind, None, "").parse(value) == made


@pytest.mark.parametrize("value", [[], {}, None, b"1", ["1"]])
def test_no_single_value(value: object) -> None:
    """Lists and tables are never an option's value."""
    with pytest.raises(InvalidOption, match="single value"):
        Option("a", options.text, None, "").parse(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 5.5, True])
def test_odd_numbers_of_toml(value: object) -> None:
    """An error for a number that the option doesn't accept is readable."""
    with pytest.raises(InvalidOption, match="a takes a whole number"):
        Option("a", options.integer(0, 9), None, "").parse(value)


OPTIONS = [
    Option("path", options.text, "/", "where"),
    Option("history", options.integer(0, 100), REQUIRED, "how much"),
]


def test_parse_options() -> None:
    """Given options are parsed; the others have their defaults."""
    assert parseOptions(OPTIONS, {"history": "5"}) == {"path": "/", "history": 5}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "the option 'history' is missing"),
        (
            {"history": "1", "x": "2"},
            "unknown option 'x'; the options are: path, history",
        ),
        ({"history": "x"}, "history takes a whole number from 0 to 100, not 'x'"),
    ],
)
def test_parse_options_wrongly(values: dict[str, object], words: str) -> None:
    """Unknown options, missing options and invalid values are reported by name."""
    with pytest.raises(InvalidOption) as caught:
        parseOptions(OPTIONS, values)
    assert str(caught.value) == words


def test_parse_no_options() -> None:
    """An application without options says so."""
    with pytest.raises(InvalidOption, match="the options are: none"):
        parseOptions([], {"x": "1"})


@pytest.mark.parametrize(
    ("default", "shown", "text"),
    [
        (True, None, "yes"),
        (False, None, "no"),
        (5, None, "5"),
        (REQUIRED, None, "required"),
        (1048576, "1MiB", "1MiB"),
    ],
)
def test_shown_default(default: object, shown: str | None, text: str) -> None:
    """Defaults are shown as a user would write them."""
    assert Option("a", options.text, default, "", shown).shownDefault == text


LONG: list[tuple[Kind, str, Any]] = [
    (options.seconds, "1234567", 1234567.0),
    (options.seconds, "0.000001", 0.000001),
    (options.delay, "100000.25", 100000.25),
    (options.delayUpTo(1e9), "14000000", 14000000.0),
    (options.period, "1234567", 1234567.0),
    (options.number(0, 1e9), "0.0000001", 0.0000001),
    (options.number(0, 1e9), "1234567.5", 1234567.5),
]


@pytest.mark.parametrize(("kind", "text", "value"), [*RIGHT, *LONG])
def test_shown_value(kind: Kind, text: str, value: Any) -> None:
    """A value as it is shown can be written into a configuration file, and means the
    same.
    """
    assert kind(text) == value
    assert kind(options.showValue(kind, value)) == value


SECRET = "S3cr3t"

SECRETS = [Option("token", options.secret, "", "what only few know"), *OPTIONS]


@pytest.mark.parametrize(
    "values",
    [
        {"token": [SECRET]},
        {"token": SECRET, "history": "1", SECRET: "x"},
        {"token": {"a": SECRET}},
    ],
)
def test_secrets(values: dict[str, object]) -> None:
    """No error quotes a secret, or text after a colon that may be the rest of one."""
    with pytest.raises(InvalidOption) as caught:
        parseOptions(SECRETS, values)
    assert SECRET not in str(caught.value)
