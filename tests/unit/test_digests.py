"""Tokens are compared by their digests."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import pytest

from wsplug.digests import digestOf, findDigest


def test_digest() -> None:
    """A token's digest is its SHA-256; any text is encoded as UTF-8."""
    assert digestOf("é") == digestOf("é".encode()) == sha256("é".encode()).digest()
    assert len(digestOf("\udc80")) == 32


@pytest.mark.parametrize(("token", "index"), [("a", 0), (b"b", 1), ("x", None)])
def test_find(token: str | bytes, index: int | None, monkeypatch: Any) -> None:
    """The first match is found; all entries are compared, wherever it is."""
    compared = []
    compare = hmac.compare_digest

    def note(one: Any, other: Any) -> bool:
        compared.append(other)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    digests = [digestOf(each) for each in ("a", "b", "b")]
    assert findDigest(token, digests) == index
    assert compared == digests
