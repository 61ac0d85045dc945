"""
What all connections of a server share: settings, clock, deadlines, memory budgets,
statistics and scheduler.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from wsplug.codec import DeflatePolicy
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.metering import Rates
from wsplug.networks import Networks
from wsplug.options import UNLIMITED
from wsplug.server.deadlines import Deadlines
from wsplug.server.scheduler import FairScheduler
from wsplug.server.settings import Settings
from wsplug.server.statistics import Statistics
from wsplug.server.verbose import VerboseLog
from wsplug.transport.flusher import Flusher
from wsplug.transport.memorybudget import MemoryBudget
from wsplug.transport.progress import AskProgress, progressOf

__all__ = ["ConnectionContext", "ratesOf"]


class ConnectionContext:
    """
    What a connection needs from the server or client that it belongs to.

    @ivar settings: every limit and timeout.
    @ivar clock: the reactor, or a fake clock in tests.
    @ivar deadlines: all timeouts.
    @ivar flusher: decides when output is written to the transport.
    @ivar scheduler: makes busy connections take turns.
    @ivar statistics: counts what connections do.
    @ivar sendBuffers: limits the output that waits on all connections together.
    @ivar incompleteMessages: limits the incomplete messages of all connections
        together.
    @ivar logLimit: limits the log lines about each address.
    @ivar rates: the messages and bytes per second that one connection may send; C{None}
        for no limit.
    @ivar deflatePolicy: the offered parameters of permessage-deflate; C{None} if
        compression is off.
    @ivar verbose: logs handshakes and frames; C{None} if the option is off.
    @ivar askProgress: returns how much of its output the peer of a transport has
        received. Tests replace it.
    """

    __slots__ = (
        "askProgress",
        "clock",
        "deadlines",
        "deflatePolicy",
        "flusher",
        "incompleteMessages",
        "logLimit",
        "rates",
        "scheduler",
        "sendBuffers",
        "settings",
        "statistics",
        "verbose",
    )

    def __init__(
        self, clock: IReactorTime, settings: Settings, exempt: Networks
    ) -> None:
        """
        @param exempt: the networks to which the limits for addresses don't apply.
        @raise ValueError: one of C{settings.verbose} isn't an address or network.
        """
        self.clock = clock
        self.settings = settings
        self.deadlines = Deadlines(clock)
        self.flusher = Flusher(clock)
        self.scheduler = FairScheduler(clock)
        self.statistics = Statistics()
        self.sendBuffers = MemoryBudget(settings.max_send_buffer_total)
        self.incompleteMessages = MemoryBudget(settings.max_incomplete_total)
        self.logLimit = LogLimit(clock, settings.max_address_log_rate, exempt)
        self.verbose = VerboseLog(settings.verbose) if settings.verbose else None
        self.rates = ratesOf(
            settings.max_message_rate, settings.max_byte_rate, settings
        )
        self.deflatePolicy = _deflatePolicyOf(settings)
        self.askProgress: AskProgress = progressOf


def ratesOf(messages: int, size: int, settings: Settings) -> Rates | None:
    """
    Return the rates for a number of messages and bytes per second.

    @return: C{None} if neither is limited.
    """
    if messages >= UNLIMITED and size >= UNLIMITED:
        return None
    # A message of the maximum size must be possible, in the maximum number of frames.
    # If it is compressed, it counts twice.
    whole = 2 * settings.max_message_size + 14 * settings.max_fragments
    return Rates(messages, size, min(whole, UNLIMITED))


def _deflatePolicyOf(settings: Settings) -> DeflatePolicy | None:
    if not settings.compression:
        return None
    return DeflatePolicy(
        context_takeover=settings.context_takeover,
        server_max_window_bits=settings.server_max_window_bits,
        client_max_window_bits=settings.client_max_window_bits,
        level=settings.compression_level,
    )
