"""
Secret tokens, compared by their digests: in constant time, whatever their lengths.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256

__all__ = ["digestOf", "findDigest"]


def digestOf(token: str | bytes) -> bytes:
    """
    Return the SHA-256 digest of a token.
    """
    if isinstance(token, str):
        token = token.encode("utf-8", "surrogatepass")
    return sha256(token).digest()


def findDigest(token: str | bytes, digests: Iterable[bytes]) -> int | None:
    """
    Find the digest of a token among others. All are compared, each in constant time, so
    that the time that it takes tells nothing about them.

    @return: the index of the first match; C{None} if there is none.
    """
    digest = digestOf(token)
    matches = [
        index for index, each in enumerate(digests) if hmac.compare_digest(digest, each)
    ]
    return matches[0] if matches else None
