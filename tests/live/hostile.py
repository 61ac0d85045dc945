"""
A client that sends what nobody should: C{python -m tests.live.hostile PORT COUNT
PATH...} sends requests with hostile ranges and bodies to all paths, several at a time,
and prints what it got, by status.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import ENOTCONN

from tests.server.http.test_hardening import FORMS, HOSTILE, WHOLE

__all__ = ["requests"]

THREADS = 8

SIZES = (0, 1, 1000, 65_536, 200_000, 1 << 20, (1 << 20) + 1, 3_000_000)

METHODS = ("POST", "POST", "PUT", "GET", "HEAD", "DELETE", "OPTIONS", "X")

KINDS = (
    None,
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=b",
    "multipart/mixed; boundary=b",
    "text/plain; charset=\xff",
    ";" * 5000,
)

ALL_FORMS = [*FORMS.values(), *HOSTILE.values()]

RANGES = [*WHOLE, "bytes=0-", "bytes=0-0", "bytes=99999999-", "bytes=5-10"]


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _framed(rng: random.Random, data: bytes) -> tuple[list[str], bytes]:
    """
    Give the headers and the bytes of a body, of right and of wrong lengths.
    """
    size = len(data)
    chunked = ["Transfer-Encoding: chunked"]
    return rng.choice(
        [
            ([f"Content-Length: {size}"], data),
            ([f"Content-Length: {size}"], data),
            ([f"Content-Length: {size + 1}"], data),
            ([f"Content-Length: {size // 2}"], data),
            (["Content-Length: -1"], data),
            ([f"Content-Length: {size}"] * 2, data),
            ([f"Content-Length: {10**20}"], data),
            (["Content-Length: 5", *chunked], data),
            ([], data),
            (chunked, b"".join(_chunks(data, 50_000))),
            (chunked, b"".join(_chunks(data[:20_000], 1))),
            (chunked, b"".join(_chunks(data, 50_000))[:-4]),
            (chunked, data),
            (["Transfer-Encoding: chunked,"], b"".join(_chunks(data, 50_000))),
            (chunked, b"f" * 5000),
            (chunked, b"5;" + b"a" * 5000 + b"\r\nabcde\r\n0\r\n\r\n"),
            (chunked, b"0\r\n" + b"a: b\r\n" * 5000 + b"\r\n"),
            (["Transfer-Encoding: gzip"], data),
            (["Expect: 100-continue", f"Content-Length: {size}"], data),
        ]
    )


def _request(method: str, path: str, headers: list[str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _planned(paths: list[str]) -> Iterator[bytes]:
    """
    Make those that a parser of forms, or of ranges, is sure to see.
    """
    for path in paths:
        if "form" in path:
            for kind, body in ALL_FORMS:
                headers = [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
                yield _request("POST", path, headers, body)
        if "large" in path:
            for each in RANGES:
                yield _request("GET", path, [f"Range: {each}"], b"")


def requests(count: int, paths: list[str]) -> Iterator[bytes]:
    """
    Make as many requests, half of them by chance: the same ones each time.
    """
    rng = random.Random(count)
    yield from (planned := list(_planned(paths)))
    assert len(planned) < count / 2
    for number in range(count - len(planned)):
        path = paths[number % len(paths)]
        method = rng.choice(METHODS)
        headers: list[str] = []
        kind: str | None
        if rng.random() < 0.5:
            kind, data = rng.choice(ALL_FORMS)
        else:
            kind = rng.choice(KINDS)
            data = rng.choice((b"x", b"[", b"--b\r\n", b"&=", b"\0")) * (
                rng.choice(SIZES) if rng.random() < 0.2 else rng.choice(SIZES[:5])
            )
        body = b""
        if rng.random() < 0.3:
            method = rng.choice(("GET", "HEAD"))
            headers.append("Range: " + rng.choice(RANGES))
            headers.append("If-Modified-Since: " + rng.choice((";", "0", 900 * ";")))
        else:
            framing, body = _framed(rng, data)
            headers += framing
            if kind is not None:
                headers.append(f"Content-Type: {kind}")
        if rng.random() < 0.1:
            path = "http://b" + path
        yield _request(method, path, headers, body)


def send(port: int, data: bytes, closes: bool) -> str:
    """
    Send a request.

    @param closes: whether this side is closed behind it; else it stays for a while.
    @return: the status, or what happened in its place.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(2.5)
        try:
            client.sendall(data)
            if closes:
                client.shutdown(socket.SHUT_WR)
            while len(answer) < 20_000:
                piece = client.recv(4096)
                if not piece:
                    break
                answer += piece
                if not closes:
                    client.settimeout(0.1)
        except TimeoutError:
            pass
        except OSError as error:
            if not isinstance(error, ConnectionError) and error.errno != ENOTCONN:
                raise
            # It has closed while this still sent.
            if not answer:
                return "lost"
    return answer[9:12].decode("latin-1") or "nothing"


def main(arguments: list[str]) -> None:
    port, count, *paths = arguments
    os.nice(10)  # the server and the health checks come first
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [
            pool.submit(send, int(port), data, number % 3 != 0)
            for number, data in enumerate(requests(int(count), paths))
        ]
    for status, number in sorted(Counter(job.result() for job in jobs).items()):
        print(status, number)


if __name__ == "__main__":
    main(sys.argv[1:])
