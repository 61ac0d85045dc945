"""
Reading credentials (wsplug.auth.credentials).
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsplug.auth import BearerToken, LoginRefused, UsernamePassword
from wsplug.auth.credentials import (
    MAX_TOKEN_SIZE,
    readAuthorization,
    readFirstMessage,
    readToken,
)


def encode(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return base64.b64encode(data)


@pytest.mark.parametrize(
    ("value", "name", "password"),
    [
        (b"Basic " + encode("ann:secret"), "ann", "secret"),
        (b"basic   " + encode("ann:secret") + b" ", "ann", "secret"),
        (b"BASIC " + encode("ann:se:cr:et"), "ann", "se:cr:et"),
        (b"Basic " + encode("ann:"), "ann", ""),
        (b"Basic " + encode(":x"), "", "x"),
        (
            b"Basic " + encode("J\u00fcrgen:gr\u00fc\u00df"),
            "J\u00fcrgen",
            "gr\u00fc\u00df",
        ),
    ],
)
def test_basic(value: bytes, name: str, password: str) -> None:
    """
    RFC 7617 section 2: the scheme is case-insensitive, everything after the first
    colon is the password, and the encoding is UTF-8.
    """
    found = readAuthorization(value)
    assert isinstance(found, UsernamePassword)
    assert (found.username, found.password) == (name.encode(), password.encode())
    assert found.checkPassword(password.encode())
    assert found.checkPassword(password)
    assert not found.checkPassword(password + "x")


@pytest.mark.parametrize(
    "value",
    [
        b"Basic",
        b"Basic " + encode("no colon"),
        b"Basic " + encode(b"ann:\xff"),
        b"Basic " + encode("ann:a\0b"),
        b"Basic " + encode("a\nnn:ab"),
        b"Basic ann:secret",
        b"Basic " + encode("ann:secret")[:-1] + b"!",
        b"Bearer",
        b"Bearer a b",
        b"Bearer a,b",
        b'Bearer "a"',
        b"Bearer \xff",
        b"Bearer =",
        b"Bearer " + b"a" * (MAX_TOKEN_SIZE + 1),
    ],
)
def test_malformed(value: bytes) -> None:
    """
    Malformed names and passwords (RFC 7617 section 2) and malformed tokens (RFC 6750
    section 2.1) are refused, with a reason that shows nothing of them.
    """
    with pytest.raises(LoginRefused) as caught:
        readAuthorization(value)
    assert "ann" not in caught.value.reason
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize("value", [b"", b"Digest a=b", b"Negotiate YQ==", b"Basi"])
def test_other_schemes(value: bytes) -> None:
    """
    Credentials of other schemes, such as those for a proxy in front, are ignored.
    """
    assert readAuthorization(value) is None


def test_token() -> None:
    """
    A token is everything after the scheme, up to the maximum size.
    """
    token = b"aZ0-._~+/" * 100 + b"=="
    found = readAuthorization(b"bearer " + token)
    assert isinstance(found, BearerToken)
    assert found.token == token
    assert found.lasts is None
    assert readToken(b"a" * MAX_TOKEN_SIZE).token == b"a" * MAX_TOKEN_SIZE


def test_nothing_shows() -> None:
    """
    Logging credentials shows no secret.
    """
    for each in (UsernamePassword(b"ann", b"secret"), BearerToken(b"secret")):
        assert "secret" not in f"{each!r} {each}"


@pytest.mark.parametrize(
    ("text", "token", "request_"),
    [
        ('{"type":"auth","token":"abc"}', "abc", None),
        ('{"token":"abc","type":"auth","request":7}', "abc", 7),
        ('{"type":"auth","token":"abc","request":"r","more":[1]}', "abc", "r"),
        ('{"type":"auth","token":""}', "", None),
    ],
)
def test_first_message(text: str, token: str, request_: object) -> None:
    """
    The first message is an object of the type "auth" with a token. The order of its
    keys doesn't matter, and other keys are ignored.
    """
    message = readFirstMessage(text)
    assert (message.token, message.request) == (token, request_)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "{}",
        "[]",
        '"abc"',
        '{"type":"auth"}',
        '{"type":"auth","token":7}',
        '{"type":"auth","token":null}',
        '{"type":"login","token":"abc"}',
        '{"type":"auth","token":"abc","request":{}}',
        '{"type":"auth","token":"abc"',
        '{"type":"auth","more":' + "[" * 5000,
        '{"type":"auth","token":"\udc80"}',
    ],
)
def test_wrong_first_message(text: str) -> None:
    """
    Anything else is refused, however deeply it is nested.
    """
    with pytest.raises(LoginRefused, match="the first message must contain a token"):
        readFirstMessage(text)


@given(st.binary())
def test_any_header(value: bytes) -> None:
    """
    Any header gives credentials, nothing, or a refusal.
    """
    for prefix in (b"", b"Basic ", b"Bearer "):
        try:
            found = readAuthorization(prefix + value)
        except LoginRefused:
            continue
        assert found is None or isinstance(found, (UsernamePassword, BearerToken))


@given(st.text(), st.text())
def test_any_password(name: str, password: str) -> None:
    """
    Each name and password that RFC 7617 allows is read as it was sent.
    """
    control = any(ord(each) < 32 or ord(each) == 127 for each in name + password)
    value = b"Basic " + encode(f"{name}:{password}")
    if control:
        with pytest.raises(LoginRefused):
            readAuthorization(value)
        return
    found: Any = readAuthorization(value)
    both = f"{name}:{password}".encode()
    assert found.username + b":" + found.password == both
    assert b":" not in found.username


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_JSON | st.text().map(lambda text: {"type": "auth", "token": text}))
def test_any_message(value: object) -> None:
    """
    Any JSON gives a token or a refusal.
    """
    isToken = (
        isinstance(value, dict)
        and value.get("type") == "auth"
        and isinstance(value.get("token"), str)
        and isinstance(value.get("request"), (int, str, type(None)))
        and not isinstance(value.get("request"), bool)
    )
    try:
        message = readFirstMessage(json.dumps(value))
    except LoginRefused:
        assert not isToken
    else:
        assert isinstance(value, dict)
        assert message.token == value["token"]
