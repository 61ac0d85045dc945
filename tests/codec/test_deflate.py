"""Negotiating permessage-deflate (RFC 7692 section 7.1)."""

from __future__ import annotations

import re
from itertools import product

import pytest

from wsplug.codec import DeflateAgreement, DeflatePolicy, parse_extensions

KEEPING = DeflatePolicy(context_takeover=True)
"""A policy that asks for nothing, so that answers show what the client asked for."""

NAMES = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)


def answer(policy: DeflatePolicy, *values: bytes) -> bytes | None:
    """Return the header that answers a client's offer."""
    agreement = policy.negotiate(parse_extensions(values))
    return None if agreement is None else agreement.header()


@pytest.mark.parametrize(
    ("offer", "header"),
    [
        (b"permessage-deflate", b"permessage-deflate"),
        (
            b"permessage-deflate; server_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover",
        ),
        (
            b"permessage-deflate; client_no_context_takeover",
            b"permessage-deflate; client_no_context_takeover",
        ),
        (
            b"permessage-deflate; server_max_window_bits=10",
            b"permessage-deflate; server_max_window_bits=10",
        ),
        (
            b'permessage-deflate; server_max_window_bits="10"',
            b"permessage-deflate; server_max_window_bits=10",
        ),
        # An answer without it would be no acceptance of this offer (7.1.2.1).
        (
            b"permessage-deflate; server_max_window_bits=15",
            b"permessage-deflate; server_max_window_bits=15",
        ),
        (
            b"permessage-deflate; server_max_window_bits=8",
            b"permessage-deflate; server_max_window_bits=8",
        ),
        (b"permessage-deflate; client_max_window_bits", b"permessage-deflate"),
        (b"permessage-deflate; client_max_window_bits=15", b"permessage-deflate"),
        (
            b"permessage-deflate; client_max_window_bits=8",
            b"permessage-deflate; client_max_window_bits=8",
        ),
        (
            b"permessage-deflate; client_max_window_bits=9; server_max_window_bits=11;"
            b" client_no_context_takeover; server_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover;"
            b" client_no_context_takeover; server_max_window_bits=11;"
            b" client_max_window_bits=9",
        ),
        (b"x-other, permessage-deflate", b"permessage-deflate"),
        (
            b"permessage-deflate; unknown, permessage-deflate;"
            b" server_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover",
        ),
        (
            b"permessage-deflate; server_max_window_bits=9, permessage-deflate",
            b"permessage-deflate; server_max_window_bits=9",
        ),
        (
            b"permessage-deflate; server_max_window_bits=7, permessage-deflate",
            b"permessage-deflate",
        ),
    ],
)
def test_accepted(offer: bytes, header: bytes) -> None:
    """The first acceptable offer is accepted, with its parameters (section 7.1)."""
    assert answer(KEEPING, offer) == header


@pytest.mark.parametrize(
    "parameters",
    [
        b"unknown",
        b"unknown=1",
        b"server_no_context_takeover=1",
        b"server_no_context_takeover=true",
        b"client_no_context_takeover=0",
        b"server_max_window_bits",
        b"server_max_window_bits=7",
        b"server_max_window_bits=16",
        b"server_max_window_bits=0",
        b"server_max_window_bits=08",
        b"server_max_window_bits=010",
        b"server_max_window_bits=+9",
        b"server_max_window_bits=1e1",
        b"server_max_window_bits=100",
        b"client_max_window_bits=7",
        b"client_max_window_bits=16",
        b"client_max_window_bits=09",
        b"client_max_window_bits=x",
        b"server_no_context_takeover; server_no_context_takeover",
        b"client_no_context_takeover; client_no_context_takeover",
        b"server_max_window_bits=10; server_max_window_bits=10",
        b"client_max_window_bits; client_max_window_bits=10",
        b"Server_No_Context_Takeover",
    ],
)
def test_declined(parameters: bytes) -> None:
    """
    An offer with an unknown parameter, an invalid value or a duplicate is declined. The
    next offer is used, or no compression (section 7.1).
    """
    offer = b"permessage-deflate; " + parameters
    assert answer(KEEPING, offer) is None
    assert answer(DeflatePolicy(), offer) is None
    assert answer(KEEPING, offer + b", permessage-deflate") == b"permessage-deflate"
    assert answer(KEEPING, offer, b"permessage-deflate") == b"permessage-deflate"


