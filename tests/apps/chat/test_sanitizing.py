"""
Names, colours, messages and rooms: what is made of them before others see them.
"""

from __future__ import annotations

from urllib.parse import quote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsplug.apps.chat.sanitizing import (
    MAX_NAME,
    cleanColor,
    cleanMessage,
    cleanRoom,
    nameKey,
    numbered,
)
from wsplug.displaynames import cleanName


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Ann", "Ann"),
        ("  Ann \t\n Lee ", "Ann Lee"),
        ("  Ann   Lee ", "Ann Lee"),
        ("A\u200bn\u200dn\ufeff", "Ann"),
        ("\u202eAnn\u2066", "Ann"),
        ("A\x00n\x1bn\x7f", "Ann"),
        ("\u3164\u115f\u2800\uffa0", ""),
        ("\u2028\u2029\u00a0\u3000", ""),
        ("e\u0301" + "\u0301" * 50, "\u00e9" + "\u0301" * 3),
        ("<script>", "<script>"),
        ("\ud800x", "x"),
        ("\u0301\u0302 Ann \u0301", "Ann"),
        ("e\u2800\u0301", "\u00e9"),
        ("\u1019\u103c\u103d\u103e\u1031", "\u1019\u103c\u103d\u103e\u1031"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\U0001f4bb"),
    ],
)
def test_names(name: str, clean: str) -> None:
    """
    A name keeps what can be seen, in one line, in the direction that it has.
    """
    assert cleanName(name) == clean


UNSEEN = [
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *(0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFF9)),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),
]
"""
What Unicode 16 calls default-ignorable.
"""

BLANK = [0x2800, 0xFFFC, 0x1107F, 0x13441, 0x13442, 0x16FE4, 0x1D159]
"""
What isn't, and shows nothing all the same.
"""


def test_unseen() -> None:
    """
    What can't be seen is in no name, and is no message.
    """
    for code in UNSEEN + BLANK:
        character = chr(code)
        assert cleanName(f"A{character}nn") == "Ann", hex(code)
        assert cleanName(character * 3) == "", hex(code)
        assert cleanMessage(character * 3) == "", hex(code)


def test_stacks_of_letters() -> None:
    """
    What stacks letters stays in a name, and makes it no other one.
    """
    assert cleanName("\u1019\u1039\u1019") == "\u1019\u1039\u1019"
    assert nameKey(cleanName("Ann\u1039")) == nameKey("Ann")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ann", "aNN"),
        ("Ann Lee", "annlee"),
        ("stra\u00dfe", "STRASSE"),
        ("\uff21\uff4e\uff4e", "Ann"),
        ("\u00e9", "e\u0301"),
        ("\ufb01n", "Fin"),
        ("\u2764\ufe0f", "\u2764"),
    ],
)
def test_same_names(first: str, second: str) -> None:
    """
    Names that look the same are the same.
    """
    assert nameKey(cleanName(first)) == nameKey(cleanName(second))


def test_other_names() -> None:
    """
    Names that don't look the same are others.
    """
    keys = {nameKey(name) for name in ("Ann", "Anna", "An", "Ann 2", "\u0410nn", "Änn")}
    assert len(keys) == 6


@given(st.text())
def test_clean_stays_clean(text: str) -> None:
    """
    What is clean is not changed again, and is one that others can see.
    """
    clean = cleanName(text)
    assert cleanName(clean) == clean
    assert clean.isprintable() or not clean
    message = cleanMessage(text)
    assert cleanMessage(message) == message


@given(st.text(" a\t\x00\u0301\u1100\u1160\u200b\u2028\u202e\u3164\ufe0f\ud800"))
def test_messages_show_something(text: str) -> None:
    """
    A message says something where a name of the same characters would show something.
    """
    assert bool(cleanMessage(text)) == bool(cleanName(text))


def test_numbered() -> None:
    """
    A name with a number is no longer than a name may be, and is not the same.
    """
    assert numbered("Ann", 2) == "Ann 2"
    assert len(numbered("x" * MAX_NAME, 123)) == MAX_NAME
    assert nameKey(numbered("Ann", 2)) != nameKey("Ann")


@pytest.mark.parametrize(
    ("color", "clean"),
    [
        ("#ff7000", "#ff7000"),
        ("FF7000", "FF7000"),
        ("rgb(1, 2, 3)", "rgb(1, 2, 3)"),
        ("hsl(120 50% 50%)", "hsl(120 50% 50%)"),
        ("darkred", "darkred"),
        ('red" onclick="x', ""),
        ("red;background:url(x)", ""),
        ("red</style>", ""),
        ("url(//x)", ""),
        ("&#34;", ""),
        ("x" * 41, ""),
        ("", ""),
    ],
)
def test_colors(color: str, clean: str) -> None:
    """
    A colour has nothing by which it could be anything else in a page.
    """
    assert cleanColor(color) == clean


@pytest.mark.parametrize(
    ("message", "clean"),
    [
        ("a\r\nb\rc\n\td", "a\nb\nc\n\td"),
        ("\x00a\x1b[31m\x7f\x85", "a[31m"),
        ("<script>\u202e\u200b", "<script>\u202e\u200b"),
        (" \u200b\u202e\n", ""),
        ("\ud800", ""),
    ],
)
def test_messages(message: str, clean: str) -> None:
    """
    A message is left as it is, but for control characters; one of which nothing can be
    seen is none.
    """
    assert cleanMessage(message) == clean


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("lobby", "lobby"),
        ("/lobby/", "lobby"),
        ("a/b", "a/b"),
        (" two  words ", "two words"),
        ("Lobby", "Lobby"),
        ("x" * 64, "x" * 64),
        ("x" * 65, None),
        ("", None),
        ("/", None),
        ("\u200b", None),
        ("@", None),
        ("@ann", None),
        ("-", None),
        ("-/x", None),
        ("-x", "-x"),
        ("x/-/y", None),
        ("x/-", None),
        (".", None),
        ("..", None),
        ("a/../b", None),
        ("a/./b", None),
        ("...", "..."),
        ("chat.js", "chat.js"),
        ("a//b/", "a/b"),
        ("a / b", "a/b"),
        ("a/\u200b/b", "a/b"),
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_rooms(name: str, room: str | None) -> None:
    """
    A room's name can be seen, and is no path of the server's own.
    """
    assert cleanRoom(name) == room


@given(st.text(st.characters() | st.sampled_from(" ./-@\u0301\u0338\u200b")))
def test_rooms_stay(name: str) -> None:
    """
    What a room is called is not changed again, and each of its segments is one that
    a browser leaves as it is.
    """
    room = cleanRoom(name)
    if room is not None:
        assert cleanRoom(room) == room
        address = "http://server.example/" + quote(room, safe="/") + "/"
        assert urljoin("http://server.example/x/", address) == address
        assert not {"", "-", ".", ".."}.intersection(room.split("/"))
