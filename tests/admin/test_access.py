"""Who is an operator (wsplug.admin.access, options and resources)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from tests.admin.kit import TOKEN
from tests.server.kit import App, Logs
from wsplug.admin.access import Access, AccessDenied
from wsplug.admin.options import readToken
from wsplug.admin.resources import Guarded, ToStatus
from wsplug.errors import InvalidOption
from wsplug.guard.hosts import HostRules
from wsplug.interfaces import IPlainResource
from wsplug.plain import PlainResource, Response
from wsplug.testing import MemoryServer
from wsplug.web.site import makeSite

CLIENT: Any = IPv4Address("TCP", "192.0.2.1", 5)
OTHER: Any = IPv4Address("TCP", "192.0.2.2", 5)


def test_token(logs: Logs) -> None:
    """The right token is accepted any number of times, a wrong one is refused, and
    neither is in the log."""
    access = Access(Clock(), TOKEN)
    assert not access.isOpen
    for _ in range(50):
        access.check(TOKEN, CLIENT)
    for wrong in ("", TOKEN[:-1], TOKEN + "x", "é\ud800"):
        with pytest.raises(AccessDenied, match="wrong"):
            access.check(wrong, CLIENT)
    assert "192.0.2.1:5 was refused as an operator: a wrong token" in logs.lines()
    assert not any(TOKEN[:-1] in text for text in logs.lines())


def test_failures_are_limited() -> None:
    """After ten wrong tokens, a client has to wait, even with the right one."""
    clock = Clock()
    access = Access(clock, TOKEN)
    for _ in range(10):
        with pytest.raises(AccessDenied, match="is wrong"):
            access.check("wrong", CLIENT)
    with pytest.raises(AccessDenied, match="too many") as raised:
        access.check(TOKEN, CLIENT)
    assert raised.value.retryAfter == 30
    access.check(TOKEN, OTHER)
    clock.advance(30)
    access.check(TOKEN, CLIENT)


def test_no_token() -> None:
    """Without a configured token, access is open."""
    access = Access(Clock(), None)
    assert access.isOpen
    access.check("whatever", CLIENT)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no token"),
        (b"  \n", "there is no token"),
        (b"s3&r!\n", "5 characters; it needs 32"),
        (b"x" * 31, "31 characters"),
        (b"x" * 2000, "32 to 1024"),
        (b"two tokens of more than thirty-two characters", "one token"),
        (b"a" * 40 + b"\n" + b"b" * 40, "one token"),
        (b"\xff" * 40, "isn't ASCII"),
    ],
)
def test_bad_token_files(content: bytes, words: str, tmp_path: Path) -> None:
    """Each mistake is reported in one line that names the file and the option, and
    doesn't show the token."""
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidOption, match=words) as raised:
        readToken(str(path))
    text = str(raised.value)
    assert text.startswith("admin-token-file: ")
    assert str(path) in text
    assert "\n" not in text
    assert not content.strip() or content.decode("latin-1").strip() not in text


def test_missing_token_file(tmp_path: Path) -> None:
    """Likewise, a missing file."""
    for name in ("nothing", "a\0b", "."):
        with pytest.raises(InvalidOption, match="admin-token-file: can't read"):
            readToken(str(tmp_path / name))


def test_token_file(tmp_path: Path, logs: Logs) -> None:
    """A valid file is read. If all users can read it, a warning says so."""
    path = tmp_path / "token"
    path.write_text(f"  {TOKEN}\n")
    path.chmod(0o640)
    assert readToken(str(path)) == TOKEN
    assert not logs.lines()
    path.chmod(0o644)
    assert readToken(str(path)) == TOKEN
    (text,) = logs.lines()
    assert "all users of this machine can read" in text
    assert TOKEN not in text


class Leaf(PlainResource):
    """A page for operators only."""

    def respond(self, request: Any) -> Response:
        return Response(200, [], b"secret")


def test_guarded() -> None:
    """A resource behind a token: 401 with the challenge, 429 with the time to wait."""
    server = MemoryServer(App())
    access = Access(server.clock, TOKEN)
    own: dict[bytes, IPlainResource] = {b"metrics": Guarded(Leaf(), access)}
    server.factory.site = makeSite(server.factory.mounts, server.clock, own)

    def get(*authorization: str) -> Any:
        headers = [("Authorization", each) for each in authorization]
        return server.request("GET", "/-/metrics", headers=headers)

    for headers in ((), ("Basic x",), ("Bearer",), ("Bearer wrong",), (TOKEN,)):
        response = get(*headers)
        assert response.status == 401
        assert response.headers["www-authenticate"] == 'Bearer realm="wsplug"'
        assert response.headers["cache-control"] == "no-store"
        assert b"secret" not in response.body
    assert get(f"Bearer {TOKEN}").body == b"secret"
    assert get(f"bearer  {TOKEN} ").body == b"secret"
    for _ in range(10):
        get("Bearer wrong")
    response = get(f"Bearer {TOKEN}")
    assert response.status == 429
    assert int(response.headers["retry-after"]) > 0


def test_host_checked_pages() -> None:
    """On an endpoint without a token, requests from foreign pages or for an unknown
    Host are refused. The root leads to the status page."""
    server = MemoryServer(App())
    own: dict[bytes, IPlainResource] = {b"metrics": Leaf()}
    mounts, landing = server.factory.mounts, ToStatus()
    server.factory.site = makeSite(mounts, server.clock, own, landing=landing)
    server.factory.hosts = HostRules(["http://server.example"], forAll=True)
    assert server.request("GET", "/-/metrics").body == b"secret"
    response = server.request("GET", "/")
    assert response.status == 302
    assert response.headers["location"].endswith("-/status/")
    elsewhere = [("Origin", "http://evil.example")]
    assert server.request("GET", "/-/metrics", headers=elsewhere).status == 403
    server.factory.hosts = HostRules([], forAll=True)
    for target in ("/", "/-/metrics", "/-/status/"):
        assert server.request("GET", target).status == 421
