"""
Close codes: the registered ones, and those that may be sent (RFC 6455 section 7.4).
"""

from __future__ import annotations

from enum import IntEnum

from wsplug.errors import ProtocolViolation

__all__ = [
    "MAX_REASON_SIZE",
    "CloseCode",
    "may_be_sent",
    "pack_close",
    "unpack_close",
]

MAX_REASON_SIZE = 123
"""
The maximum size of a close reason, in bytes of UTF-8: a control frame has up to 125,
with two for the code (section 5.5).
"""


class CloseCode(IntEnum):
    """
    The registered close codes (section 7.4.1 and IANA's registry).
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


_REGISTERED_ON_WIRE = frozenset(
    {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
)
"""
Listed here, not taken from L{CloseCode}, because 1005, 1006 and 1015 are registered but
must never be sent (section 7.4.1).
"""


def may_be_sent(code: int) -> bool:
    """
    Return whether a code may be sent: a registered code that isn't reserved for local
    use, or one from the ranges for libraries and applications (RFC 6455 sections 7.4.1
    and 7.4.2).
    """
    return code in _REGISTERED_ON_WIRE or 3000 <= code <= 4999


def pack_close(code: int, reason: str = "") -> bytes:
    """
    Make the payload of a close frame (RFC 6455 section 5.5.1).

    @param code: the close code; 1005 for an empty payload.
    @param reason: cut to L{MAX_REASON_SIZE} bytes, between two characters.
    @raise ValueError: the code may not be sent.
    """
    if code == CloseCode.NO_STATUS and not reason:
        return b""
    if not may_be_sent(code):
        raise ValueError(f"close code {code} may not be sent (RFC 6455 section 7.4)")
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) > MAX_REASON_SIZE:
        encoded = encoded[:MAX_REASON_SIZE].decode("utf-8", "ignore").encode("utf-8")
    return code.to_bytes(2, "big") + encoded


def unpack_close(payload: bytes) -> tuple[int, str]:
    """
    Parse the payload of a close frame.

    @return: the code, 1005 if there is none, and the reason.
    @raise ProtocolViolation: a single byte, or a code that may not be sent (1002, RFC
        6455 sections 5.5.1 and 7.4); a reason that isn't UTF-8 (1007, section 8.1).
    """
    if not payload:
        return CloseCode.NO_STATUS, ""
    if len(payload) == 1:
        raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, "close frame of one byte")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, f"bad close code {code}")
    try:
        return code, payload[2:].decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolViolation(
            CloseCode.INVALID_DATA, "close reason is not UTF-8"
        ) from None
