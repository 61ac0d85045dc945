"""
The states of a connection and their transitions: RFC 6455 sections 4 and 7 as a table.

A connection's owner keeps the state; only L{advance} changes it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

__all__ = ["TRANSITIONS", "Event", "State", "advance"]


class State(Enum):
    """
    Where a connection is.
    """

    __hash__ = object.__hash__  # Enum's own is in Python, and hashes the name

    CONNECTING = auto()
    """The handshake was right; its 101 is not sent yet."""

    OPEN = auto()
    """Messages go both ways."""

    CLOSE_SENT = auto()
    """Our close frame is out; the peer's has to come (section 7.1.2)."""

    CLOSE_RECEIVED = auto()
    """The peer's close frame came; ours has to go out."""

    CLOSED = auto()
    """Both were exchanged (section 7.1.4); the TCP connection has to end."""

    FAILED = auto()
    """The peer broke a rule, and was told (section 7.1.7); what it still sends is
    thrown away until the TCP connection ends."""

    LOST = auto()
    """The TCP connection is gone."""


class Event(Enum):
    """
    What moves it on.
    """

    __hash__ = object.__hash__

    ACCEPT = auto()
    SEND_CLOSE = auto()
    RECEIVE_CLOSE = auto()
    FAIL = auto()
    LOSE = auto()


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.CONNECTING, Event.ACCEPT): State.OPEN,
    (State.CONNECTING, Event.LOSE): State.LOST,
    (State.OPEN, Event.SEND_CLOSE): State.CLOSE_SENT,
    (State.OPEN, Event.RECEIVE_CLOSE): State.CLOSE_RECEIVED,
    (State.OPEN, Event.FAIL): State.FAILED,
    (State.OPEN, Event.LOSE): State.LOST,
    (State.CLOSE_SENT, Event.RECEIVE_CLOSE): State.CLOSED,
    (State.CLOSE_SENT, Event.FAIL): State.FAILED,
    (State.CLOSE_SENT, Event.LOSE): State.LOST,
    (State.CLOSE_RECEIVED, Event.SEND_CLOSE): State.CLOSED,
    (State.CLOSE_RECEIVED, Event.LOSE): State.LOST,
    (State.CLOSED, Event.LOSE): State.LOST,
    (State.FAILED, Event.LOSE): State.LOST,
}


def advance(state: State, event: Event) -> State:
    """
    Return the state after an event.

    @raise ValueError: the event is impossible in this state. It is a bug of the caller,
        and never caused by the peer.
    """
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise ValueError(f"{event.name} is impossible in {state.name}")
    return following
