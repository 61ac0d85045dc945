"""
The chat's page: at each room's path, with its files and the server's own below it.
"""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from wsplug.apps.chat import chat
from wsplug.testing import MemoryServer


@pytest.mark.parametrize(
    "path", ["/", "/kitchen", "/a/b/c", "/%3Cscript%3E", "/x?y=1", "/a/chat.js/"]
)
def test_page(path: str) -> None:
    """
    Each room's path has the page.
    """
    response = MemoryServer(chat).request("GET", path)
    assert response.status == 200
    assert response.headers["content-type"] == "text/html"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-cache"
    assert response.body.startswith(b"<!DOCTYPE html>") or b"<html" in response.body


@pytest.mark.parametrize("mount", ["/", "/team"])
@pytest.mark.parametrize("page", ["/", "/kitchen", "/a/b/c", "/chat.js/"])
@pytest.mark.parametrize("name", ["chat.js", "chat.css", "-/wsplug.js", "-/wsplug.css"])
def test_files(mount: str, page: str, name: str) -> None:
    """
    What the page refers to is found, from wherever it is.
    """
    server = MemoryServer(chat, path=mount)
    target = urljoin(mount.rstrip("/") + page, name)
    response = server.request("GET", target)
    for _ in range(2):
        if response.status == 302:
            target = urljoin(target, response.headers["location"])
            response = server.request("GET", target)
    assert response.status == 200
    kind = "css" if name.endswith("css") else "javascript"
    assert kind in response.headers["content-type"]


def test_without_slash() -> None:
    """
    The mount's path without a slash leads to the one with it.
    """
    response = MemoryServer(chat, path="/a team").request("GET", "/a%20team")
    assert (response.status, response.headers["location"]) == (302, "a%20team/")


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f__init__.py",
        "/../application.py",
        "/x/-/%0d%0aSet-Cookie:%20a=b",
        "/x/-/%2f%2fexample.org",
        "/-/../chat.js",
        "/-/%2e%2e%2fsite.py",
    ],
)
def test_nothing_else(path: str) -> None:
    """
    Nothing that isn't the page's or the server's is to be had, and no address leads
    elsewhere.
    """
    response = MemoryServer(chat).request("GET", path)
    assert "set-cookie" not in response.headers
    assert b"import" not in response.body[:300] or response.status == 404
    location = response.headers.get("location", "")
    assert urljoin("http://server.example/x/-/y", location).startswith(
        "http://server.example/"
    )
