"""Mistakes in applications are found when they are loaded (wsplug.mistakes)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from wsplug import WebSocketApplication, WebSocketProtocol, application
from wsplug.broker import MemoryBroker
from wsplug.command import CheckOptions
from wsplug.errors import ConfigurationError
from wsplug.mistakes import DeclarationError, placeOf
from wsplug.plugins import Services, makeMounts, parseDescription
from wsplug.server.mounts import Mount

HEAD = """\
from wsplug import Application, WebSocketApplication, WebSocketProtocol, application

"""

BASE = """\
@application("x")
class X(WebSocketProtocol):
"""

PAGES = """\
@application("x", pages={})
async def x(socket):
    pass
"""

MISTAKES = [
    (
        "no socket",
        '@application("x")\nasync def x(): pass\n',
        "x() takes no socket: write async def x(socket)",
        3,
    ),
    (
        "only options",
        '@application("x")\nasync def x(*, socket: int = 1): pass\n',
        "x() takes no socket",
        3,
    ),
    (
        "option before the *",
        '@application("x")\nasync def x(socket, times: int = 1): pass\n',
        "x() has 'times' beside the socket: an option is written behind a *, as in "
        "async def x(socket, *, times=...)",
        3,
    ),
    (
        "no base",
        '@application("x")\nclass X:\n    def textMessageReceived(self, text): pass\n',
        "X has no bytesMessageReceived: write class X(WebSocketProtocol)",
        3,
    ),
    (
        "misspelt",
        BASE + "    def textMessageRecieved(self, text): pass\n",
        "X.textMessageRecieved is never called; did you mean textMessageReceived?",
        5,
    ),
    (
        "snake case",
        BASE + "    def other(self): pass\n    def connection_lost(self, why): pass\n",
        "X.connection_lost is never called; did you mean connectionLost?",
        6,
    ),
    (
        "option of a class before the *",
        BASE + "    def __init__(self, times=1): pass\n",
        "X() has the parameter 'times': an option is written behind a *, as in "
        "def __init__(self, *, times=...)",
        5,
    ),
    (
        "decorated application",
        '@application("x")\nclass X(WebSocketApplication):\n'
        "    def buildProtocol(self, request): pass\n",
        "X has buildProtocol, so it is an application and not a protocol",
        3,
    ),
    (
        "misspelt in an application",
        "class X(WebSocketApplication):\n"
        "    def buildProtocol(self, request): pass\n"
        "    def stopAplication(self): pass\n"
        "x = X()\n",
        "X.stopAplication is never called; did you mean stopApplication?",
        5,
    ),
    (
        "misspelt without a base",
        "class X:\n"
        "    def buildProtocol(self, request): pass\n"
        "    def startAplication(self): pass\n"
        "x = X()\n",
        "X.startAplication is never called; did you mean startApplication?",
        5,
    ),
    (
        "misspelt in one class",
        "class X(Application):\n    def recieved(self, socket, message): pass\n",
        "X.recieved is never called; did you mean received?",
        4,
    ),
    ("pages of a wrong type", PAGES.format("7"), "pages must be the path of a", 3),
    ("no folder", PAGES.format("'/no/where'"), "which does not exist", 3),
    (
        "no folder of an object",
        "class X(WebSocketApplication):\n"
        "    pages = '/no/where'\n"
        "    def buildProtocol(self, request): pass\n"
        "x = X()\n",
        "which does not exist",
        3,
    ),
]


@pytest.mark.parametrize(
    ("source", "words", "line"),
    [each[1:] for each in MISTAKES],
    ids=[each[0] for each in MISTAKES],
)
def test_mistakes(source: str, words: str, line: int, tmp_path: Path) -> None:
    """Each mistake is one line that says what to write, and where in which file."""
    path = tmp_path / "mistake.py"
    path.write_text(HEAD + source, "utf-8")
    name = f"{path}:x" if "\nx = " in source else str(path)
    clock: Any = Clock()
    services = Services(clock, clock, MemoryBroker(clock))
    with pytest.raises(ConfigurationError) as raised:
        makeMounts([parseDescription(name)], services)
    text = str(raised.value)
    assert words in text
    assert text.endswith(f"({path}, line {line})")
    assert "\n" not in text
    assert "Error" not in text


def test_check(tmp_path: Path) -> None:
    """C{wsplug check} reports the mistake as well, and goes on."""
    path = tmp_path / "mistake.py"
    path.write_text(HEAD + MISTAKES[0][1], "utf-8")
    options = CheckOptions(MemoryReactorClock())
    options.parseOptions([f"--app={path}", "--app=nothing-like-it"])
    first, second = map(str, options.errors)
    assert first.endswith(
        f"x() takes no socket: write async def x(socket) ({path}, line 3)"
    )
    assert "nothing-like-it" in second


def test_harmless() -> None:
    """These aren't mistakes: helpers with their own names, a method beside the one
    whose name it resembles, and a method that takes any arguments.
    """

    @application("any")
    async def _any(*arguments: Any) -> None:
        pass

    @application("x")
    class _X(WebSocketProtocol):
        def messageReceived(self) -> None: ...
        def pingReceived(self) -> None: ...
        def _textMessageRecieved(self) -> None: ...
        def textMessageReceived(self, message: str) -> None: ...
        def textMessagesReceived(self) -> None: ...

    class Room(WebSocketApplication):
        def buildProtocol(self, request: object) -> None: ...
        def startTimer(self) -> None: ...
        def build_protocol(self) -> None: ...

    Mount("/", Room())


def test_inherited() -> None:
    """A method that a user's base class defines correctly isn't missing in a
    subclass."""

    class Base(WebSocketProtocol):
        def textMessageReceived(self, message: str) -> None: ...

    class _Below(Base):
        def textMessagesReceived(self) -> None: ...

    with pytest.raises(DeclarationError, match="bytesMessageRecieved is never called"):

        class _Wrong(Base):
            def bytesMessageRecieved(self) -> None: ...


def test_no_place() -> None:
    """Objects without source, and wsplug's own code, have no location that would
    help."""
    assert placeOf(WebSocketProtocol) is None
    assert placeOf(len) is None
    made = type("Made", (), {"__module__": "nowhere"})
    assert placeOf(made) is None
