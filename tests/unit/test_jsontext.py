"""Which text counts as JSON."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsplug.jsontext import MAX_DEPTH, NotJSON, checkJSON, decodeJSON


class _Only(msgspec.Struct, tag_field="type", tag="only"):
    """Stands for what a decoder is used for here."""

    number: int = 0


ONLY = msgspec.json.Decoder(_Only)


def _nest(depth: int, inside: str = "", opening: str = "[", closing: str = "]") -> str:
    return opening * depth + inside + closing * depth


@pytest.mark.parametrize("inside", ["", '"]]]"', r'"\"]\\"', '"' + "[" * 500 + '"'])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"[":', "}")])
def test_depth(inside: str, opening: str, closing: str) -> None:
    """JSON may be nested up to the limit and no deeper, as text and as bytes.

    Brackets in strings don't count.
    """
    good = _nest(MAX_DEPTH, inside or "1", opening, closing)
    json.loads(good)
    assert bytes(checkJSON(good)) == bytes(checkJSON(good.encode())) == good.encode()
    for text in (f"[{good}]", f"[{good}", f"[{good}]".encode()):
        with pytest.raises(NotJSON, match="128 levels deep"):
            checkJSON(text)


def test_depth_goes_by_the_text_alone() -> None:
    """The result doesn't depend on the depth of the stack."""
    text = _nest(MAX_DEPTH)

    def below(frames: int) -> object:
        return below(frames - 1) if frames else bytes(checkJSON(text))

    assert below(0) == below(600) == text.encode()


def test_wide_is_not_deep() -> None:
    """Any number of arrays may stand side by side."""
    checkJSON("[" + ",".join(["[]"] * 10_000) + "]")


@given(st.text('{}[]":,\\1a', max_size=60))
@example('{"type":"x",')
@example('{"type":"only","number":"1"')
@example('{"type":1}')
def test_the_whole_text_is_judged(text: str) -> None:
    """The whole text decides whether it is JSON and a valid message, wherever a decoder
    would stop. No other exception is raised.
    """
    try:
        json.loads(text)
        isJSON = True
    except ValueError:
        isJSON = False
    try:
        decodeJSON(ONLY, text)
    except NotJSON:
        assert not isJSON
    except msgspec.ValidationError:
        assert isJSON


@pytest.mark.parametrize(
    "text", ["\ud800", '"\ud800"', b'{"type":"only\xff"}', b"\xff"]
)
def test_no_unicode(text: str | bytes) -> None:
    """Bytes that aren't UTF-8 aren't JSON."""
    with pytest.raises(NotJSON):
        decodeJSON(ONLY, text)


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000, '"' * 1_000_000, '\\"' * 500_000, '["' * 500_000]
)
def test_hostile_text_is_judged_quickly(text: str) -> None:
    """The time to check a megabyte of the worst text grows only with its length: a few
    hundredths of a second.
    """
    begin = time.process_time()
    with pytest.raises(NotJSON):
        checkJSON(text)
    assert time.process_time() - begin < 0.5
