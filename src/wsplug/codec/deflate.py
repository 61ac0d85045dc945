"""
permessage-deflate: the negotiation in the handshake (RFC 7692 section 7.1).

L{wsplug.codec.compression} compresses the messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from wsplug.codec.compression import Deflater, Inflater
from wsplug.codec.extensions import Extension

__all__ = ["EXTENSION_NAME", "DeflateAgreement", "DeflatePolicy"]

EXTENSION_NAME: Final = "permessage-deflate"

_WINDOW_BITS: Final = re.compile(r"[89]|1[0-5]")
"""
8 to 15, without leading zeros (sections 7.1.2.1 and 7.1.2.2).
"""


@dataclass(frozen=True)
class DeflateAgreement:
    """
    The negotiated parameters (section 7.1).

    @ivar server_no_context_takeover: whether the server compresses each message
        separately.
    @ivar client_no_context_takeover: whether the client does.
    @ivar server_max_window_bits: the base-2 logarithm of the server's window size.
    @ivar client_max_window_bits: that of the client's window size.
    @ivar names_server_bits: whether the response must contain the server's window size
        even if it is the maximum, because the client asked for a limit (section
        7.1.2.1).
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15
    names_server_bits: bool = field(default=False, compare=False)

    def header(self) -> bytes:
        """
        Return the value of C{Sec-WebSocket-Extensions} for the response.
        """
        parts = [EXTENSION_NAME]
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        if self.server_max_window_bits < 15 or self.names_server_bits:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits < 15:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parts).encode("ascii")


class DeflatePolicy:
    """
    A server's compression settings, and the compressors that its connections share.

    @ivar min_size: messages with fewer bytes aren't compressed.
    """

    def __init__(
        self,
        *,
        context_takeover: bool = False,
        server_max_window_bits: int = 15,
        client_max_window_bits: int = 15,
        level: int = 6,
        min_size: int = 128,
    ) -> None:
        """
        @param context_takeover: whether either side may refer to its earlier messages.
            It compresses similar messages better, and costs each connection a
            compressor and a decompressor: up to 256 KiB and 40 KiB at 15 window bits,
            half of it for each bit less.
        @param server_max_window_bits: 8 to 15.
        @param client_max_window_bits: 8 to 15. It doesn't apply to clients that don't
            offer the parameter (section 7.1.2.2).
        @param level: zlib's, 1 to 9.
        @param min_size: in bytes.
        """
        self.min_size = min_size
        self._context_takeover = context_takeover
        self._server_max_window_bits = server_max_window_bits
        self._client_max_window_bits = client_max_window_bits
        self._level = level
        self._shared: dict[int, Deflater] = {}

    def negotiate(self, offers: Iterable[Extension]) -> DeflateAgreement | None:
        """
        Answer a client's offers.

        @param offers: its extensions, in its order of preference.
        @return: the agreement on the first offer of permessage-deflate that can be
            accepted; C{None} if there is none. Other offers are declined (section
            7.1).
        """
        for offer in offers:
            if offer.name == EXTENSION_NAME:
                agreement = self._accept(offer)
                if agreement is not None:
                    return agreement
        return None

    def _accept(self, offer: Extension) -> DeflateAgreement | None:
        offered = dict(offer.parameters)
        if len(offered) != len(offer.parameters):
            return None  # a parameter twice
        # Popped one by one: what is left over at the end is unknown.
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            if offered.get(name) is not None:
                return None  # has no value (sections 7.1.1.1 and 7.1.1.2)
        own = not self._context_takeover
        server_alone = "server_no_context_takeover" in offered
        client_alone = "client_no_context_takeover" in offered
        offered.pop("server_no_context_takeover", None)
        offered.pop("client_no_context_takeover", None)

        server_bits = self._server_max_window_bits
        names_server_bits = "server_max_window_bits" in offered
        if names_server_bits:
            value = offered.pop("server_max_window_bits")
            if value is None or not _WINDOW_BITS.fullmatch(value):
                return None  # must have one (section 7.1.2.1)
            server_bits = min(server_bits, int(value))

        client_bits = 15
        if "client_max_window_bits" in offered:
            value = offered.pop("client_max_window_bits")
            if value is not None and not _WINDOW_BITS.fullmatch(value):
                return None  # may have one (section 7.1.2.2)
            client_bits = min(self._client_max_window_bits, int(value or 15))

        if offered:
            return None
        return DeflateAgreement(
            own or server_alone,
            own or client_alone,
            server_bits,
            client_bits,
            names_server_bits,
        )

    def deflater(self, agreement: DeflateAgreement) -> Deflater:
        """
        Return the compressor for messages to the client. Without context takeover,
        connections with the same window size share one.
        """
        bits = agreement.server_max_window_bits
        if not agreement.server_no_context_takeover:
            return Deflater(bits, self._level, takes_over=True)
        if bits not in self._shared:
            self._shared[bits] = Deflater(bits, self._level, takes_over=False)
        return self._shared[bits]

    def inflater(self, agreement: DeflateAgreement) -> Inflater:
        """
        Return the decompressor for messages from the client. It is never shared,
        because a message could refer to another connection's data.
        """
        return Inflater(
            agreement.client_max_window_bits,
            takes_over=not agreement.client_no_context_takeover,
        )
