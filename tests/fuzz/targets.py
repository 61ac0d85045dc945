"""The fuzz targets: one function for each parser, with an invariant that holds for any
bytes.

A target gets bytes, and raises if its invariant is broken. Nothing here needs a fuzzer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.web.resource import IResource, Resource
from zope.interface import implementer

from tests.codec.threeways import EventTuple, Recorder, describe, feed_head, frame
from wsplug import Settings, WebSocketProtocol
from wsplug.auth import LoginRefused, UsernamePassword
from wsplug.auth.credentials import readAuthorization, readFirstMessage, readToken
from wsplug.codec import (
    BodyParser,
    DeflatePolicy,
    HeadParser,
    Inflater,
    MessageReceiver,
    RequestHead,
    Upgrade,
    check_upgrade,
    encode_refusal,
    encode_switch,
    may_be_sent,
    pack_close,
    parse_extensions,
    unpack_close,
    wants_upgrade,
)
from wsplug.codec.forwarded import (
    read_forwarded,
    read_schemes,
    read_x_forwarded_for,
)
from wsplug.codec.proxyheader import MAX_SIZE, ProxyHeaderParser
from wsplug.errors import HandshakeRefused, ProtocolViolation
from wsplug.guard.origins import OriginRules
from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainRequest,
    IPlainResource,
    IWebSocketApplication,
)
from wsplug.plain import PlainResource, Response
from wsplug.testing import MemoryServer

__all__ = ["TARGETS"]

HEAD_LIMIT = 1024
BODY_LIMIT = 1000
HEADERS = 16
LIMIT = 256


def _octets(data: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in data]


def head(data: bytes) -> None:
    """Invariant: a head parser gives the same result for whole input and byte by
    byte, and loses no byte; a parsed head is within the limits, and serializes to a
    head with the same parts.
    """
    result, rest, _ = feed_head([data], HeadParser(HEAD_LIMIT, HEADERS))
    slow, slow_rest, fed = feed_head(_octets(data), HeadParser(HEAD_LIMIT, HEADERS))
    assert describe(slow) == describe(result)
    if not isinstance(result, RequestHead):
        leading = len(data) - len(data.lstrip(b"\r\n"))
        if result is None:
            assert len(data) - leading <= HEAD_LIMIT
        else:
            assert fed - leading <= HEAD_LIMIT + 1
        return
    assert slow_rest == rest
    assert data.lstrip(b"\r\n") == result.raw + rest
    assert len(result.raw) <= HEAD_LIMIT
    assert len(result.headers) <= HEADERS
    lines = [b"%b %b HTTP/%d.%d" % (result.method, result.target, *result.version)]
    lines += [b"%b: %b" % pair for pair in result.headers]
    again = HeadParser(2 * HEAD_LIMIT, HEADERS).feed(b"\r\n".join(lines) + b"\r\n\r\n")
    assert describe(again)[2:] == describe(result)[2:]


def _body(chunks: Sequence[bytes], size: int | None) -> tuple[Any, bytes]:
    """Read a body: return its contents or the reason for refusal, and the bytes
    after it.
    """
    parser = BodyParser(size, BODY_LIMIT)
    for place, chunk in enumerate(chunks):
        result = parser.feed(chunk)
        while result is None and parser.rest:
            result = parser.feed(parser.rest)
        assert parser.received <= BODY_LIMIT
        if isinstance(result, HandshakeRefused):
            assert result.status in (400, 413)
            return (result.status, result.reason), b""
        if result is not None:
            return result, parser.rest + b"".join(chunks[place + 1 :])
    return None, b""


def body(data: bytes) -> None:
    """Invariant: a body has the same result whole, byte by byte and split once, and
    loses no byte; it is within its limit; sent as one chunk, it is the same.
    """
    if len(data) < 3:
        return
    size = data[0] | data[1] << 8
    place = data[2] * len(data) // 255
    data = data[3:]
    for given in (None, min(size, BODY_LIMIT) or None):
        result, rest = _body([data], given)
        assert _body(_octets(data), given) == (result, rest)
        assert _body([data[:place], data[place:]], given) == (result, rest)
        if not isinstance(result, bytes):
            continue
        assert data.endswith(rest)
        if given is not None:
            assert result + rest == data
        elif result:
            again = b"%x\r\n%b\r\n0\r\n\r\n" % (len(result), result)
            assert _body([again + rest], None) == (result, rest)


def handshake(data: bytes) -> None:
    """Invariant: any head that parses gets exactly one response, whose lines are the
    intended ones: the request can't add any.
    """
    start = b"GET / HTTP/1.1\r\nHost: a\r\n"
    result = HeadParser().feed(start + data)
    if not isinstance(result, RequestHead):
        return
    wants_upgrade(result)
    upgrade = check_upgrade(result)
    if isinstance(upgrade, HandshakeRefused):
        wire = encode_refusal(upgrade)
        response, _, body = wire.partition(b"\r\n\r\n")
        assert b"Content-Length: %d" % len(body) in response.split(b"\r\n")
        return
    assert isinstance(upgrade, Upgrade)
    assert len(set(upgrade.subprotocols)) == len(upgrade.subprotocols)
    agreement = DeflatePolicy().negotiate(upgrade.extensions)
    extensions = None if agreement is None else agreement.header()
    for name in (None, *upgrade.subprotocols):
        wire = encode_switch(upgrade.key, name, extensions)
        count = 5 + (name is not None) + (extensions is not None)
        assert wire.count(b"\r\n") == wire.count(b"\n") == wire.count(b"\r") == count
        assert wire.endswith(b"\r\n\r\n")


def extensions(data: bytes) -> None:
    """Invariant: an extension header is refused with 400 or parsed, and its parsed
    form serializes to an equal header; an answer repeats no parameter, and grants what
    the accepted offer requests.
    """
    try:
        offers = parse_extensions([data])
    except HandshakeRefused as refusal:
        if refusal.status != 400:
            raise
        return
    written = ", ".join(
        "; ".join(
            [offer.name]
            + [
                name if value is None else f"{name}={value}"
                for name, value in offer.parameters
            ]
        )
        for offer in offers
    )
    assert parse_extensions([written.encode("ascii")]) == offers
    agreement = DeflatePolicy(context_takeover=True).negotiate(offers)
    if agreement is None:
        return
    (answer,) = parse_extensions([agreement.header()])
    given = dict(answer.parameters)
    assert len(given) == len(answer.parameters)
    assert any(
        offer.name == answer.name
        and all(
            name in given
            for name, _ in offer.parameters
            if name != "client_max_window_bits"
        )
        and int(given.get("server_max_window_bits") or 15)
        <= int(dict(offer.parameters).get("server_max_window_bits") or 15)
        for offer in offers
    )


def _received(
    chunks: list[bytes], from_client: bool, inflater: Inflater | None
) -> list[EventTuple]:
    """Feed a receiver, and check its bounds after each piece."""
    sink = Recorder()
    receiver = MessageReceiver(
        sink, max_message_size=LIMIT, inflater=inflater, from_client=from_client
    )
    for chunk in chunks:
        receiver.feed(chunk)
        held = receiver._message
        assert held is None or len(held) <= LIMIT
        assert receiver._input == b""
    ends = [event for event in sink.events if event[0] in ("close", "violation")]
    assert ends in ([], sink.events[-1:])
    if ends:
        count = len(sink.events)
        receiver.feed(frame(0x89, b"late", key=b"abcd" if from_client else None))
        assert len(sink.events) == count
        assert (receiver._message, receiver._head, receiver._inflater) == (None,) * 3
    for event in sink.events:
        if event[0] == "text":
            assert len(event[1].encode("utf-8")) <= LIMIT
        elif event[0] == "binary":
            assert len(event[1]) <= LIMIT
        elif event[0] in ("ping", "pong"):
            assert len(event[1]) <= 125
        elif event[0] == "close":
            assert event[1] == 1005 or may_be_sent(event[1])
        else:
            assert event[1] in (1002, 1007, 1009)
            assert len(event[2].encode("ascii")) <= 123
    return sink.events


_EITHER = (("violation", 1007), ("violation", 1009))


def _all_ways(data: bytes, make: Callable[[], Inflater | None]) -> None:
    """Receive the same bytes whole, byte by byte and split once.

    The first byte gives the role, the second the position of the split.
    """
    if len(data) < 2:
        return
    from_client = data[0] & 1 == 0
    stream = data[2:]
    place = data[1] * len(stream) // 255
    expected = _received([stream], from_client, make())
    for chunks in (_octets(stream), [stream[:place], stream[place:]]):
        events = _received(chunks, from_client, make())
        if make() is not None:
            # Invalid text or a byte over the limit, directly followed by an invalid
            # block: zlib refuses the block before it returns the data in front of it.
            # So which of the two errors is reported depends on the split.
            for each in (events, expected):
                each[-1:] = [
                    event[:1] if event[:2] in _EITHER else event for event in each[-1:]
                ]
        assert events == expected


def receiver(data: bytes) -> None:
    """Invariant: feed() never raises; events don't depend on splits; no message,
    buffered or delivered, is over the limit; nothing follows the end, and nothing is
    buffered after it.
    """
    _all_ways(data, lambda: None)


def compressed(data: bytes) -> None:
    """Invariant: as for C{receiver}, with compression: the limit applies to the
    inflated data.
    """
    if data:
        bits = 8 + (data[0] >> 1 & 7)
        takes_over = data[0] & 16 != 0
        _all_ways(data, lambda: Inflater(bits, takes_over=takes_over))


def close(data: bytes) -> None:
    """Invariant: a close payload that is parsed and packed again is the same bytes;
    one that is refused is refused for the same reason within a frame, however that is
    split.
    """
    payload = data[:125]
    event: EventTuple
    try:
        code, reason = unpack_close(payload)
    except ProtocolViolation as violation:
        if violation.code not in (1002, 1007):
            raise
        event = ("violation", int(violation.code), violation.reason, None)
    else:
        assert pack_close(code, reason) == payload
        event = ("close", code, reason)
    wire = frame(0x88, payload)
    assert _received([wire], True, None) == [event]
    assert _received(_octets(wire), True, None) == [event]


def forwarded(data: bytes) -> None:
    """Invariant: nothing raises; what stands to the left of an element doesn't
    change its meaning; an address that is parsed serializes to one that parses again.
    """
    values = data.split(b"\n")
    read_schemes(values)
    for read, element in (
        (read_x_forwarded_for, b"%b"),
        (read_forwarded, b'for="%b"'),
    ):
        hops = list(read(values))
        more = [*values[:-1], values[-1] + b"," + element % b"192.0.2.1"]
        (first, *others) = read(more)
        assert first is not None
        assert (str(first.host), first.port) == ("192.0.2.1", 0)
        assert others == hops
        for hop in hops:
            if hop is not None and hop.host is not None:
                form = "[%s]:%d" if hop.host.version == 6 else "%s:%d"
                text = (form % (hop.host, hop.port)).encode("ascii")
                (again,) = read([element % text])
                assert again == hop._replace(scheme=None)


def proxyheader(data: bytes) -> None:
    """Invariant: a PROXY header has the same result whole and byte by byte, and no
    byte after it is lost; an invalid one is refused with a reason in ASCII; no more
    bytes are buffered than a header may have.
    """
    outcomes: list[tuple[object, bytes]] = []
    for chunks in ([data], _octets(data)):
        parser = ProxyHeaderParser()
        header, rest = None, b""
        try:
            for index, chunk in enumerate(chunks):
                header = parser.feed(chunk)
                if header is not None:
                    rest = parser.rest + b"".join(chunks[index + 1 :])
                    break
                assert len(parser._buffer) <= MAX_SIZE
        except ValueError as error:
            outcomes.append((str(error).encode("ascii"), b""))
        else:
            outcomes.append((header, rest))
            assert data.endswith(rest)
            assert header is None or 0 <= header.port < 65536
    assert outcomes[0] == outcomes[-1]


_ORIGINS = OriginRules(["none", "https://example.org", "https://*.example.org:8443"])


def origin(data: bytes) -> None:
    """Invariant: another parser agrees that an allowed origin is just a scheme, an
    allowed host and a port; one of the same host contains the Host.
    """
    origin, _, host = data.partition(b"\n")
    if _ORIGINS.allow(origin, host):
        parts = urlsplit(origin.decode("ascii"))
        name = parts.hostname or ""
        assert name == "example.org" or name.endswith(".example.org")
        assert parts.scheme == "https"
        assert not parts.path + parts.query + parts.fragment
        assert "@" not in parts.netloc
    if OriginRules().allow(origin, host):
        assert b"@" not in origin
        assert origin[:7].lower() in (b"http://", b"https:/")
    if OriginRules(["same-origin"]).allow(origin, host):
        assert b"@" not in origin
        if b"[" not in host:
            assert host.partition(b":")[0].lower() in origin.lower()


def credentials(data: bytes) -> None:
    """Invariant: any credentials, in a header or as first message, are parsed,
    absent, or refused with a reason in ASCII; a name has no colon, and a token is
    unchanged.
    """
    for value in (data, b"Basic " + data, b"Basic " + base64.b64encode(data)):
        try:
            found = readAuthorization(value)
        except LoginRefused as error:
            _checkReason(error)
        else:
            if isinstance(found, UsernamePassword):
                assert b":" not in found.username
            elif found is not None:
                assert found.token in value
    try:
        message = readFirstMessage(data.decode("utf-8", "surrogateescape"))
        token = readToken(message.token.encode("utf-8", "replace"))
    except LoginRefused as error:
        _checkReason(error)
    else:
        assert token.token.decode("ascii") == message.token


def _checkReason(error: LoginRefused) -> None:
    assert error.reason.isascii()


class _Takes(Resource):
    """Accepts a body, and a form if one is expected, and reports what it got."""

    isLeaf = True
    maxBodySize = 1000

    def __init__(self, parsesForms: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parsesForms = parsesForms

    def render_POST(self, request: Any) -> bytes:
        fields = b"".join(
            b"".join([name, *request.args[name]]) for name in request.args
        )
        assert len(fields) <= self.maxBodySize + HEAD_LIMIT
        return repr((request.content.read(), request.args)).encode("ascii")


class _TakesItself(PlainResource):
    """Accepts a body without C{twisted.web}."""

    maxBodySize = 1000
    methods = (b"POST",)

    def respond(self, request: IPlainRequest) -> Response:
        assert len(request.content) <= self.maxBodySize
        return Response(200, [], repr(request.content).encode("ascii"))


@implementer(IWebSocketApplication)
class _App:
    subprotocols: Sequence[str] = ()

    def __init__(self, pages: IPlainResource | IResource) -> None:
        self.pages = pages

    def buildProtocol(self, request: IHandshakeRequest) -> WebSocketProtocol:
        return WebSocketProtocol()

    def startApplication(self) -> None:
        pass

    def stopApplication(self) -> None:
        pass


_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")

_DATE = re.compile(rb"\r\nDate: [^\r]*")


def _served(
    chunks: list[bytes], pages: IPlainResource | IResource
) -> tuple[bytes, list[LogEvent]]:
    """Have requests answered, and check that nothing is left once their client has
    gone.
    """
    settings = Settings(max_head_size=HEAD_LIMIT, max_headers=HEADERS)
    app = _App(pages)
    server = MemoryServer(app, settings=settings)
    transport = server.connectTransport()
    output = b""
    with capturedLogs() as events:
        for chunk in chunks:
            transport.put(chunk)
            server.run()
            output += transport.take()
        transport.shut()
        server.run()
        output += transport.take()
        server.advance(11)
        output += transport.take()
        server.run()
    assert transport.lost
    assert server.factory.opening == len(server.factory.connections) == 0
    assert (
        server.factory.sendBuffers.used == server.factory.incompleteMessages.used == 0
    )
    assert len(server.factory.deadlines) == 0
    return _DATE.sub(b"", output), list(events)


def request(data: bytes) -> None:
    """Invariant: any request with a body is answered without a traceback, and in the
    same way whole, byte by byte and split once; no line of the log is long; nothing of
    the request is left.
    """
    if len(data) < 2:
        return
    pages: Any = _Takes(data[0] & 1 == 1) if data[0] & 2 == 0 else _TakesItself()
    stream = b"POST / HTTP/1.1\r\nHost: a\r\n" + data[2:]
    place = data[1] * len(stream) // 255
    expected, _ = _served([stream], pages)
    for chunks in (_octets(stream), [stream[:place], stream[place:]]):
        output, events = _served(chunks, pages)
        assert output == expected
        for event in events:
            assert event.get("log_failure") is None
            assert len(formatEvent(event)) < 400
    assert not {b"500"} & set(_STATUS.findall(output))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "head": head,
    "body": body,
    "handshake": handshake,
    "extensions": extensions,
    "receiver": receiver,
    "compressed": compressed,
    "close": close,
    "forwarded": forwarded,
    "proxyheader": proxyheader,
    "origin": origin,
    "credentials": credentials,
    "request": request,
}
