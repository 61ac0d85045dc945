"""
The page in docs/guides/channels.md that misses nothing in a room, in a browser.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.browser.conftest import Visitor
from tests.browser.test_client import APPLICATION
from tests.documentation.pages import codeIn, readPage
from tests.processes import HOST, serve

PAGE = readPage("channels")

DROPPING = """
from board import Board

class Dropping(Board):
    async def received(self, socket, message):
        if getattr(message, "text", "") == "drop me":
            socket.transport.abortConnection()
        else:
            await super().received(socket, message)
"""


@pytest.mark.everyday
def test_recovery(visit: Visitor, tmp_path: Path) -> None:
    """
    A page that loses its connection has each message of the room once and in order, and
    knows its position.
    """
    (board,) = (each for each in codeIn(PAGE, "python") if "# board.py" in each)
    (script,) = codeIn(PAGE, "js")
    (tmp_path / "board.py").write_text(board, "utf-8")
    (tmp_path / "dropping.py").write_text(DROPPING, "utf-8")
    imported, _, rest = script.partition("\n")
    assert imported.startswith("import")
    # The page of the tests, on which scripts may be evaluated.
    with serve(
        tmp_path, "--app=dropping.py", f"--app={APPLICATION}:path=/page"
    ) as server:
        made = visit(f"http://{HOST}:{server.port}/page/")
        said: list[str] = []
        page: Any = made.page
        page.on("console", lambda message: said.append(message.text))
        made.run(
            "async () => { const { connect } = await import('/-/wsplug.js');"
            + rest.replace('connect("")', 'connect("/dropping")')
            + "Object.assign(window, { connection, board, lost: false });"
            + "connection.addEventListener('close', () => { window.lost = true; }); }"
        )
        made.wait("board.position !== null")
        with connect(f"ws://{HOST}:{server.port}/dropping") as other:

            def write(text: str) -> None:
                other.send(json.dumps({"type": "write", "room": "news", "text": text}))

            write("one")
            made.wait("board.position.offset === 1")
            made.run("connection.send({type: 'write', room: 'news', text: 'drop me'})")
            made.wait("lost")
            write("two")
            write("three")
            made.wait("board.position.offset === 3")
            write("four")
            made.wait("board.position.offset === 4")
        while len(said) < 4:
            page.wait_for_event("console")
    assert [each for each in said if "WebSocket" not in each] == [
        *("one", "two", "three", "four")
    ]
