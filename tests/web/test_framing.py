"""
Which pages may show the server's pages in a frame.
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
    Request a page.

    @return: its headers about frames.
    """
    server = MemoryServer(application, **options)
    headers = server.request("GET", target).headers
    return headers.get(POLICY), headers.get(OLD)


@pytest.mark.parametrize("application", [echo, chat, push])
@pytest.mark.parametrize("target", ["/", "/-/wsplug.css", "/none/at/all"])
def test_same_host(application: Any, target: str) -> None:
    """
    By default, pages of the same host may frame each application's pages, and no others
    may. This holds for any answer.
    """
    expected = ("frame-ancestors 'self'", "SAMEORIGIN")
    assert headersOf(application, target) == expected


@pytest.mark.parametrize("mode", ["client", "room"])
def test_programs(mode: str) -> None:
    """
    Likewise, the pages of programs.
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
    Named origins may frame the pages. A rule that the old header can't express is left
    out of it.
    """
    expected = (f"frame-ancestors {policy}", old)
    assert headersOf(echo, frameAncestors=rules) == expected


def test_everybody() -> None:
    """
    With C{*}, any page may frame them.
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
    A resource's own headers take precedence.
    """
    pages = _Own()  # type: ignore[no-untyped-call]
    assert headersOf(App(pages=pages)) == ("frame-ancestors *", None)


def test_folder(tmp_path: Path) -> None:
    """
    A folder of pages has the headers, also in a 304.
    """
    (tmp_path / "index.html").write_text("page")
    assert headersOf(App(pages=str(tmp_path)))[1] == "SAMEORIGIN"


def test_status() -> None:
    """
    No page may frame the status page.
    """
    headers = Board().admin.request("GET", f"{PATH}/").headers
    assert "frame-ancestors 'none'" in headers[POLICY]
    assert headers[OLD] == "DENY"
