"""
Who may show the pages in a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.web.resource import Resource

from tests.admin.kit import Board
from tests.apps.process.kit import Stage
from tests.server.kit import App
from wsplug.admin.status import PATH
from wsplug.apps.chat import chat
from wsplug.apps.echo import echo
from wsplug.apps.push import push
from wsplug.testing import MemoryServer

POLICY = "content-security-policy"
OLD = "x-frame-options"


def headersOf(
    application: Any, target: str = "/", **options: Any
) -> tuple[str | None, str | None]:
    """
    Ask for a page.

    @return: what its headers say of frames.
    """
    server = MemoryServer(application, **options)
    headers = server.request("GET", target).headers
    return headers.get(POLICY), headers.get(OLD)


@pytest.mark.parametrize("application", [echo, chat, push])
@pytest.mark.parametrize("target", ["/", "/-/wsplug.css", "/none/at/all"])
def test_same_host(application: Any, target: str) -> None:
    """
    Each application's pages may be framed by those of the same host, and by no others,
    whatever the answer is.
    """
    expected = ("frame-ancestors 'self'", "SAMEORIGIN")
    assert headersOf(application, target) == expected


@pytest.mark.parametrize("mode", ["client", "room"])
def test_programs(mode: str) -> None:
    """
    So may those of programs.
    """
    headers = Stage(mode=mode).server.request("GET", "/").headers
    assert headers[POLICY] == "frame-ancestors 'self'"


@pytest.mark.parametrize(
    ("rules", "policy", "old"),
    [
        (["none"], "'none'", "DENY"),
        (["https://a.example"], "https://a.example", None),
        (
            ["same-origin", "https://*.a.example:8443"],
            "'self' https://*.a.example:8443",
            None,
        ),
        ([], "'none'", "DENY"),
    ],
)
def test_named(rules: list[str], policy: str, old: str | None) -> None:
    """
    Others may that are named; what old browsers can't be told, they aren't.
    """
    expected = (f"frame-ancestors {policy}", old)
    assert headersOf(echo, frameAncestors=rules) == expected


def test_everybody() -> None:
    """
    Everybody may, where that is said.
    """
    assert headersOf(echo, frameAncestors=["same-host", "*"]) == (None, None)


class _Own(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setHeader(b"Content-Security-Policy", b"frame-ancestors *")
        request.responseHeaders.removeHeader(b"X-Frame-Options")
        return b"page"


def test_own_headers() -> None:
    """
    A resource has its own way.
    """
    pages = _Own()  # type: ignore[no-untyped-call]
    assert headersOf(App(pages=pages)) == ("frame-ancestors *", None)


def test_folder(tmp_path: Path) -> None:
    """
    A folder of pages has it, also where nothing has changed since.
    """
    (tmp_path / "index.html").write_text("page")
    assert headersOf(App(pages=str(tmp_path)))[1] == "SAMEORIGIN"


def test_status() -> None:
    """
    Nobody frames the status page.
    """
    headers = Board().admin.request("GET", f"{PATH}/").headers
    assert "frame-ancestors 'none'" in headers[POLICY]
    assert headers[OLD] == "DENY"
