"""Origin rules (RFC 6454, RFC 6455 section 10.2). Over bytes: tests/server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsplug.guard.origins import OriginRules, parseOrigin, parseRule


@pytest.mark.parametrize(
    ("origin", "parsed"),
    [
        ("https://example.org", ("https", "example.org", 443)),
        ("HTTP://EXAMPLE.org:80", ("http", "example.org", 80)),
        ("http://[::1]:8080", ("http", "[::1]", 8080)),
        ("http://[0:0:0:0:0:0:0:1]", ("http", "[::1]", 80)),
        ("https://xn--exmple-cua.org", ("https", "xn--exmple-cua.org", 443)),
        ("https://example.org:65535", ("https", "example.org", 65535)),
        ("chrome-extension://abc", ("chrome-extension", "abc", -1)),
        ("capacitor://localhost", ("capacitor", "localhost", -1)),
    ],
)
def test_parse(origin: str, parsed: tuple[str, str, int]) -> None:
    """An origin is a scheme, a host and a port; case and default ports don't matter."""
    assert parseOrigin(origin) == parsed


WRONG = {
    "": "begin with https://",
    "example.org": "begin with https://",
    "*.example.org": "begin with https://",
    "Null": "begin with https://",
    "**": "begin with https://",
    "https://example.org/": "nothing may follow",
    "https://example.org?": "nothing may follow",
    "https://*.example.org/a": "nothing may follow",
    "https://user@example.org": "has no user",
    "https://exämple.org": "punycode",
    "https://*.exämple.org": "punycode",
    "file:///tmp/page.html": "pages from files have the origin null",
    "wss://example.org": "use https://example.org",
    "ws://*.example.org:81": "use http://*.example.org:81",
    "https://*": "only replace the first",
    "https://*:443": "only replace the first",
    "https://*example.org": "only replace the first",
    "https://a*.example.org": "only replace the first",
    "https://a.*.example.org": "only replace the first",
    "https://*.*.example.org": "only replace the first",
    "https://*.": "only replace the first",
    "https://example.*": "only replace the first",
    "https://example.org:*": "only replace the first",
    "https://*.[::1]": "only replace the first",
    "https://*.org": "anybody can have a name below org",
    "https://*.org:8443": "anybody can have a name below org",
    "https://*.example.org.": "remove the dot",
    "https://*.0.0.1": "addresses have no names below them",
    "https://*.127.0.0.1": "addresses have no names below them",
    "http://127.1": "127.1 is not an IPv4 address",
    "http://127.0.0.256": "127.0.0.256 is not an IPv4 address",
    "http://0x7f": "0x7f is not an IPv4 address",
    "http://[::g]": "the host or the port is invalid",
    "http://[1:2]": "is not an IPv6 address",
    "https://example.org:0": "without leading zeros",
    "https://example.org:0443": "without leading zeros",
    "https://example.org:": "without leading zeros",
    "https://example.org:65536": "from 1 to 65535",
    "https://example.org:\u0661": "punycode",
    "https://": "the host or the port is invalid",
    "https://example..org": "the host or the port is invalid",
    "https://.example.org": "the host or the port is invalid",
    "https://example%2eorg": "the host or the port is invalid",
    "https://example.org ": "the host or the port is invalid",
    "https://a\tb": "the host or the port is invalid",
    "https://" + "a" * 600: "longer than 512",
}


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: repr(rule)[:40])
def test_wrong_rule(rule: str) -> None:
    """An invalid rule is an error when the server starts, rather than a hole later.

    The error quotes the rule, or the beginning of a very long one, and says how to
    write it.
    """
    with pytest.raises(ValueError, match="is not an origin like") as caught:
        OriginRules(["same-origin", rule])
    message = str(caught.value)
    assert WRONG[rule] in message
    assert repr(rule)[1:60].rstrip("'") in message
    assert len(message) < 300


RULES = [
    "https://example.org",
    "http://example.org:8080",
    "http://[2001:db8::1]",
    "https://*.example.net",
    "https://*.example.com:8443",
    "http://*.localhost:3000",
    "chrome-extension://abcdefgh",
]

ALLOWED = [
    "https://example.org",
    "https://example.org:443",
    "HTTPS://EXAMPLE.ORG",
    "http://example.org:8080",
    "http://[2001:db8::1]",
    "http://[2001:DB8::1]:80",
    "https://a.example.net",
    "https://A.Example.Net:443",
    "https://a.b.c.example.net",
    "https://_a-1.example.net",
    "https://xn--a-b.example.net",
    "https://a.example.com:8443",
    "http://app.localhost:3000",
    "chrome-extension://abcdefgh",
]

