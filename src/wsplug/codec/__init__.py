"""
RFC 6455 and RFC 7692 without I/O: bytes in, messages out.

This package imports only the standard library, L{wsplug.errors} and L{wsplug.build}. It
doesn't know the time, and raises no errors for a peer's input.

    - L{HeadParser} parses request heads, L{BodyParser} their bodies. L{check_upgrade}
      checks a handshake.
    - L{MessageReceiver} turns bytes into messages for a L{MessageSink}.
    - L{encode_frame} encodes frames, L{pack_close} a close frame's payload.
    - L{DeflatePolicy} negotiates compression, and makes the L{Deflater} and L{Inflater}
      of a connection.
    - L{advance} returns the next L{State}.
"""

from wsplug.codec.closecodes import CloseCode, may_be_sent, pack_close, unpack_close
from wsplug.codec.compression import Deflater, Inflater
from wsplug.codec.conditions import (
    check_conditions,
    format_date,
    read_date,
    read_range,
)
from wsplug.codec.deflate import DeflateAgreement, DeflatePolicy
from wsplug.codec.extensions import Extension, parse_extensions
from wsplug.codec.frames import (
    FIN,
    MAX_CONTROL_SIZE,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTINUATION,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    encode_frame,
    encode_header,
)
from wsplug.codec.handshake import (
    Upgrade,
    accept_key,
    check_upgrade,
    encode_refusal,
    encode_switch,
    wants_upgrade,
)
from wsplug.codec.httpbody import BodyParser, body_too_large
from wsplug.codec.httphead import HeadParser, RequestHead
from wsplug.codec.lifecycle import Event, State, advance
from wsplug.codec.masking import apply_mask
from wsplug.codec.receiver import MessageReceiver, MessageSink

__all__ = [
    "FIN",
    "MAX_CONTROL_SIZE",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONTINUATION",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "RSV1",
    "BodyParser",
    "CloseCode",
    "DeflateAgreement",
    "DeflatePolicy",
    "Deflater",
    "Event",
    "Extension",
    "HeadParser",
    "Inflater",
    "MessageReceiver",
    "MessageSink",
    "RequestHead",
    "State",
    "Upgrade",
    "accept_key",
    "advance",
    "apply_mask",
    "body_too_large",
    "check_conditions",
    "check_upgrade",
    "encode_frame",
    "encode_header",
    "encode_refusal",
    "encode_switch",
    "format_date",
    "may_be_sent",
    "pack_close",
    "parse_extensions",
    "read_date",
    "read_range",
    "unpack_close",
    "wants_upgrade",
]
