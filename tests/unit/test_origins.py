"""Origin rules (RFC 6454, RFC 6455 section 10.2). Over bytes: tests/server."""

from __future__ import annotations

import pytest

from wsplug.guard.origins import OriginRules, parseOrigin


@pytest.mark.parametrize(
    ("origin", "parsed"),
    [
        ("https://example.org", ("https", "example.org", 443)),
        ("HTTP://EXAMPLE.org:80", ("http", "example.org", 80)),
        ("http://[::1]:8080", ("http", "[::1]", 8080)),
        ("chrome-extension://abc", ("chrome-extension", "abc", -1)),
    ],
)
def test_parse(origin: str, parsed: tuple[str, str, int]) -> None:
    """Scheme, host, port; case and default ports don't matter."""
    assert parseOrigin(origin) == parsed


@pytest.mark.parametrize(
    "rule", ["example.org", "https://example.org/", "null", "", "https://*.org/a"]
)
def test_wrong_rule(rule: str) -> None:
    """A rule that is none is an error when the server starts, not a hole later."""
    with pytest.raises(ValueError, match="is no origin like"):
        OriginRules([rule])


def test_no_wildcards() -> None:
    """A star within a rule is no wildcard."""
    rules = OriginRules(["https://*.example.org"])
    assert not rules.allow(b"https://a.example.org", b"a.example.org")


def test_nobody() -> None:
    """Without rules no page may connect, what is no browser may."""
    rules = OriginRules([])
    assert not rules.allow(b"http://a", b"a")
    assert rules.allow(None, None)


def test_without_host() -> None:
    """Without a Host there is no same host."""
    assert not OriginRules().allow(b"http://a", None)
    assert OriginRules(["http://a"]).allow(b"http://a", None)


@pytest.mark.parametrize("host", [b"\xff", b"a b:1:2", b"[::1", b"a:99999999999"])
def test_wrong_host(host: bytes) -> None:
    """Whatever a Host is, it never raises."""
    assert not OriginRules().allow(b"http://a", host)


def test_judged_again() -> None:
    """A judgement that is kept is the one of the same rules, origin and host."""
    some, others = OriginRules(), OriginRules(["http://b"])
    for _ in range(2):
        assert some.allow(b"http://a", b"a")
        assert not some.allow(b"http://a", b"b")
        assert not some.allow(b"http://a", None)
        assert not some.allow(b"http://b", b"a")
        assert not others.allow(b"http://a", b"a")
        assert others.allow(b"http://b", b"a")


def test_what_is_kept_is_bounded() -> None:
    """Any number of origins and hosts may be sent; few judgements are kept."""
    rules = OriginRules()
    for number in range(500):
        assert rules.allow(b"http://a%d" % number, b"a%d" % number)
    kept = rules._judgeKept.cache_info()
    assert (kept.currsize, kept.maxsize) == (64, 64)