HOSTILE = [
    # Text before or after the name
    "https://evilexample.org",
    "https://evil-example.org",
    "https://www.example.org",
    "https://example.org.evil.com",
    "https://example.org-evil.com",
    "https://example.orgevil.com",
    "https://example.or",
    "https://xample.org",
    "https://example.net",
    "https://evilexample.net",
    "https://evil-example.net",
    "https://a.example.net.evil.com",
    "https://a.evil-example.net",
    "https://*.example.net",
    "https://example.net.example.org",
    # Invalid names
    "https://.example.net",
    "https://..example.net",
    "https://a..example.net",
    "https://a.example..net",
    "https://example.org.",
    "https://example.org..",
    "https://a.example.net.",
    "https://-",
    # Percent encoding, entities, unusual letters
    "https://example.org%2eevil.com",
    "https://evil.com%2fexample.org",
    "https://evil%2ecom.example.net",
    "https://evil.com%00.example.net",
    "https://evil.com%23.example.net",
    "https://evil.com!.example.net",
    "https://evil.com{.example.net",
    "https://evil.com`.example.net",
    "https://evil.com,.example.net",
    "https://evil.com&.example.net",
    "https://evil.com'.example.net",
    "https://evil.com;.example.net",
    "https://evil.com=.example.net",
    # Users
    "https://example.org@evil.com",
    "https://example.org:443@evil.com",
    "https://evil.com@example.org",
    "https://user:password@example.org",
    "https://@example.org",
    "https://evil.com@a.example.net",
    # Paths, queries, fragments, backslashes
    "https://example.org/",
    "https://example.org/.evil.com",
    "https://evil.com/https://example.org",
    "https://evil.com/.example.net",
    "https://evil.com?.example.net",
    "https://evil.com#.example.net",
    "https://evil.com\\.example.net",
    "https://evil.com\\@example.org",
    "https:/example.org",
    "https:example.org",
    "https:///example.org",
    "https:\\\\example.org",
    "//example.org",
    "example.org",
    # Ports
    "http://example.org",
    "https://example.org:80",
    "https://example.org:8443",
    "https://example.org:0",
    "https://example.org:00443",
    "https://example.org:0443",
    "https://example.org:65536",
    "https://example.org:65979",  # 443 + 65536
    "https://example.org:4430",
    "https://example.org:-443",
    "https://example.org:+443",
    "https://example.org: 443",
    "https://example.org:443 ",
    "https://example.org:4_43",
    "https://example.org:",
    "https://example.org:443:443",
    "https://example.org:443.evil.com",
    "https://example.org:" + "4" * 400,
    "https://a.example.net:8443",
    "https://a.example.com",
    "https://a.example.com:443",
    "http://app.localhost",
    # Schemes
    "http://a.example.net",
    "wss://example.org",
    "httpss://example.org",
    "xhttps://example.org",
    "javascript://example.org",
    "blob:https://example.org",
    "data://example.org",
    "file://",
    "file://example.org",
    "chrome-extension://abcdefg",
    "chrome-extension://abcdefgh:80",
    "moz-extension://abcdefgh",
    "null",
    "Null",
    "",
    "*",
    "same-host",
    "https://",
    "://example.org",
    # Addresses
    "https://[2001:db8::1]",
    "http://[2001:db8::2]",
    "http://2001:db8::1",
    "http://[2001:db8::1].example.net",
    "https://a.[2001:db8::1]",
    "http://[2001:db8::1",
    "http://2001:db8::1]",
    "http://[2001:db8::1%25eth0]",
    "http://[::ffff:2001:db8::1]",
    "http://[]",
    "http://[.]",
    # Several origins
    "https://example.org https://evil.com",
    "https://evil.com https://example.org",
    "https://evil.com, https://example.org",
    "https://example.org,https://evil.com",
    "https://evil.com\thttps://example.org",
    # Control bytes
    "https://example.org\t",
    "\thttps://example.org",
    "https://exam\tple.org",
    "https://example.org\n",
    "https://example.org\r\n",
    "https://example.org\0",
    "https://example.org\0.evil.com",
    "https://evil.com\0.example.net",
    "https://evil.com\n.example.net",
    " https://example.org",
    "https://example.org\x7f",
    # Very long origins
    "https://" + "a" * 10_000 + ".example.net",
    "https://" + "a." * 5_000 + "example.net",
    "https://example.org" + " " * 10_000,
]

