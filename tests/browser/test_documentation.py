"""
The examples in docs/reference/browser-client.md, run in a browser.
"""

from __future__ import annotations

import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.browser.conftest import Visitor
from tests.browser.test_client import APPLICATION, CLIENT, Other
from tests.documentation.pages import codeIn, readPage
from tests.processes import HOST, serve

PAGE = readPage("browser-client")


@pytest.mark.everyday
def test_examples(visit: Visitor, tmp_path: Path) -> None:
    """
    All of them, in one page, do what the page says.
    """
    script = "\n".join([*codeIn(PAGE, "js"), "Object.assign(window, {news, lobby});"])
    with serve(tmp_path, f"--app={APPLICATION}") as server:
        url = f"http://{HOST}:{server.port}/"
        made = visit(url)
        said: list[str] = []
        page: Any = made.page
        page.on("console", lambda message: said.append(message.text))
        # In the place of the page's own script: a page that isn't from the server may
        # not connect to an address of this machine.
        kind = "text/javascript"
        page.route(
            url + "client.js",
            lambda route: route.fulfill(body=script, content_type=kind),
        )
        page.reload()
        made.wait("window.news?.position && window.lobby")
        with Other(server.port) as other:
            other.publish("news", "it works")
        made.wait("news.position.offset === 1")
        while len(said) < 4:
            page.wait_for_event("console")
    assert sorted(said) == [
        "hello",
        "it works",
        "lobby: Hi",
        "unknown-type: no type 'nonsense'",
    ]


@pytest.mark.everyday
def test_chat(visit: Visitor, tmp_path: Path) -> None:
    """
    The example with a room of the chat's shows what people say there, and nothing when
    they come and go.
    """
    block = codeIn(PAGE, "js")[-1]
    assert "wsplug.chat.v1" in block
    with serve(tmp_path, "--app=chat", "--app=echo") as server:
        made = visit(f"http://{HOST}:{server.port}/echo/")
        said: list[str] = []
        page: Any = made.page
        page.on("console", lambda message: said.append(message.text))
        made.run(
            "async () => { const { connect } = await import('/-/wsplug.js');"
            + block.replace('connect(""', 'connect("/chat"')
            + "await new Promise((done) => lobby.addEventListener('entered', done)); }"
        )
        url = f"ws://{HOST}:{server.port}/chat"
        for name in ("Bea", "Cid"):
            with connect(url, subprotocols=[Subprotocol("wsplug.chat.v1")]) as client:
                for message in (
                    {"type": "hello", "name": name},
                    {"type": "join", "room": "lobby"},
                    {"type": "usermsg", "room": "lobby", "message": f"I am {name}"},
                ):
                    client.send(json.dumps(message))
                while json.loads(client.recv(60))["type"] != "sent":
                    pass
        while len(said) < 2:
            page.wait_for_event("console")
    assert said == ["lobby: I am Bea", "lobby: I am Cid"]


@pytest.mark.everyday
def test_wire() -> None:
    """
    What it shows of the wire is JSON.
    """
    (block,) = codeIn(PAGE, "json")
    decoder = json.JSONDecoder()
    kinds = []
    rest = block.strip()
    while rest:
        message, end = decoder.raw_decode(rest)
        kinds.append(message["type"])
        rest = rest[end:].strip()
    assert kinds == [
        *("subscribe", "subscribed", "message", "message", "gap", "unsubscribe")
    ]


@pytest.mark.everyday
def test_options() -> None:
    """
    The options, with their defaults, are those that the client has.
    """
    source = CLIENT.read_text("utf-8")
    section = PAGE.partition("| option | default |")[2]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section.partition("\n\n")[0], re.M)
    documented = {
        name: default
        for names, defaults in rows
        for name, default in zip_longest(
            re.findall(r"`(\w+)`", names), defaults.split(", "), fillvalue="?"
        )
    }
    typed = re.search(r"@typedef \{\{(protocols.*?)\}\} Options", source, re.DOTALL)
    assert typed is not None
    assert set(re.findall(r"(\w+)\?:", typed[1])) == set(documented)
    defaults = re.search(r"const \{ (minDelay.*?) \} = options", source)
    assert defaults is not None
    numbers = dict(re.findall(r"(\w+) = ([0-9]+)", defaults[1]))
    assert numbers == {
        name: default for name, default in documented.items() if default.isdigit()
    }
