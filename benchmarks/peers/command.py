"""
The command line that all programs share.
"""

from __future__ import annotations

import argparse
import ssl
from dataclasses import dataclass

HOST = "127.0.0.1"

ECHO, FANOUT, CHAT = "echo", "fanout", "chat"

# The largest message that is sent, with some margin.
MAX_MESSAGE_SIZE = 4 * 1024 * 1024


@dataclass(frozen=True)
class Command:
    """
    What a program is asked to do.

    @ivar port: the port of L{HOST} to listen on.
    @ivar application: L{ECHO}, L{FANOUT} to everyone, or L{CHAT}.
    @ivar deflate: agree on compression when it is offered.
    @ivar certificate: a file in PEM format, for TLS; C{None} for plain TCP.
    @ivar key: the file with its key.
    @ivar uvloop: for asyncio: run on uvloop.
    """

    port: int
    application: str
    deflate: bool
    certificate: str | None
    key: str | None
    uvloop: bool

    def context(self) -> ssl.SSLContext | None:
        """
        @return: what asyncio's servers need for TLS.
        """
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def endpoint(self) -> str:
        """@return: the Twisted endpoint string to listen on."""
        if self.certificate is None:
            return f"tcp:{self.port}:interface={HOST}"
        return (
            f"ssl:{self.port}:interface={HOST}"
            f":certKey={_escape(self.certificate)}:privateKey={_escape(self.key)}"
        )


def _escape(path: str | None) -> str:
    return (path or "").replace("\\", r"\\").replace(":", r"\:")


def read_command() -> Command:
    """
    @return: what the command line says.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--application", choices=(ECHO, FANOUT, CHAT), default=ECHO)
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--uvloop", action="store_true")
    return Command(**vars(parser.parse_args()))