HOSTILE_BYTES = [
    "https://exämple.org".encode(),
    "https://exämple.org".encode("latin-1"),
    "https://\u0435\u0445ample.org".encode(),  # the first two letters are Cyrillic
    "https://example\u3002org".encode(),  # an ideographic full stop
    "https://a\u3002example.net".encode(),
    "https://exampl\u212f.org".encode(),
    "https://\u24d4xample.org".encode(),
    "https://example.org:\uff14\uff14\uff13".encode(),  # fullwidth digits
    "https://example.org:\u0664\u0664\u0663".encode(),
    "https://\u017fub.example.net".encode(),
    b"https://example.org\xff",
    b"\xef\xbb\xbfhttps://example.org",
]


@pytest.mark.parametrize("origin", ALLOWED)
def test_allowed(origin: str) -> None:
    """Rules match exact origins, and those below a name, in any case, with or
    without the default port.
    """
    assert OriginRules(RULES).allow(origin.encode(), b"elsewhere.example")


@pytest.mark.parametrize(
    "origin",
    [*(each.encode("ascii") for each in HOSTILE), *HOSTILE_BYTES],
    ids=lambda origin: repr(origin)[:50],
)
def test_hostile(origin: bytes) -> None:
    """DESIGN section 5: an origin that only resembles an allowed one is refused.

    With same-host, it is refused whatever the Host.
    """
    rules = OriginRules([*RULES, "same-host"])
    for host in (b"elsewhere.example", b"", b"evil.com@example.org", None):
        assert not rules.allow(origin, host)
        assert not rules.isTrusted(origin, host)


def test_wildcard_is_one_or_more_names() -> None:
    """https://*.example.org matches all names below example.org, at any depth.
    example.org itself needs a rule of its own.
    """
    rules = OriginRules(["https://*.example.org"])
    assert rules.allow(b"https://a.example.org", None)
    assert rules.allow(b"https://a.b.example.org", None)
    assert not rules.allow(b"https://example.org", None)
    both = OriginRules(["https://*.example.org", "https://example.org"])
    assert both.allow(b"https://example.org", None)


def test_wildcards_nest() -> None:
    """Of several rules with wildcards, any one is enough."""
    rules = OriginRules(["https://*.b.example.org", "https://*.example.net"])
    assert rules.allow(b"https://a.b.example.org", None)
    assert rules.allow(b"https://a.b.example.net", None)
    assert not rules.allow(b"https://b.example.org", None)
    assert not rules.allow(b"https://a.c.example.org", None)


def test_null() -> None:
    """Pages that hide their origin are allowed by a rule for null, and by *."""
    for rules in (["same-host"], ["https://example.org"], ["file://"], []):
        assert not OriginRules(rules).allow(b"null", b"null")
    for rules in (["null"], ["same-host", "null"], ["*"]):
        assert OriginRules(rules).allow(b"null", b"a")
    for other in (b"NULL", b"null ", b"nulls", b"http://null", b""):
        assert not OriginRules(["null"]).allow(other, b"a")


TRUSTED = {
    "exact": (["https://example.org"], b"https://example.org", True),
    "wildcard": (["https://*.example.org"], b"https://a.example.org", True),
    "same host": (["same-host"], b"https://server.example", True),
    "another": (["same-host"], b"https://example.org", False),
    "any": (["*"], b"https://example.org", False),
    "any, from the same host": (["*"], b"https://server.example", True),
    "another port": (["https://a.b"], b"https://server.example:8000", True),
    "the strict rule": (["same-origin"], b"https://server.example:8000", False),
    "none of its own": (["none", "https://a.b"], b"https://server.example", False),
    "file": (["file://"], b"file://", False),
    "any, and an exact one": (["*", "https://a.b"], b"https://a.b", True),
    "any, and another one": (["*", "https://a.b"], b"https://a.c", False),
    "any, and the same host": (["*", "same-host"], b"https://server.example", True),
    "null": (["null"], b"null", False),
    "null and any": (["null", "*"], b"null", False),
    "none": (["same-host"], None, False),
    "none, any": (["*"], None, False),
    "nobody": ([], b"https://example.org", False),
    "too long": (["*", "same-host"], b"https://" + b"a" * 600, False),
}


@pytest.mark.parametrize("name", TRUSTED)
def test_trusted(name: str) -> None:
    """A page is trusted by a rule that names it.

    Not by *, which allows everyone, nor by null, which any page can send, nor by the
    rule for clients without an origin.
    """
    rules, origin, trusted = TRUSTED[name]
    for _ in range(2):
        assert OriginRules(rules).isTrusted(origin, b"server.example") is trusted


