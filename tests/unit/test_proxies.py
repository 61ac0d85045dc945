"""Which client a request comes from, behind trusted and untrusted proxies."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from wsplug.assembly import combine, readFile
from wsplug.codec import HeadParser, RequestHead
from wsplug.errors import InvalidOption
from wsplug.guard.proxies import ClientInfo, ProxySettings, TrustedProxies
from wsplug.plugins import parseDescription

PROXY = IPv4Address("TCP", "10.0.0.1", 5000)
STRANGER = IPv4Address("TCP", "11.0.0.9", 5000)
SOCKET = UNIXAddress(None)
CLIENT = "198.51.100.1"


def headOf(*lines: str) -> RequestHead:
    text = "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines, "", ""])
    head = HeadParser().feed(text.encode("latin-1"))
    assert isinstance(head, RequestHead)
    return head


def proxies(*trusted: str, header: str = "x-forwarded-for") -> TrustedProxies:
    return TrustedProxies(ProxySettings(trusted, header), Clock())


def found(
    *lines: str,
    peer: IAddress = PROXY,
    trusted: tuple[str, ...] = ("10.0.0.0/8",),
    header: str = "x-forwarded-for",
) -> tuple[str | None, int, bool | None]:
    """Give the host and port of the client that is found, and whether it uses TLS."""
    client = proxies(*trusted, header=header).clientOf(peer, headOf(*lines))
    address: Any = client.address
    if address is None:
        return None, 0, client.secure
    return address.host, address.port, client.secure


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (CLIENT, CLIENT),
        # Whatever the client made up is to the left.
        (f"203.0.113.1, {CLIENT}", CLIENT),
        (f"10.0.0.7, {CLIENT}", CLIENT),
        (f"garbage, {CLIENT}", CLIENT),
        # Through several trusted proxies.
        (f"203.0.113.1, {CLIENT}, 10.0.0.2, 10.0.0.3", CLIENT),
        # Only proxies: a client on the inside.
        ("10.0.0.4, 10.0.0.2", "10.0.0.4"),
        # Read from the right, as far as it is valid.
        ("203.0.113.1, garbage, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("garbage", None),
        ("203.0.113.1,", None),
        ("unknown", None),
    ],
)
def test_from_the_right(value: str, host: str | None) -> None:
    """The first address from the right that isn't a trusted proxy is the client."""
    assert found(f"X-Forwarded-For: {value}")[0] == host


def test_forms() -> None:
    """Addresses may have ports or be IPv6; several headers form one list."""
    assert found("X-Forwarded-For: 198.51.100.1:81")[:2] == (CLIENT, 81)
    assert found("X-Forwarded-For: [2001:db8::1]:81")[:2] == ("2001:db8::1", 81)
    lines = ("X-Forwarded-For: 203.0.113.1", f"X-Forwarded-For: {CLIENT}")
    assert found(*lines)[:2] == (CLIENT, 0)
    client = proxies("::1").clientOf(
        IPv6Address("TCP", "::1", 1), headOf("X-Forwarded-For: ::2")
    )
    assert client.address == IPv6Address("TCP", "::2", 0)


def test_nobody_is_named() -> None:
    """A trusted proxy may name no client, as in its own health checks."""
    assert found() == (None, 0, None)


