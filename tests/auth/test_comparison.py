"""
The time that it takes to refuse a secret reveals nothing about the right one.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.auth.kit import writeTokens
from wsplug.auth.credentials import BearerToken, UsernamePassword
from wsplug.auth.tokens import TokenChecker


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """
    All values that are compared in constant time.
    """
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def note(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    return compared


@pytest.mark.parametrize("token", [b"first", b"second", b"third", b"none"])
def test_tokens(token: bytes, tmp_path: Path, compared: list[tuple[Any, Any]]) -> None:
    """
    A token's digest is compared with all stored ones, wherever the right one is.
    """
    description = writeTokens(
        tmp_path / "tokens", ann="first", bob="second", cyd="third"
    )
    checker = TokenChecker(description.partition(":")[2])
    results: list[Any] = []
    checker.requestAvatarId(BearerToken(token)).addBoth(results.append)
    assert isinstance(results[0], Failure) == (token == b"none")
    assert len(compared) == 3
    assert all(len(one) == len(other) == 32 for one, other in compared)


@pytest.mark.parametrize("password", [b"secret", b"secreT", b"s", b""])
def test_passwords(password: bytes, compared: list[tuple[Any, Any]]) -> None:
    """
    Likewise, a password with the right one.
    """
    credentials = UsernamePassword(b"ann", password)
    assert credentials.checkPassword(b"secret") == (password == b"secret")
    assert len(compared) == 1