@given(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(
            r"https://[a-z.@:/%\\#?\[\]*-]{0,20}\.example\.net", fullmatch=True
        ),
        st.from_regex(r"https://example\.org[a-z0-9.@:/%\\#? -]{0,20}", fullmatch=True),
    )
)
def test_whatever_comes(text: str) -> None:
    """Checking an origin never raises.

    Python's URL parser agrees that an accepted origin has an allowed host.
    """
    rules = OriginRules(RULES)
    if not rules.allow(text.encode("utf-8"), b"server.example"):
        return
    parts = urlsplit(text)
    assert parts.hostname is not None
    assert (
        parts.hostname == "example.org"
        or parts.hostname.endswith((".example.net", ".example.com", ".localhost"))
        or parts.scheme == "chrome-extension"
    )
    assert (parts.path, parts.query, parts.fragment, parts.username) == (
        *("", "", ""),
        None,
    )


@given(st.text(max_size=40))
def test_whatever_rule(text: str) -> None:
    """A rule is an origin or raises ValueError, and a rule matches its own origin."""
    try:
        _, below = parseRule(text)
    except ValueError:
        return
    assert OriginRules([text]).allow(text.encode("ascii"), None) is not below


def test_file() -> None:
    """Some web views send this origin for pages from files.

    It is allowed by name, in either spelling; no other origin of that scheme is.
    """
    for rule in ("file://", "file:"):
        assert OriginRules([rule]).allow(b"file://", b"a")
        for other in (b"file:", b"file:///", b"file://a", b"FILE://", b"null"):
            assert not OriginRules([rule]).allow(other, b"a")
    assert not OriginRules(["null"]).allow(b"file://", b"")


def test_none() -> None:
    """Only listed pages may connect, or none; clients other than browsers still may.

    The keyword contradicts rules that allow the server's own pages.
    """
    rules = OriginRules(["none"])
    assert not rules.allow(b"http://a", b"a")
    assert rules.allow(None, None)
    listed = OriginRules(["none", "https://shop.example"])
    assert listed.allow(b"https://shop.example", b"a")
    assert not listed.allow(b"http://a", b"a")
    for other in ("same-host", "same-origin", "*"):
        with pytest.raises(
            ValueError, match=f"'none' can't be combined with '{re.escape(other)}'"
        ):
            OriginRules([other, "none"])


def test_added() -> None:
    """A named origin is allowed in addition to the server's own pages."""
    for rules in (["https://shop.example"], ["null"], ["*"], []):
        assert OriginRules(rules).allow(b"http://a:8000", b"a:9000")
    strict = OriginRules(["https://shop.example", "same-origin"])
    assert strict.allow(b"https://shop.example", b"a:9000")
    assert strict.allow(b"http://a:9000", b"a:9000")
    assert not strict.allow(b"http://a:8000", b"a:9000")


SAME = [
    (b"http://a.example:8000", b"a.example:9000"),
    (b"http://a.example", b"a.example:9000"),
    (b"https://a.example", b"a.example:9000"),
    (b"http://A.example", b"a.EXAMPLE"),
    (b"http://192.0.2.7:8000", b"192.0.2.7:9000"),
    (b"http://[2001:db8::1]:8000", b"[2001:db8:0::1]:9000"),
]

MACHINE = [
    b"localhost",
    b"localhost:9000",
    b"LOCALHOST:9000",
    b"localhost.:9000",
    b"app.localhost:9000",
    b"127.0.0.1:9000",
    b"127.8.9.1:9000",
    b"[::1]:9000",
    b"[0:0:0:0:0:0:0:1]:9000",
    b"[::ffff:127.0.0.1]:9000",
    b"0.0.0.0:9000",
    b"[::]:9000",
]

