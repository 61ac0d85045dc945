"""The states of a connection (RFC 6455 sections 4 and 7)."""

from __future__ import annotations

from itertools import product

import pytest

from wsplug.codec import Event, State, advance
from wsplug.codec.lifecycle import TRANSITIONS

DIAGRAM = """
CONNECTING      ACCEPT         OPEN
CONNECTING      LOSE           LOST
OPEN            SEND_CLOSE     CLOSE_SENT
OPEN            RECEIVE_CLOSE  CLOSE_RECEIVED
OPEN            FAIL           FAILED
OPEN            LOSE           LOST
CLOSE_SENT      RECEIVE_CLOSE  CLOSED
CLOSE_SENT      FAIL           FAILED
CLOSE_SENT      LOSE           LOST
CLOSE_RECEIVED  SEND_CLOSE     CLOSED
CLOSE_RECEIVED  LOSE           LOST
CLOSED          LOSE           LOST
FAILED          LOSE           LOST
"""
"""All that may happen, written once more as text."""

ROWS = [line.split() for line in DIAGRAM.split("\n") if line]
ALLOWED = {(State[a], Event[b]): State[c] for a, b, c in ROWS}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_each_pair(state: State, event: Event) -> None:
    """Each pair of state and event is in the diagram, or raises."""
    if (state, event) in ALLOWED:
        assert advance(state, event) is ALLOWED[state, event]
    else:
        with pytest.raises(ValueError, match=f"{event.name} is impossible in"):
            advance(state, event)


def test_table_is_the_diagram() -> None:
    """The table has exactly the diagram's rows."""
    assert TRANSITIONS == ALLOWED


def test_everything_can_be_lost() -> None:
    """A TCP connection can be lost in every state, and that is final."""
    for state in State:
        if state is not State.LOST:
            assert advance(state, Event.LOSE) is State.LOST
    assert not any(state is State.LOST for state, _ in TRANSITIONS)


def test_everything_is_reached() -> None:
    """Each state can be reached from the first."""
    reached = {State.CONNECTING}
    for _ in State:
        reached |= {end for (start, _), end in TRANSITIONS.items() if start in reached}
    assert reached == set(State)


@pytest.mark.parametrize(
    "order",
    [
        [Event.SEND_CLOSE, Event.RECEIVE_CLOSE],
        [Event.RECEIVE_CLOSE, Event.SEND_CLOSE],
    ],
)
def test_closing_handshake(order: list[Event]) -> None:
    """A connection is closed after both close frames, in either order (section
    7.1.4)."""
    state = State.OPEN
    for event in order:
        assert state is not State.CLOSED
        state = advance(state, event)
    assert state is State.CLOSED
