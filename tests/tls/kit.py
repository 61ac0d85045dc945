"""
A small client over TLS. C{tests/live} uses third-party clients. The blocking one of
them reads and writes one C{SSLSocket} in two threads, which Python doesn't always
handle well.
"""

from __future__ import annotations

import ssl
from typing import Any

from tests.live.certificates import Authority
from tests.processes import PATIENCE, upgrade
from wsplug.codec import FIN, OP_TEXT, encode_frame

__all__ = ["Client", "trusting"]


def trusting(authority: Authority) -> ssl.SSLContext:
    """
    Make the TLS context of a client that trusts an authority.
    """
    return ssl.create_default_context(cadata=authority.pem.decode("ascii"))


class Client:
    """
    A client that sends short texts.
    """

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        """
        @raise OSError: TLS fails, or the connection ends.
        @raise AssertionError: the server's answer isn't a 101.
        """
        self._socket: Any = upgrade(port, trust=trust)
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def name(self) -> str:
        """
        The common name in the server's certificate.
        """
        shown = self._socket.getpeercert()
        return str(dict(pair[0] for pair in shown["subject"])["commonName"])

    def send(self, text: str) -> None:
        self._socket.sendall(encode_frame(FIN | OP_TEXT, text.encode(), b"mask"))

    def receive(self) -> str:
        first, size = self._read(2)
        assert first == FIN | OP_TEXT
        return self._read(size).decode()

    def check(self) -> None:
        """
        Have a text echoed.
        """
        self.send("hello")
        assert self.receive() == "hello"

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            assert part, "it has ended"
            data += part
        return data
