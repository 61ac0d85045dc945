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
    The response to a plain HTTP request.

    @ivar status: the HTTP status.
    @ivar headers: the headers by lower-case name. Several with one name are joined by
        commas.
    @ivar body: the body, without a transfer coding.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def parseResponse(data: bytes, method: str) -> MemoryResponse:
    """
    Parse a response.

    @param method: the request's method, which decides whether there is a body.
    @raise AssertionError: the response is incomplete.
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
    Stands in for the socket of an C{HTTPResponse}.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._data)
