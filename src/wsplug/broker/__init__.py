"""
Channels: publish, subscribe, history and presence.

    - L{MemoryBroker} and L{SqliteBroker} are the brokers; L{makeBroker} makes one.
    - L{Publication}, L{Position} and L{History} are their values; L{ChannelState} is
      what operators see of a channel.
    - L{Retention} limits the history of a channel.
    - L{Channels} sends publications to an application's connections. A L{Backlog} and
      its L{Overflow} are the limits for slow readers.
"""

from wsplug.broker.backlogoptions import backlogOptions, makeBacklog
from wsplug.broker.channels import Backlog, Channels, Overflow
from wsplug.broker.memory import MemoryBroker
from wsplug.broker.publication import ChannelState, History, Position, Publication
from wsplug.broker.retention import ChannelRetention, Retention
from wsplug.broker.selection import BROKERS, RETENTION_OPTIONS, makeBroker
from wsplug.broker.sqlite import SqliteBroker

__all__ = [
    "BROKERS",
    "RETENTION_OPTIONS",
    "Backlog",
    "ChannelRetention",
    "ChannelState",
    "Channels",
    "History",
    "MemoryBroker",
    "Overflow",
    "Position",
    "Publication",
    "Retention",
    "SqliteBroker",
    "backlogOptions",
    "makeBacklog",
    "makeBroker",
]
