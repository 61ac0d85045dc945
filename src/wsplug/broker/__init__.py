"""
Channels: what is published to one goes to all who subscribe to it, and is kept for
those who come back.

    - L{MemoryBroker} and L{SqliteBroker} keep them; L{makeBroker} chooses.
    - L{Publication}, L{Position} and L{History} are what they speak of.
    - L{Retention} says how much of a channel is kept.
    - L{Channels} sends what is published to an application's connections; a L{Backlog}
      and its L{Overflow} say what those get who read too slowly.
"""

from wsplug.broker.channels import Backlog, Channels, Overflow
from wsplug.broker.memory import MemoryBroker
from wsplug.broker.publication import History, Position, Publication
from wsplug.broker.retention import Retention
from wsplug.broker.selection import BROKERS, RETENTION_OPTIONS, makeBroker
from wsplug.broker.sqlite import SqliteBroker

__all__ = [
    "BROKERS",
    "RETENTION_OPTIONS",
    "Backlog",
    "Channels",
    "History",
    "MemoryBroker",
    "Overflow",
    "Position",
    "Publication",
    "Retention",
    "SqliteBroker",
    "makeBroker",
]
