"""
What the bot answers: words, names, times, and what is no command.
"""

from __future__ import annotations

import sys
import time
import zoneinfo
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.botkit import ask, clockAt, serveBot
from tests.server.conftest import logs
from wsplug.apps.bot import bot
from wsplug.apps.bot.names import MAX_NAME_LENGTH, visitorName
from wsplug.errors import InvalidOption
from wsplug.options import UNLIMITED

__all__ = ["logs"]

# Words


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("hello", "Hello, human!"),
        ("HELLO  ", "Hello, human!"),
        ("\t hElLo\r\n", "Hello, human!"),
        ("hello!", "Hello, human!"),
        ("hello?!...", "Hello, human!"),
        ("hello, bot", "Hello, human!"),
        ("hello\nworld", "Hello, human!"),
        ("hello\u2003world", "Hello, human!"),
        ("hi", "What's up, human?"),
        ("hey", "What's up, human?"),
        ("age", "I am younger than I act."),
        ("thanks", "You're welcome."),
        ("thank you", "You're welcome."),
        ("thx", "You're welcome."),
        ("TIME please", "The server's time is 16:01:23 UTC."),
        ("date?", "Today is 2012-03-07."),
        ("name", "My name is Pluggy. Yours? Type: name Ann"),
    ],
)
def test_commands(line: str, answer: str) -> None:
    """
    A command is its word, in any case, with space around it and punctuation behind it;
    one that takes nothing doesn't mind what follows.
    """
    _, client = serveBot(clock=clockAt("2012-03-07T16:01:23+00:00"))
    assert ask(client, line) == answer


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "helloworld",
        "!hello",
        "hel lo",
        "hello\u200b",
        "H\u0130",
        "h\u0131",
        "T\u0130ME",
        "\uff48\uff45llo",
        "!?.",
        "\0",
        "\u202ehello",
        '{"type":"hello"}',
        "<script>alert(1)</script>",
    ],
)
def test_other(line: str) -> None:
    """
    What is no command comes back as it was; letters of other alphabets that look like
    a command's, or become its letters in other languages' capitals, are none.
    """
    _, client = serveBot()
    assert ask(client, line) == f"You have entered: {line}"


def test_spaceAround() -> None:
    """
    What comes back has no space around it, and keeps what is inside.
    """
    _, client = serveBot()
    assert ask(client, "  ah\n  well \n") == "You have entered: ah\n  well"


@pytest.mark.parametrize("line", ["", " ", "\n", "\t\u3000\r\n"])
def test_nothing(line: str) -> None:
    """
    An empty message, or one of nothing but space, is answered too.
    """
    _, client = serveBot()
    expected = "You have entered nothing. Type help to see what I know."
    assert ask(client, line) == expected


def test_bye() -> None:
    """
    bye answers, and closes with 1000; what comes behind it isn't answered.
    """
    server, client = serveBot()
    client.send("bye")
    assert client.messages == ["Bye, human. Come back soon!"]
    assert client.closed == (1000, "")
    client = server.connect()
    assert ask(client, "name Ann")
    client.send("Quit!")
    assert client.messages == ["Bye, Ann. Come back soon!"]
    assert client.closed == (1000, "")
    client.send("hello")
    assert client.messages == ["Bye, Ann. Come back soon!"]


def test_help() -> None:
    """
    help has each command with its line, in the order of the alphabet.
    """
    _, client = serveBot()
    assert ask(client, "help").splitlines() == [
        "I answer to:",
        "age: Tells my age.",
        "bye: Says goodbye, and closes the connection.",
        "date: Tells today's date, as the server has it.",
        "hello: Says hello.",
        "help: Tells what I answer to. One in detail: help name",
        "hi: Says hello as friends do.",
        "name: Tells my name. Tell me yours: name Ann",
        "thanks: Takes your thanks.",
        "time: Tells the time, as the server has it.",
    ]
    assert ask(client, "?") == ask(client, "help")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("help hello", "hello: Says hello."),
        ("help HELLO!", "hello: Says hello."),
        ("help bye", "bye (quit too): Says goodbye, and closes the connection."),
        ("help quit", "bye (quit too): Says goodbye, and closes the connection."),
        ("help thx", "thanks (thank, thx too): Takes your thanks."),
        ("help me", "I don't know me. Type help to see what I know."),
    ],
)
def test_helpOnOne(line: str, answer: str) -> None:
    """
    help with a word explains that command, and says its other words.
    """
    _, client = serveBot()
    assert ask(client, line) == answer


