"""Close codes and the close frame's payload (RFC 6455 sections 5.5.1 and 7.4)."""

from __future__ import annotations

import pytest

from wsplug.codec import CloseCode, may_be_sent, pack_close, unpack_close
from wsplug.errors import ProtocolViolation

ON_WIRE = {
    *(1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014),
    *range(3000, 5000),
}
"""Section 7.4 and IANA's registry, by hand."""


def test_which_codes_may_be_sent() -> None:
    """Codes are valid as in section 7.4: registered ones, and those for
    applications."""
    assert {code for code in range(-1, 70000) if may_be_sent(code)} == ON_WIRE


@pytest.mark.parametrize("code", [CloseCode.NO_STATUS, CloseCode.ABNORMAL, 1015])
def test_local_codes_are_not_sent(code: int) -> None:
    """Section 7.4.1: 1005, 1006 and 1015 must not be in a frame."""
    with pytest.raises(ValueError, match="may not be sent"):
        pack_close(code, "reason")


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (1000, "", b"\x03\xe8"),
        (1005, "", b""),
        (4999, "bye", b"\x13\x87bye"),
        (1001, "gr\u00fc\u00df", b"\x03\xe9gr\xc3\xbc\xc3\x9f"),
        (1000, "x" * 123, b"\x03\xe8" + b"x" * 123),
        (1000, "x" * 124, b"\x03\xe8" + b"x" * 123),
        (1000, "x" * 122 + "\u00fc", b"\x03\xe8" + b"x" * 122),
        (1000, "x" * 121 + "\u00fc", b"\x03\xe8" + b"x" * 121 + b"\xc3\xbc"),
        (1000, "x" * 120 + "\U0001f600", b"\x03\xe8" + b"x" * 120),
        (1000, "\ud800", b"\x03\xe8?"),
    ],
)
def test_pack(code: int, reason: str, payload: bytes) -> None:
    """Section 5.5.1: two bytes of code, then UTF-8, cut between characters to fit."""
    assert pack_close(code, reason) == payload


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", (1005, "")),
        (b"\x03\xe8", (1000, "")),
        (b"\x03\xe9gr\xc3\xbc\xc3\x9f", (1001, "gr\u00fc\u00df")),
        (b"\x13\x87" + b"x" * 123, (4999, "x" * 123)),
    ],
)
def test_unpack(payload: bytes, expected: tuple[int, str]) -> None:
    """Section 7.1.5: an empty close frame means 1005."""
    assert unpack_close(payload) == expected


def test_unpack_judges_each_code() -> None:
    """A code that may not be sent is a protocol error (section 7.4)."""
    for code in range(5001):
        payload = code.to_bytes(2, "big")
        if code in ON_WIRE:
            assert unpack_close(payload) == (code, "")
            continue
        with pytest.raises(ProtocolViolation) as caught:
            unpack_close(payload)
        assert (caught.value.code, caught.value.reason) == (
            1002,
            f"bad close code {code}",
        )


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (b"\x03\xe8\xff", 1007),
        (b"\x03\xe8\xc3", 1007),
        (b"\x03\xe8\xed\xa0\x80", 1007),
        (b"\x03\xed\xff", 1002),
    ],
)
def test_unpack_refuses(payload: bytes, code: int) -> None:
    """A payload of one byte and a reason that isn't UTF-8 are refused (sections 5.5.1
    and 8.1)."""
    with pytest.raises(ProtocolViolation) as caught:
        unpack_close(payload)
    assert caught.value.code == code
