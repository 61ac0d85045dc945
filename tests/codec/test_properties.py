"""Properties that hold for every input: any cut gives the same result, and nothing
raises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.codec.strategies import (
    Message,
    agreements,
    cut,
    cut_points,
    encode,
    extension_values,
    heads,
    masks,
    messages,
    mutate,
    mutations,
)
from tests.codec.threeways import EventTuple, describe, feed_head, receive
from wsplug.codec import (
    DeflateAgreement,
    DeflatePolicy,
    HeadParser,
    Inflater,
    RequestHead,
    Upgrade,
    check_upgrade,
    encode_refusal,
    encode_switch,
    parse_extensions,
)
from wsplug.errors import HandshakeRefused

LIMIT = 10_000


def codes_only(events: list[EventTuple]) -> list[EventTuple]:
    """
    Leave out the reason of code 1007. If a piece of input has invalid text and then an
    invalid block, zlib refuses both at once, so that only the reason depends on the
    cut.
    """
    return [
        event[:2] if event[:2] == ("violation", 1007) else event for event in events
    ]


@given(st.lists(messages, max_size=5), agreements, masks, cut_points, st.booleans())
def test_round_trip(
    sequence: list[Message],
    agreement: DeflateAgreement,
    mask: bytes,
    points: list[int],
    from_client: bool,
) -> None:
    """
    Each side receives what the other sends, however it is cut: in both directions,
    masked or not, with each window, with and without context takeover (RFC 7692 section
    7.1).
    """
    # A policy's deflater is the server's: the client's has the mirrored agreement.
    mirrored = DeflateAgreement(
        agreement.client_no_context_takeover,
        agreement.server_no_context_takeover,
        agreement.client_max_window_bits,
        agreement.server_max_window_bits,
    )
    deflater = DeflatePolicy().deflater(mirrored)

    def inflater() -> Inflater:
        return DeflatePolicy().inflater(agreement)

    wire, events = encode(sequence, deflater, mask if from_client else None)
    for chunks in (
        [wire],
        cut(wire, points),
        [bytes([octet]) for octet in wire],
    ):
        received = receive(
            chunks, limit=LIMIT, inflater=inflater, from_client=from_client
        )
        assert received == events


@given(st.lists(messages, max_size=4), masks, mutations, cut_points, st.booleans())
def test_mutated_streams(
    sequence: list[Message],
    mask: bytes,
    changes: list[tuple[int, bytes]],
    points: list[int],
    compression: bool,
) -> None:
    """A corrupted stream never raises, and ends at the same position however it is
    cut."""
    agreement = DeflateAgreement()
    policy = DeflatePolicy(context_takeover=True)
    deflater = policy.deflater(agreement) if compression else None
    maker = (lambda: policy.inflater(agreement)) if compression else None
    wire = mutate(encode(sequence, deflater, mask)[0], changes)
    whole = receive([wire], limit=500, inflater=maker)
    in_bytes = receive((bytes([o]) for o in wire), limit=500, inflater=maker)
    cut_up = receive(cut(wire, points), limit=500, inflater=maker)
    if compression:
        whole, in_bytes, cut_up = map(codes_only, (whole, in_bytes, cut_up))
    assert in_bytes == whole
    assert cut_up == whole
    ends = [event for event in whole if event[0] in ("violation", "close")]
    assert ends in ([], whole[-1:])


@given(st.binary(max_size=200), cut_points, st.booleans(), st.booleans())
def test_any_bytes_to_the_receiver(
    data: bytes, points: list[int], compression: bool, from_client: bool
) -> None:
    """feed() raises for no bytes, and its result doesn't depend on the cut."""
    maker = (lambda: Inflater(15, takes_over=True)) if compression else None
    whole = receive([data], limit=100, inflater=maker, from_client=from_client)
    cut_up = receive(
        cut(data, points), limit=100, inflater=maker, from_client=from_client
    )
    assert codes_only(cut_up) == codes_only(whole)


@given(st.binary(max_size=120), st.booleans(), st.booleans())
def test_any_deflate_stream(data: bytes, text: bool, final: bool) -> None:
    """feed() raises for no compressed payload, and delivers no more than the limit."""
    first = (0x80 if final else 0) | 0x40 | (1 if text else 2)
    wire = bytes([first, 0x80 | len(data), 0, 0, 0, 0]) + data

    def maker() -> Inflater:
        return Inflater(9, takes_over=False)

    whole = receive([wire], limit=50, inflater=maker)
    in_bytes = receive((bytes([o]) for o in wire), limit=50, inflater=maker)
    assert codes_only(in_bytes) == codes_only(whole)
    for event in whole:
        if event[0] in ("text", "binary"):
            assert len(event[1]) <= 50


@given(st.binary(max_size=300) | heads, mutations, cut_points)
def test_any_bytes_to_the_head_parser(
    data: bytes, changes: list[tuple[int, bytes]], points: list[int]
) -> None:
    """feed() raises for no bytes, and its result doesn't depend on the cut."""
    data = mutate(data, changes)
    result, rest, _ = feed_head([data], HeadParser(200, 5))
    for chunks in (cut(data, points), [bytes([octet]) for octet in data]):
        other, other_rest, _ = feed_head(chunks, HeadParser(200, 5))
        assert describe(other) == describe(result)
        if isinstance(result, RequestHead):
            assert other_rest == rest


@given(heads, mutations)
def test_any_head_to_the_handshake(
    data: bytes, changes: list[tuple[int, bytes]]
) -> None:
    """check_upgrade() raises for no head, and its answer is a well-formed response."""
    head, _, _ = feed_head([mutate(data, changes)])
    if not isinstance(head, RequestHead):
        return
    result = check_upgrade(head)
    if isinstance(result, Upgrade):
        for name in (None, *result.subprotocols):
            wire = encode_switch(result.key, name, None)
            assert wire.count(b"\r\n") == 5 + (name is not None)
    else:
        assert encode_refusal(result).startswith(b"HTTP/1.1 %d " % result.status)


@given(st.lists(extension_values, max_size=3))
def test_any_extensions(values: list[bytes]) -> None:
    """Only a refusal is raised, and parsed offers can be negotiated."""
    try:
        offers = parse_extensions(values)
    except HandshakeRefused as refusal:
        if refusal.status != 400:
            raise
    else:
        DeflatePolicy().negotiate(offers)