# Names


def test_name() -> None:
    """
    The visitor who has said a name is called by it, as long as the connection lasts;
    nobody else is.
    """
    server, client = serveBot()
    other = server.connect()
    assert ask(client, "NAME  Ann ") == "Nice to meet you, Ann."
    assert ask(client, "hello") == "Hello, Ann!"
    assert ask(client, "hi") == "What's up, Ann?"
    assert ask(client, "name") == "My name is Pluggy. Yours? Type: name Ann"
    assert ask(client, "name Ann Müller-Łuk") == "Nice to meet you, Ann Müller-Łuk."
    assert ask(other, "hello") == "Hello, human!"
    client.close()
    assert ask(server.connect(), "hello") == "Hello, human!"


@pytest.mark.parametrize(
    "line", ["name \u200b", "name \u202e\u2066", "name \x07", "name \u0301"]
)
def test_noName(line: str) -> None:
    """
    A name of which nothing can be seen is none, and the one from before stays.
    """
    _, client = serveBot()
    assert ask(client, "name Ann")
    expected = "I can't pronounce that. Type it with letters: name Ann"
    assert ask(client, line) == expected
    assert ask(client, "hello") == "Hello, Ann!"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ann", "Ann"),
        (" Ann \n Bee\t", "Ann Bee"),
        ("A\u200bn\u200dn\ufeff", "Ann"),
        ("\u202eAnn\u2069\u200f", "Ann"),
        ("A\0n\x1b[31mn\x7f\x85", "An[31mn"),
        ("A\u034fn\ufe0fn\U000e0101\U000e0041", "Ann"),
        ("A\ue000nn\U0010ffff", "Ann"),
        ("A \u200b nn", "A nn"),
        ("\u3164", ""),
        ("\u2800\u115f", ""),
        ("\u0301\u0302", ""),
        ("...", ""),
        ("", ""),
        ("e\u0301", "é"),
        ("أحمد", "أحمد"),
        ("佳奈", "佳奈"),
        ("😀", "😀"),
        ("<b>Ann</b>", "<b>Ann</b>"),
        ("x" * 41, "x" * 40),
        ("x" * 39 + " y", "x" * 39),
    ],
)
def test_visitorName(text: str, name: str) -> None:
    """
    A name loses what can't be seen and what turns the text around it, and no letter of
    any alphabet.
    """
    assert visitorName(text) == name


@given(st.text())
def test_visitorNames(text: str) -> None:
    """
    A clean name is short, is printable, and stays what it is.
    """
    name = visitorName(text)
    assert len(name) <= MAX_NAME_LENGTH
    assert name.isprintable()
    assert name == name.strip()
    assert visitorName(name) == name


# Options


def test_ownNameAndAge() -> None:
    """
    C{name} and C{age} are what the bot says of itself.
    """
    _, client = serveBot(name="Marvin", age="40 million years old")
    assert ask(client, "name") == "My name is Marvin. Yours? Type: name Ann"
    assert ask(client, "age") == "I am 40 million years old."


def test_emptyAnswers() -> None:
    """
    Neither can be nothing.
    """
    with pytest.raises(InvalidOption, match=r"^name takes some text, not ' '$"):
        serveBot(name=" ")
    with pytest.raises(InvalidOption, match=r"^age takes some text, not ''$"):
        serveBot(age="")


def test_maxLength() -> None:
    """
    A line of up to C{max-length} characters is read; one of more gets an answer that
    says so, and the connection stays. All of it counts, space too.
    """
    _, client = serveBot()
    assert ask(client, "x" * 1000) == "You have entered: " + "x" * 1000
    for line in ("x" * 1001, "hello" + " " * 996):
        assert ask(client, line) == (
            "That is too long for me: it has 1001 characters, and I read at most 1000."
        )
    assert "it has 100000 characters" in ask(client, "y" * 100_000)
    assert ask(client, "hello") == "Hello, human!"
    _, client = serveBot(max_length="5")
    assert ask(client, "ÄÖÜäö") == "You have entered: ÄÖÜäö"
    assert "it has 6 characters, and I read at most 5." in ask(client, "hello!")
    _, client = serveBot(max_length="unlimited")
    assert len(ask(client, "y" * 100_000)) == 100_000 + len("You have entered: ")


def test_binary() -> None:
    """
    A binary message is told that it is none for a bot.
    """
    _, client = serveBot()
    for message in (b"hello", b""):
        answer = ask(client, message)
        assert answer == "I can't read binary messages. Send me text, please."
    assert ask(client, "hello") == "Hello, human!"


