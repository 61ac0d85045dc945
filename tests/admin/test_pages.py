"""
What the status page's headers allow a browser (wsplug.admin.resources).
"""

from __future__ import annotations

import pytest

from tests.admin.kit import Board
from wsplug.admin.status import PATH


def test_policy() -> None:
    """
    No page may frame the status page, and it runs no scripts except its own files.
    """
    response = Board().admin.request("GET", f"{PATH}/")
    assert response.status == 200
    policy = response.headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["frame-ancestors"] == rules["default-src"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    text = response.body.decode("utf-8").lower()
    assert "<script>" not in text
    assert " onclick=" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/../operator.py",
        "/%2e%2e/operator.py",
        "/..%2foperator.py",
        "/%2e%2e%2foperator.py",
        "/./../operator.py",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/%00",
        "/index.html%00.js",
    ],
)
@pytest.mark.parametrize("root", [PATH, "/-"])
def test_traversal(root: str, path: str) -> None:
    """
    Below the status page's and the server's paths, only their own files are served.
    """
    response = Board().admin.request("GET", root + path)
    assert response.status in (400, 404), response.body[:100]