@pytest.mark.parametrize("offer", [b"", b"x-webkit-deflate-frame", b"foo; bar"])
def test_nothing_to_agree_on(offer: bytes) -> None:
    """Other extensions, or none, aren't offers of this one."""
    assert answer(KEEPING, offer) is None


@pytest.mark.parametrize(
    ("offer", "header"),
    [
        (
            b"permessage-deflate",
            b"permessage-deflate; server_no_context_takeover;"
            b" client_no_context_takeover; server_max_window_bits=11",
        ),
        (
            b"permessage-deflate; client_max_window_bits",
            b"permessage-deflate; server_no_context_takeover;"
            b" client_no_context_takeover; server_max_window_bits=11;"
            b" client_max_window_bits=10",
        ),
        (
            b"permessage-deflate; client_max_window_bits=9; server_max_window_bits=15",
            b"permessage-deflate; server_no_context_takeover;"
            b" client_no_context_takeover; server_max_window_bits=11;"
            b" client_max_window_bits=9",
        ),
        (
            b"permessage-deflate; client_max_window_bits=12; server_max_window_bits=9",
            b"permessage-deflate; server_no_context_takeover;"
            b" client_no_context_takeover; server_max_window_bits=9;"
            b" client_max_window_bits=10",
        ),
    ],
)
def test_policy_asks_for_less(offer: bytes, header: bytes) -> None:
    """The smaller window of both sides is used (sections 7.1.1 and 7.1.2)."""
    policy = DeflatePolicy(server_max_window_bits=11, client_max_window_bits=10)
    assert answer(policy, offer) == header


def test_answers_are_right_for_each_offer() -> None:
    """
    For all valid offers and several policies, the answer has known parameters, each
    once. It grants what the client asks for, and sets no client window unless the
    client has offered it (sections 7.1 and 7.1.2.2).
    """
    bits = (None, 8, 9, 14, 15)
    policies = [
        DeflatePolicy(
            context_takeover=takeover,
            server_max_window_bits=server,
            client_max_window_bits=client,
        )
        for takeover, server, client in product((False, True), (8, 12, 15), (8, 15))
    ]
    for server_alone, client_alone, server, client in product(
        (False, True), (False, True), bits, (*bits, "hint")
    ):
        offer = "permessage-deflate"
        offer += "; server_no_context_takeover" if server_alone else ""
        offer += "; client_no_context_takeover" if client_alone else ""
        offer += f"; server_max_window_bits={server}" if server else ""
        if client:
            offer += "; client_max_window_bits"
            offer += f"={client}" if isinstance(client, int) else ""
        for policy in policies:
            header = answer(policy, offer.encode())
            assert header is not None
            name, *parts = header.decode().split("; ")
            assert name == "permessage-deflate"
            given = dict([*part.split("="), ""][:2] for part in parts)
            assert len(given) == len(parts)
            assert set(given) <= set(NAMES)
            assert not any(given.get(alone) for alone in NAMES[:2])
            assert NAMES[0] in given or not server_alone
            for bits_name in NAMES[2:]:
                assert re.fullmatch("[89]|1[0-5]", given.get(bits_name, "15"))
            if server:
                assert int(given[NAMES[2]]) <= server
            if client is None:
                assert NAMES[3] not in given
            if isinstance(client, int):
                assert int(given.get(NAMES[3], 15)) <= client


def test_compressors_fit_the_agreement() -> None:
    """All connections without context takeover share a compressor; inflaters are never
    shared."""
    policy = DeflatePolicy()
    alone = DeflateAgreement(True, True, 15, 12)
    assert policy.deflater(alone) is policy.deflater(alone)
    assert policy.deflater(alone) is not policy.deflater(
        DeflateAgreement(True, True, 9, 12)
    )
    assert policy.deflater(alone).takes_over is False
    assert policy.inflater(alone) is not policy.inflater(alone)
    kept = DeflateAgreement(False, False, 11, 15)
    assert policy.deflater(kept) is not policy.deflater(kept)
    assert policy.deflater(kept).takes_over is True
    assert policy.deflater(kept).window_bits == 11