DIFFERENT = [
    (b"http://b.a.example", b"a.example:9000"),
    (b"http://a.example", b"b.a.example"),
    (b"http://a.example.", b"a.example"),
    (b"http://192.0.2.7", b"192.0.2.8"),
    (b"ftp://a.example", b"a.example"),
    (b"chrome-extension://a.example", b"a.example"),
    (b"capacitor://localhost", b"localhost:9000"),
    (b"http://a.example", b"a.example:65536"),
    (b"http://a.example", b"a.example:99999"),
    (b"http://a.example", b"a.example:443"),
    (b"http://localhost.evil.example", b"localhost:9000"),
    (b"http://127.0.0.1.evil.example", b"127.0.0.1:9000"),
    (b"http://notlocalhost", b"localhost"),
    (b"http://127.1", b"127.0.0.1"),
    (b"http://10.0.0.1", b"127.0.0.1"),
    (b"http://192.0.2.7", b"localhost"),
    (b"http://localhost", b"a.example"),
    (b"http://localhost", b""),
    (b"http://localhost", b".localhost@a"),
    (b"http://localhost", b"[localhost]"),
    (b"http://localhost", b"[127.0.0.1]"),
]


@pytest.mark.parametrize(("origin", "host"), SAME)
def test_same_host(origin: bytes, host: bytes) -> None:
    """By default, pages of the same host may connect from any port.

    The strict rule compares the port as well.
    """
    assert OriginRules().allow(origin, host)
    assert OriginRules().isTrusted(origin, host)
    assert not OriginRules(["none"]).allow(origin, host)


@pytest.mark.parametrize("host", MACHINE)
def test_the_machine_itself(host: bytes) -> None:
    """All names and addresses of this machine count as one host, except under the
    strict rule.
    """
    for each in MACHINE:
        origin = b"http://" + each.replace(b"9000", b"8000")
        assert OriginRules().allow(origin, host)
        assert not OriginRules(["same-origin"]).allow(origin + b"1", host)


@pytest.mark.parametrize(("origin", "host"), DIFFERENT)
def test_other_hosts(origin: bytes, host: bytes) -> None:
    """No other host counts as the same, and no page that isn't http: or https: does."""
    assert not OriginRules().allow(origin, host)
    assert not OriginRules(["same-origin"]).allow(origin, host)


def test_less_secure() -> None:
    """A page without TLS may not connect with TLS, under either rule: an attacker
    who can change the page would reach what TLS protects. A named origin may.
    """
    page = b"http://a.example"
    for rules in (OriginRules(), OriginRules(["same-origin"])):
        assert rules.allow(page, b"a.example", False)
        assert not rules.allow(page, b"a.example", True)
        assert not rules.allow(page, b"a.example:443", False)
        assert rules.allow(b"https://a.example", b"a.example", True)
        assert rules.allow(page, b"a.example", False)
    assert not OriginRules().allow(b"http://localhost:8000", b"localhost:9000", True)
    assert OriginRules([page.decode()]).allow(page, b"a.example", True)


def test_nobody() -> None:
    """Without a Host, no page is the server's own."""
    rules = OriginRules([])
    assert not rules.allow(b"http://a", None)
    assert rules.allow(None, None)


def test_without_host() -> None:
    """Without a Host, no page is of the same host."""
    assert not OriginRules().allow(b"http://a", None)
    assert OriginRules(["http://a"]).allow(b"http://a", None)


@pytest.mark.parametrize(
    "host", [b"\xff", b"a b:1:2", b"[::1", b"a:99999999999", b"[::1]x", b"[zz]"]
)
def test_wrong_host(host: bytes) -> None:
    """No Host raises an exception."""
    assert not OriginRules().allow(b"http://a", host)


def test_same_address() -> None:
    """All spellings of an IPv6 address are equal."""
    assert OriginRules().allow(b"http://[::1]:9000", b"[0:0::0:1]:9000")
    assert not OriginRules().allow(b"http://[::1]:9000", b"[::2]:9000")


def test_judged_again() -> None:
    """A cached result is that of the same rules, origin and host."""
    some, others = OriginRules(), OriginRules(["http://b"])
    for _ in range(2):
        assert some.allow(b"http://a", b"a")
        assert not some.allow(b"http://a", b"b")
        assert not some.allow(b"http://a", None)
        assert not some.allow(b"http://b", b"a")
        assert not others.allow(b"http://a", b"b")
        assert not some.allow(b"http://a", b"a", True)
        assert others.allow(b"http://b", b"a")


def test_what_is_kept_is_bounded() -> None:
    """A client may send any number of origins and hosts: few results are cached, and
    none for an origin that is too long.
    """
    rules = OriginRules()
    for number in range(500):
        assert rules.allow(b"http://a%d" % number, b"a%d" % number)
    kept = rules._judgeKept.cache_info()
    assert (kept.currsize, kept.maxsize) == (64, 64)
    assert not rules.allow(b"http://" + b"a" * 10_000, b"a" * 10_000)
    assert rules._judgeKept.cache_info().misses == 500
