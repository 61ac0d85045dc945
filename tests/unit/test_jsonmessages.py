"""How JSON messages are read and written, and how errors are answered."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from wsplug.jsonmessages import RequestRefused, WirePosition, read, refusal


class _Join(msgspec.Struct, tag_field="type", tag="join"):
    room: Annotated[str, Meta(max_length=5)]
    since: WirePosition | None = None


class _Leave(msgspec.Struct, tag_field="type", tag="leave"):
    room: str


DECODER = msgspec.json.Decoder(_Join | _Leave)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (r'{"type":"join","room":"\ud800","request":7}', 7),
        (r'{"request":"r","type":"join","room":"x \udc00\ud800 y"}', "r"),
        ('{"type":"join","room":"\ud800","request":7}', 7),
        (r'{"type":"join","room":"\ud800","request":"\ud800"}', None),
        (r'{"type":"join","room":"\ud800","request":[7]}', None),
        (r'{"type":"join","room":"\ud800","request":1e400}', None),
        (r'{"type":"join","room":"\ud800","request":' + "9" * 5000 + "}", None),
        (r'{"type":"join","room":"\ud800","request":"' + "x" * 65 + '"}', None),
        ('{"type":"join","request":7,"x":' + "[" * 100_000, None),
        ('{"type":"join","request":7', None),
    ],
)
def test_request_of_what_cannot_be_read(text: str, name: object) -> None:
    """A message with half a surrogate pair, which JavaScript can make, is refused.

    The answer has the request's name if that can be sent back.
    """
    with pytest.raises(RequestRefused) as raised:
        read(DECODER, text)
    assert raised.value.code == "not-json"
    assert raised.value.request == name
    refusal(raised.value)


def test_read() -> None:
    """A message of a known type is read; unknown keys do no harm."""
    message = read(
        DECODER,
        '{"type":"join","room":"a","since":{"offset":3,"epoch":"e"},"more":[1]}',
    )
    assert message == _Join("a", WirePosition(3, "e"))


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "not-json", "invalid JSON"),
        ("hello", "not-json", "invalid JSON"),
        ("\ud800", "not-json", "invalid JSON"),
        ('{"type":"join","x":' + "[" * 100_000, "not-json", "invalid JSON"),
        ('{"type":"jump",', "not-json", "invalid JSON"),
        ('{"type":"jump","room":', "not-json", "invalid JSON"),
        ('{"type":3,"room":01}', "not-json", "invalid JSON"),
        ('{"type":"join","room":7', "not-json", "invalid JSON"),
        ('{"type":"join","room":7,"x":"\\q"}', "not-json", "invalid JSON"),
        ('{"type":"jump","x":"\ud800"}', "not-json", "invalid JSON"),
        ('{"type":"jump","x":' + "[" * 20_000, "not-json", "128 levels deep"),
        ("[" * 20_000, "not-json", "128 levels deep"),
        ("[" * 128, "not-json", "invalid JSON"),
        ("[1", "not-json", "invalid JSON"),
        ('{"type":"jump","x":' + "[" * 20_000 + "]" * 20_000 + "}", "not-json", "deep"),
        ("3", "invalid", "expected `object`, got `int`"),
        ("{}", "unknown-type", "missing required field `type`"),
        ('{"type":"jump"}', "unknown-type", "type: invalid value 'jump'"),
        ('{"type":3}', "unknown-type", "type: expected `str`"),
        ('{"type":"join"}', "invalid", "missing required field `room`"),
        ('{"type":"join","room":7}', "invalid", "room: expected `str`, got `int`"),
        ('{"type":"join","room":"abcdef"}', "too-long", "room: expected `str` of"),
        (
            '{"type":"join","room":"a","since":{"offset":-1,"epoch":""}}',
            "invalid",
            "since.offset: expected `int` >= 0",
        ),
    ],
)
def test_refused(text: str, code: str, words: str) -> None:
    """An invalid message is refused, and the error says which part is wrong."""
    with pytest.raises(RequestRefused) as raised:
        read(DECODER, text)
    assert raised.value.code == code
    assert words in raised.value.message
    assert raised.value.request is None


@pytest.mark.parametrize(
    ("request_", "shown"),
    [("7", 7), ('"a"', "a"), ("[]", None), ('"' + "x" * 99 + '"', None)],
)
def test_request(request_: str, shown: object) -> None:
    """The refusal of a request carries the request's name, if there is one."""
    with pytest.raises(RequestRefused) as raised:
        read(DECODER, f'{{"type":"jump","request":{request_}}}')
    answer = msgspec.json.decode(refusal(raised.value))
    assert answer.pop("type") == "error"
    assert answer.pop("code") == "unknown-type"
    assert isinstance(answer.pop("message"), str)
    assert answer == ({} if shown is None else {"request": shown})
