"""
The bot as C{twistd wsplug --app bot}: over sockets, with the commands of drop-ins.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.processes import (
    HOST,
    PATIENCE,
    TCP,
    Server,
    runTwistd,
    serve,
    upgrade,
    waitUntil,
)
from wsplug.codec import FIN, OP_TEXT, encode_frame

pytestmark = pytest.mark.costly

OWN = """
from twisted.internet.defer import Deferred

from wsplug.apps.bot import command


@command("hello", "moin", help="Says hello as in the north.")
def hello(arguments, conversation):
    return "Moin!"


@command("wait", help="Waits for ever.")
def wait(arguments, conversation):
    print("waiting", flush=True)
    return Deferred(lambda _: print("cancelled", flush=True))


@command("oops", help="Fails.")
async def oops(arguments, conversation):
    raise RuntimeError("on purpose")
"""

BROKEN = """
from zope.interface import implementer
from wsplug.interfaces import ICommand


@implementer(ICommand)
class Half:
    words = ("half",)
    help = "It has no respond."


@implementer(ICommand)
class Capital(Half):
    words = ("Capital",)

    def respond(self, arguments, conversation):
        return "no"


half = Half()
capital = Capital()
"""


@pytest.fixture(scope="module")
def dropIns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """
    Drop-ins with commands, with broken ones, and one that doesn't load.

    @return: the environment in which they are found.
    """
    folder = tmp_path_factory.mktemp("dropins")
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (folder / "owncommands.py").write_text(OWN, "utf-8")
    (plugins / "own_dropin.py").write_text(
        "from owncommands import hello, oops, wait\n", "utf-8"
    )
    (plugins / "half_dropin.py").write_text(BROKEN, "utf-8")
    (plugins / "lost_dropin.py").write_text("import not_there\n", "utf-8")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def server(
    dropIns: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """
    A bot with those.
    """
    folder = tmp_path_factory.mktemp("bot")
    with serve(folder, "--app=bot", environment=dropIns) as server:
        yield server
        assert server.stop() == 0
        assert "Unhandled error in Deferred" not in server.log


@pytest.fixture
def client(server: Server) -> Iterator[ClientConnection]:
    with connect(f"ws://{HOST}:{server.port}/") as client:
        yield client


def _ask(client: ClientConnection, message: str | bytes) -> str:
    client.send(message)
    return str(client.recv(PATIENCE))


@pytest.mark.everyday
def test_talk(client: ClientConnection) -> None:
    """
    A visitor's talk, from name to bye; the bot closes with 1000.
    """
    assert _ask(client, "Name Ann") == "Nice to meet you, Ann."
    assert _ask(client, "hi!") == "What's up, Ann?"
    assert _ask(client, "ah\nwell") == "You have entered: ah\nwell"
    assert _ask(client, b"hi").startswith("I can't read binary")
    assert "it has 100000 characters" in _ask(client, "x" * 100_000)
    assert _ask(client, "thanks") == "You're welcome."
    assert _ask(client, "bye") == "Bye, Ann. Come back soon!"
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(PATIENCE)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1000, "")


def test_now(client: ClientConnection) -> None:
    """
    Date and time are those of now.
    """
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    date = re.fullmatch(r"Today is (.*)\.", _ask(client, "date"))
    time = re.fullmatch(r"The server's time is (.*) UTC\.", _ask(client, "time"))
    after = datetime.now(timezone.utc)
    assert date is not None
    assert time is not None
    if before.date() == after.date():  # it isn't midnight
        said = datetime.fromisoformat(f"{date[1]}T{time[1]}+00:00")
        assert before <= said <= after


def test_aiohttp(server: Server) -> None:
    """
    With another client, several visitors at a time, and the list of commands over
    plain HTTP.
    """
    url = f"http://{HOST}:{server.port}/"

    async def visit(session: aiohttp.ClientSession, name: str) -> list[str]:
        async with session.ws_connect(url) as socket:
            answers: list[str] = []
            for line in (f"name {name}", "hi", "bye"):
                await socket.send_str(line)
                answers.append(str(await socket.receive_str()))
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            return answers

    async def visitAll() -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            names = [f"Visitor {number}" for number in range(20)]
            talks = await asyncio.gather(*(visit(session, name) for name in names))
            for name, talk in zip(names, talks, strict=True):
                assert talk == [
                    f"Nice to meet you, {name}.",
                    f"What's up, {name}?",
                    f"Bye, {name}. Come back soon!",
                ]
            async with session.get(f"{url}commands.json") as response:
                commands = (await response.json())["commands"]
                names = [each["words"][0] for each in commands]
                assert {"hello", "wait", "oops", "time"} < set(names)

    asyncio.run(visitAll())


def test_dropIns(server: Server, client: ClientConnection) -> None:
    """
    A drop-in's command is found, and wins over a bundled one; the log says so, and
    names what doesn't load or keeps no contract.
    """
    assert _ask(client, "moin") == "Moin!"
    assert _ask(client, "hello") == "Moin!"
    assert _ask(client, "help hello") == (
        "hello (moin too): Says hello as in the north."
    )
    assert _ask(client, "half") == "You have entered: half"
    assert (
        "two commands have the word 'hello': <command 'hello' of owncommands> gets it, "
        "<command 'hello' of wsplug.apps.bot.commands> does not"
    ) in server.log
    for name, reason in [
        ("Half", "respond"),
        ("Capital", "a word must be lower case without spaces, not 'Capital'"),
    ]:
        pattern = rf"the command <.*{name} object .*> is left out: .*{reason}"
        assert re.search(pattern, server.log), server.log
    assert "lost_dropin.py" in server.log
    assert "No module named 'not_there'" in server.log


def test_listed(dropIns: dict[str, str], tmp_path: Path) -> None:
    """
    "--list-apps" has the bot with its options, and names those drop-ins as well.
    """
    finished = runTwistd(tmp_path, "wsplug", "--list-apps", environment=dropIns)
    assert finished.status == 0
    works, _, broken = finished.out.partition("These do not load:\n")
    assert "bot: A bot that answers commands, with a page.\n" in works
    assert "    max-length: characters that a line may have [1000]\n" in works
    assert len(broken.splitlines()) == 3
    for name, reason in [
        ("Half", "respond"),
        ("Capital", "a word must be lower case without spaces, not 'Capital'"),
        ("lost_dropin.py", "No module named 'not_there'"),
    ]:
        assert re.search(rf"{name}.*: .*{reason}", broken)


def test_raising(server: Server, client: ClientConnection) -> None:
    """
    A command that raises: the traceback is in the log, and not on the wire.
    """
    start = len(server.log)
    assert _ask(client, "oops") == (
        "Sorry, something went wrong with oops. It is not your fault."
    )
    server.waitForLog("RuntimeError: on purpose", start)
    assert "the command 'oops' failed" in server.log[start:]
    assert _ask(client, "moin") == "Moin!"


def test_leaving(dropIns: dict[str, str], tmp_path: Path) -> None:
    """
    Visitors who leave in the middle of a command, in order, without a word, or with a
    reset of the connection: it ends when its time is over, and the log has no
    traceback.
    """
    with serve(tmp_path, "--app=bot:timeout=0.5", environment=dropIns) as server:
        start = len(server.log)
        wait = encode_frame(FIN | OP_TEXT, b"wait", b"mask")
        with upgrade(server.port) as dropping, upgrade(server.port) as resetting:
            dropping.sendall(wait)
            resetting.sendall(wait)
            waitUntil(lambda: _count(server, "waiting", start) == 2, "both wait")
            resetting.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        with connect(f"ws://{HOST}:{server.port}/", close_timeout=PATIENCE) as client:
            client.send("wait")
        assert client.close_code == 1000
        waitUntil(lambda: _count(server, "closed by the peer", start) == 3, "they left")
        assert _count(server, "cancelled", start) == 3
        assert "Traceback" not in server.log[start:]


def _count(server: Server, text: str, start: int) -> int:
    return server.log[start:].count(text)


def test_wrongZone(tmp_path: Path) -> None:
    """
    What is no time zone is one line on standard error, before anything listens.
    """
    command = ["-n", "--pidfile=", "wsplug", f"--listen={TCP}", "--app"]
    finished = runTwistd(tmp_path, *command, "bot:zone=Europe/Viena")
    assert finished.status == 1
    assert finished.err == (
        "wsplug: --app bot: zone takes a time zone's name like Europe/Vienna, UTC or "
        "local, not 'Europe/Viena'\n"
    )
