"""
The client of a test: what it sends, and what it has received.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    CloseCode,
    DeflateAgreement,
    Deflater,
    Inflater,
    MessageReceiver,
    encode_frame,
    pack_close,
    parse_extensions,
)
from wsplug.errors import HandshakeRefused, ProtocolViolation
from wsplug.payloads import toBytes, toClose, toMessage
from wsplug.testing.transport import MemoryTransport

__all__ = ["MemoryClient"]

_MASK: Final = b"\x37\xfa\x21\x3d"
"""
Any mask will do in a test.
"""


class MemoryClient:
    """
    A client, and what it has received so far.

    Unless it has stopped reading, it reads what arrives, and answers pings and closes
    as browsers do.

    @ivar transport: the server's end of the connection.
    @ivar opened: whether the handshake is done.
    @ivar refused: the refusal, if the server has refused the handshake.
    @ivar messages: the messages that have arrived and haven't been taken: C{str} for
        text, C{bytes} for binary.
    @ivar subprotocol: the subprotocol that the server has chosen.
    @ivar responseHeaders: the headers of the 101 response, by lower-case name.
    @ivar pings: the payloads of the pings that have arrived.
    @ivar pongs: the payloads of the pongs that have arrived.
    """

    def __init__(self, transport: MemoryTransport, run: Callable[[], object]) -> None:
        """
        @param run: runs everything that is due, on both sides. The client calls it
            after each action.
        """
        self.transport = transport
        self.opened = False
        self.refused: HandshakeRefused | None = None
        self.messages: list[str | bytes] = []
        self.subprotocol: str | None = None
        self.responseHeaders: dict[str, str] = {}
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self._run = run
        self._closed: tuple[int, str] | None = None
        self._sentClose = False
        self._reads = True
        self._response = bytearray()
        self._receiver: MessageReceiver | None = None
        self._deflater: Deflater | None = None

    # State

    @property
    def closed(self) -> tuple[int, str] | None:
        """
        The code and reason of the close frame; 1006 if the connection ended without
        one; C{None} if it hasn't ended.
        """
        if self._closed is None and self.transport.closedForWriting:
            return 1006, ""
        return self._closed

    def receive(self) -> str | bytes:
        """
        Take the oldest message.

        @raise AssertionError: there is no message.
        """
        if not self.messages:
            raise AssertionError(f"no message has arrived (closed: {self.closed})")
        return self.messages.pop(0)

    # Actions

    def send(self, message: str | bytes) -> None:
        """
        Send a message.

        @param message: text for a text message, bytes for a binary one.
        @raise TypeError: the message is neither text nor bytes-like.
        """
        plain = toMessage(message)
        text = isinstance(plain, str)
        payload = plain.encode("utf-8") if isinstance(plain, str) else plain
        first = FIN | (OP_TEXT if text else OP_BINARY)
        if self._deflater is not None:
            first |= RSV1
            payload = self._deflater.deflate(payload)
        self.sendBytes(encode_frame(first, payload, _MASK))

    def ping(self, payload: bytes = b"") -> None:
        """
        Send a ping.
        """
        payload = toBytes(payload, "the payload of a ping", hint="")
        self.sendBytes(encode_frame(FIN | OP_PING, payload, _MASK))

    def close(self, code: int | None = 1000, reason: str | None = "") -> None:
        """
        Send a close frame.

        @param code: the close code; C{None} or 1005 for a close without one.
        @raise TypeError: the code isn't an integer, or the reason isn't text.
        @raise ValueError: a client may not send this code.
        """
        number, text = toClose(None if code == CloseCode.NO_STATUS else code, reason)
        self._sendClose(pack_close(number, text))
        self._run()

    def drop(self) -> None:
        """
        Disconnect without a closing handshake.
        """
        self.transport.shut()
        self._run()

    def sendBytes(self, data: bytes) -> None:
        """
        Send bytes without a frame around them.
        """
        data = toBytes(data, "raw data", hint="")
        self.transport.put(data)
        self._run()

    def stopReading(self) -> None:
        """
        Stop reading, so that the server's output waits.
        """
        self._reads = False

    def startReading(self) -> None:
        """
        Read again.
        """
        self._reads = True
        self._run()

    def read(self) -> bool:
        """
        Read what has arrived, unless the client has stopped reading. The server calls
        this.

        @return: whether something was read.
        """
        data = self.transport.take() if self._reads else b""
        if data:
            self._feed(data)
        return bool(data)

    def _feed(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.feed(data)
            return
        self._response += data
        head, end, rest = bytes(self._response).partition(b"\r\n\r\n")
        if not end:
            return
        status, *lines = head.decode("latin-1").split("\r\n")
        for line in lines:
            name, _, value = line.partition(":")
            self.responseHeaders[name.lower()] = value.strip()
        if status.split(" ", 2)[1] != "101":
            headers = [line.encode("latin-1").split(b": ", 1) for line in lines]
            self.refused = HandshakeRefused(
                int(status.split(" ", 2)[1]),
                rest.decode("utf-8", "replace").rstrip("\n"),
                headers=[(name, value) for name, value in headers],
                body=rest,
            )
            return
        self.opened = True
        self.subprotocol = self.responseHeaders.get("sec-websocket-protocol")
        self._receiver = MessageReceiver(
            self,
            max_message_size=1 << 40,
            inflater=self._agree(),
            from_client=False,
        )
        self._receiver.feed(rest)

    def _agree(self) -> Inflater | None:
        header = self.responseHeaders.get("sec-websocket-extensions")
        if header is None:
            return None
        parameters = dict(parse_extensions([header.encode("latin-1")])[0].parameters)
        agreement = DeflateAgreement(
            "server_no_context_takeover" in parameters,
            "client_no_context_takeover" in parameters,
            int(parameters.get("server_max_window_bits") or 15),
            int(parameters.get("client_max_window_bits") or 15),
        )
        self._deflater = Deflater(
            agreement.client_max_window_bits,
            6,
            takes_over=not agreement.client_no_context_takeover,
        )
        return Inflater(
            agreement.server_max_window_bits,
            takes_over=not agreement.server_no_context_takeover,
        )

    def _sendClose(self, payload: bytes) -> None:
        if not self._sentClose:
            self._sentClose = True
            self.transport.put(encode_frame(FIN | OP_CLOSE, payload, _MASK))

    # The codec's sink

    def text_received(self, message: str) -> None:
        self.messages.append(message)

    def binary_received(self, message: bytes) -> None:
        self.messages.append(message)

    def ping_received(self, payload: bytes) -> None:
        self.pings.append(payload)
        self.transport.put(encode_frame(FIN | OP_PONG, payload, _MASK))

    def pong_received(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def close_received(self, code: int, reason: str) -> None:
        self._closed = (code, reason)
        self._sendClose(pack_close(code))

    def fragments_received(self, count: int) -> None:
        pass

    def violation_received(self, violation: ProtocolViolation) -> None:
        raise AssertionError(f"the server broke the protocol: {violation}")
