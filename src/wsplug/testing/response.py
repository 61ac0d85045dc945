"""
The responses to plain HTTP requests, parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any

__all__ = ["MemoryResponse", "parseResponse"]


@dataclass(frozen=True)
class MemoryResponse:
    """
    What a plain HTTP request gets.

    @ivar status: the HTTP status.
    @ivar headers: by lower-case name; what came several times has commas between.
    @ivar body: without what it may have been wrapped in to be sent.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def parseResponse(data: bytes, method: str) -> MemoryResponse:
    """
    Take a response apart.

    @param method: the request's, which says whether there is a body.
    @raise AssertionError: it isn't whole.
    """
    source: Any = _Source(data)
    response = HTTPResponse(source, method=method)
    try:
        response.begin()
        body = response.read()
    except HTTPException:
        raise AssertionError(f"the response is incomplete: {data!r}") from None
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return MemoryResponse(response.status, headers, body)


class _Source:
    """
    What C{HTTPResponse} takes for a socket.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._data)