def test_limitsAreFinite() -> None:
    """
    No limit is off unless somebody asks for it.
    """
    defaults = {option.name: option.default for option in bot.options}
    assert 0 < defaults["max-length"] < UNLIMITED
    assert 0 < defaults["timeout"] < 3600


# Times


@pytest.mark.parametrize(
    ("zone", "moment", "date", "time"),
    [
        ("UTC", "2024-02-29T23:59:59+00:00", "2024-02-29", "23:59:59 UTC"),
        ("Asia/Tokyo", "2024-02-29T15:00:00+00:00", "2024-03-01", "00:00:00 JST"),
        ("Asia/Kathmandu", "2024-01-01T00:00:00+00:00", "2024-01-01", "05:45:00 +0545"),
        ("America/New_York", "2024-01-01T04:59:59+00:00", "2023-12-31", "23:59:59 EST"),
        # Vienna puts its clocks forward …
        ("Europe/Vienna", "2024-03-31T00:59:59+00:00", "2024-03-31", "01:59:59 CET"),
        ("Europe/Vienna", "2024-03-31T01:00:00+00:00", "2024-03-31", "03:00:00 CEST"),
        # … and back.
        ("Europe/Vienna", "2024-10-27T00:59:59+00:00", "2024-10-27", "02:59:59 CEST"),
        ("Europe/Vienna", "2024-10-27T01:00:00+00:00", "2024-10-27", "02:00:00 CET"),
    ],
)
def test_zone(zone: str, moment: str, date: str, time: str) -> None:
    """
    date and time are those of the zone at that moment, summer time and all.
    """
    _, client = serveBot(clock=clockAt(moment), zone=zone)
    assert ask(client, "date") == f"Today is {date}."
    assert ask(client, "time") == f"The server's time is {time}."


def test_timeGoesOn() -> None:
    """
    The time is that of the asking.
    """
    server, client = serveBot(
        clock=clockAt("2024-03-31T00:59:58+00:00"), zone="Europe/Vienna"
    )
    assert ask(client, "time") == "The server's time is 01:59:58 CET."
    server.advance(2)
    assert ask(client, "time") == "The server's time is 03:00:00 CEST."


@pytest.fixture
def inLima(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    The machine is in Lima.
    """
    monkeypatch.setenv("TZ", "PET5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_local(inLima: None) -> None:
    """
    C{local} is the machine's own zone.
    """
    _, client = serveBot(clock=clockAt("2024-01-01T00:00:00+00:00"), zone="local")
    assert ask(client, "date") == "Today is 2023-12-31."
    assert ask(client, "time") == "The server's time is 19:00:00 PET."


@pytest.mark.parametrize(
    "zone",
    [
        *("Europe", "Local", "", "../../etc/passwd", "/etc/localtime", "tzdata.zi"),
        *("a\0b", "x" * 5000),
    ],
)
def test_wrongZone(zone: str) -> None:
    """
    What is no zone is an error that says what would be one.
    """
    with pytest.raises(InvalidOption) as caught:
        serveBot(zone=zone)
    message = str(caught.value)
    assert message.startswith("zone takes a time zone's name like ")
    assert message.endswith(f", UTC or local, not {zone!r}")


@pytest.mark.parametrize("zone", ["europe/vienna", "Europe/Viena"])
def test_almostZone(zone: str) -> None:
    """
    What is almost one is an error that has it.
    """
    with pytest.raises(InvalidOption, match=r"^zone takes .* like Europe/Vienna, UTC"):
        serveBot(zone=zone)


@pytest.fixture
def withoutZones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    The machine has no data about time zones: neither the system's nor the package's.
    """
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    monkeypatch.setitem(sys.modules, "tzdata", None)
    yield
    zoneinfo.reset_tzpath()


def test_noZones(withoutZones: None) -> None:
    """
    Where there is no data about time zones, the error says what to install, and what
    can be had without: UTC and the machine's own.
    """
    with pytest.raises(InvalidOption) as caught:
        serveBot(zone="Europe/Vienna")
    assert str(caught.value) == (
        "zone can't be 'Europe/Vienna': this system has no time zone data; install the "
        "package tzdata ('pip install tzdata'), or use UTC or local"
    )
    for zone in ("UTC", "local"):
        _, client = serveBot(zone=zone)
        assert ask(client, "date").startswith("Today is 19")