def test_strangers() -> None:
    """Headers from untrusted peers are ignored, whether they name a client or claim
    TLS.
    """
    lines = (f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https")
    assert found(*lines, peer=STRANGER) == (None, 0, None)
    assert found(*lines, trusted=()) == (None, 0, None)
    assert found(*lines, peer=SOCKET) == (None, 0, None)
    assert found(*lines, peer=SOCKET, trusted=("unix",)) == (CLIENT, 0, True)
    assert found(*lines, trusted=("unix",)) == (None, 0, None)


def test_mapped() -> None:
    """A proxy that reaches an IPv6 socket over IPv4 is recognized."""
    peer = IPv6Address("TCP", "::ffff:10.0.0.1", 1)
    assert found(f"X-Forwarded-For: {CLIENT}", peer=peer)[0] == CLIENT


def test_one_header() -> None:
    """The header that isn't configured is ignored: the proxy may pass on a client's
    own.
    """
    lines = (f"X-Forwarded-For: {CLIENT}", "Forwarded: for=203.0.113.1;proto=https")
    assert found(*lines) == (CLIENT, 0, None)
    assert found(*lines, header="forwarded") == ("203.0.113.1", 0, True)
    lines = (f"Forwarded: for={CLIENT}", "X-Forwarded-Proto: https")
    assert found(*lines, header="forwarded") == (CLIENT, 0, None)
    assert found(f"Forwarded: for={CLIENT}") == (None, 0, None)


@pytest.mark.parametrize(
    ("lines", "secure"),
    [
        (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"], True),
        (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: WSS"], True),
        (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: http"], False),
        (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: gopher"], None),
        (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: ?"], None),
        (["X-Forwarded-For: 198.51.100.1"], None),
        (["X-Forwarded-Proto: https"], True),
        # Each proxy appends to it. The client's hop counts, whatever the client itself
        # sent.
        (
            [
                "X-Forwarded-For: 203.0.113.1, 198.51.100.1, 10.0.0.2",
                "X-Forwarded-Proto: https, http, https",
            ],
            False,
        ),
        # The last proxy replaces it.
        (
            ["X-Forwarded-For: 198.51.100.1, 10.0.0.2", "X-Forwarded-Proto: https"],
            True,
        ),
    ],
)
def test_schemes(lines: list[str], secure: bool | None) -> None:
    """The proxy that the client connected to says whether the client used TLS."""
    assert found(*lines)[2] is secure


def test_forwarded_schemes() -> None:
    """The protocol is read from the element that names the client."""
    value = "for=203.0.113.1;proto=http, for=198.51.100.1;proto=https, for=10.0.0.2"
    assert found(f"Forwarded: {value}", header="forwarded") == (CLIENT, 0, True)
    value = "for=unknown;proto=https"
    assert found(f"Forwarded: {value}", header="forwarded") == (None, 0, True)


def test_endless() -> None:
    """A chain of proxies is read only up to a fixed number."""
    value = ", ".join(f"10.0.1.{number}" for number in range(200))
    assert found(f"X-Forwarded-For: {value}")[0] == "10.0.1.168"


# Messages for the operator


def test_complaint() -> None:
    """An invalid header from a proxy is logged once in a while.

    One that a client behind it made up, and C{unknown}, never is.
    """
    clock = Clock()
    judge = TrustedProxies(ProxySettings(("10.0.0.1", "unix")), clock)
    with capturedLogs() as events:
        judge.clientOf(PROXY, headOf(f"X-Forwarded-For: garbage, {CLIENT}"))
        judge.clientOf(PROXY, headOf("X-Forwarded-For: unknown"))
        judge.clientOf(STRANGER, headOf("X-Forwarded-For: garbage"))
        assert not events
        for _ in range(3):
            judge.clientOf(PROXY, headOf("X-Forwarded-For: gar bage"))
        clock.advance(61)
        judge.clientOf(SOCKET, headOf("X-Forwarded-For: gar bage"))
    first, second = (formatEvent(event) for event in events)
    assert "the trusted proxy 10.0.0.1 sends a malformed x-forwarded-for" in first
    assert "the trusted proxy unix sends" in second
    assert "bage" not in first


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (PROXY, "10.0.0.1"),
        (IPv4Address("TCP", "127.0.0.1", 1), "127.0.0.1"),
        (IPv6Address("TCP", "::1", 1), "::1"),
        (SOCKET, "unix"),
    ],
)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_notice(peer: IAddress, name: str, header: str) -> None:
    """A header that looks like that of an unconfigured proxy of the operator is
    logged once, with the option to set; and that option works.
    """
    judge = proxies()
    with capturedLogs() as events:
        judge.clientOf(peer, headOf())
        judge.clientOf(STRANGER, headOf(f"{header}: {CLIENT}"))
        assert not events
        judge.clientOf(peer, headOf(f"{header}: {CLIENT}"))
        judge.clientOf(peer, headOf(f"{header}: {CLIENT}"))
    (event,) = events
    assert f"set trusted-proxy {name}" in formatEvent(event)
    assert proxies(name).trusts(peer)
    with capturedLogs() as events:
        proxies("192.0.2.1").clientOf(peer, headOf(f"{header}: {CLIENT}"))
    assert not events


# Settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"trusted-proxy": ["nginx"]}, "trusted-proxy: 'nginx' is not a network"),
        ({"trusted-proxy": ["10.0.0.1/8"]}, "trusted-proxy: '10.0.0.1/8' is no"),
        ({"trusted-proxy": [""]}, "or unix"),
        ({"proxy-protocol": True}, "proxy-protocol needs a trusted-proxy"),
        ({"forwarded-header": "forwarded"}, "forwarded-header needs a trusted-proxy"),
    ],
)
def test_wrong(values: dict[str, object], words: str) -> None:
    """An invalid proxy, and a header setting without trusted proxies, are errors."""
    with pytest.raises(InvalidOption, match=words):
        combine({"app": [parseDescription("echo")], **values}, {})


def test_file(tmp_path: Any) -> None:
    """All of these options work in the configuration file; a single proxy needs no
    array.
    """
    path = tmp_path / "wsplug.toml"
    path.write_text(
        'app = "echo"\ntrusted-proxy = ["10.0.0.0/8", "unix"]\n'
        'proxy-protocol = true\nforwarded-header = "forwarded"\n'
    )
    configuration = combine({}, readFile(str(path)))
    expected = ProxySettings(("10.0.0.0/8", "unix"), "forwarded", True)
    assert configuration.access.proxies == expected
    path.write_text('app = "echo"\ntrusted-proxy = "::1"\n')
    assert combine({}, readFile(str(path))).access.proxies == ProxySettings(("::1",))
    assert (
        combine({"app": [parseDescription("echo")]}, {}).access.proxies
        == ProxySettings()
    )


def test_unnamed() -> None:
    """Most requests come directly from the client, and cost nothing more."""
    assert proxies().clientOf(STRANGER, headOf()) == ClientInfo()
