"""
The chat's page over https, its WebSocket over wss, in a browser.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chatting import Guest
from tests.browser.conftest import Visitor
from tests.live.certificates import Authority
from tests.processes import HOST, Server


@pytest.mark.everyday
def test_ssl_endpoint(tmp_path: Path, visit: Visitor) -> None:
    """
    A browser, which offers HTTP/2 and HTTP/1.1 (ALPN), gets the page and its WebSocket
    on an ssl: endpoint, too.
    """
    Authority().issue("echo", HOST).write(tmp_path)
    where = "privateKey=server.key:certKey=server.pem"
    listen = [f"ssl:0:interface={HOST}:{where}"]
    with Server(tmp_path, ["--app=echo"], listen=listen) as server:
        page = visit(f"https://{HOST}:{server.port}/", ignore_https_errors=True)
        page.page.locator("#state[data-state=open]").wait_for()
        page.page.get_by_label("Text to send").fill("hello")
        page.page.keyboard.press("Enter")
        page.page.locator(".line.in", has_text="hello").wait_for()
        page.page.close()
        assert server.stop() == 0
        assert "Traceback" not in server.log + server.err


@pytest.mark.everyday
def test_chat(tmp_path: Path, visit: Visitor) -> None:
    """
    Two people chat; the page's own origin is let in, and the connection is encrypted.
    """
    Authority().issue("chat", HOST).write(tmp_path)
    arguments = [
        *("--app=chat", "--port=0", f"--interface={HOST}"),
        *("--tls-cert=server.pem", "--tls-key=server.key"),
    ]
    with Server(tmp_path, arguments, listen=()) as server:
        url = f"https://{HOST}:{server.port}/"
        ann, bea = (
            Guest(visit(url, ignore_https_errors=True)).enter(name)
            for name in ("Ann", "Bea")
        )
        assert ann.visit.run("location.protocol") == "https:"
        ann.say("Hello Bea")
        bea.sees("Hello Bea")
        bea.say("Hello Ann")
        ann.sees("Hello Bea", "Hello Ann")
        ann.visit.page.close()
        bea.visit.page.close()
        assert server.stop() == 0
        assert "Traceback" not in server.log + server.err
