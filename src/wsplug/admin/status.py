"""
The status page's application: it watches a server and informs all connected operators
once a second.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

import twisted
from wsplug.admin.access import Access
from wsplug.admin.actions import Actions, showBan
from wsplug.admin.channels import ChannelsOfBroker
from wsplug.admin.clients import ClientList
from wsplug.admin.describing import (
    listCauses,
    listSettings,
    newSince,
    showDisconnect,
    showRefusal,
)
from wsplug.admin.history import INTERVAL, History
from wsplug.admin.messages import SUBPROTOCOL, BanInfo, Cause, Tick, Welcome
from wsplug.admin.operator import OperatorProtocol
from wsplug.admin.resources import statusPages
from wsplug.build import DESCRIPTION
from wsplug.clocks import timeOfDay
from wsplug.errors import HandshakeRefused
from wsplug.guard.origins import SAME_HOST
from wsplug.interfaces import (
    IBroker,
    IHandshakeRequest,
    IPlainResource,
    IWebSocketApplication,
    IWebSocketTransport,
)
from wsplug.jsonmessages import write
from wsplug.networks import nameOfAddress
from wsplug.server.broadcasting import broadcast
from wsplug.server.factory import WebSocketFactory
from wsplug.server.statistics import Disconnect, Refusal
from wsplug.version import __version__
from wsplug.web.health import ServerState, whyNotReady

__all__ = ["PATH", "StatusApplication", "Watched"]

PATH = "/-/status"
"""
The path at which the status page is mounted.
"""


class Watched(ServerState, Protocol):
    """
    The watched server, such as L{wsplug.WebSocketService}.
    """

    @property
    def broker(self) -> IBroker | None:
        """
        The broker of its applications, if they have one.
        """

    def drain(self, forGood: bool = False) -> object:
        """
        Close all connections gradually, and accept no new ones.

        @param forGood: whether no other server will take its place.
        """


@implementer(IWebSocketApplication)
class StatusApplication:
    """
    The application that operators connect to.

    @ivar access: authenticates operators.
    @ivar clients: the server's clients.
    @ivar actions: the operators' actions.
    @ivar channels: the broker's channels.
    """

    subprotocols: Sequence[str] = (SUBPROTOCOL,)

    def __init__(
        self,
        access: Access,
        *,
        origins: Sequence[str] = (SAME_HOST,),
    ) -> None:
        """
        @param origins: the server's allowed origins, which are shown.
        """
        self.access = access
        self.pages: IPlainResource = statusPages()
        self._origins = origins
        self._operators: set[IWebSocketTransport] = set()
        self._sampling: IDelayedCall | None = None
        self._disconnect: Disconnect | None = None
        self._refusal: Refusal | None = None
        self._causes: list[Cause] = []
        self._bans: list[BanInfo] = []

    def watch(self, watched: Watched) -> None:
        """
        Set the watched server. This has to be called first.
        """
        server = watched.factory
        self.server: WebSocketFactory = server
        self._watched = watched
        self.clients = ClientList(server)
        self.actions = Actions(server, self.clients, watched.drain)
        self.channels = ChannelsOfBroker(lambda: watched.broker)
        self._history = History(server)
        self._started = server.clock.seconds()

    # The application

    def buildProtocol(self, request: IHandshakeRequest) -> OperatorProtocol:
        if SUBPROTOCOL not in request.subprotocols:
            raise HandshakeRefused(400, f"offer the subprotocol {SUBPROTOCOL}")
        return OperatorProtocol(self)

    def startApplication(self) -> None:
        self._started = self.server.clock.seconds()
        self._sampling = self.server.clock.callLater(INTERVAL, self._sample)

    def stopApplication(self) -> None:
        sampling, self._sampling = self._sampling, None
        if sampling is not None:
            sampling.cancel()

    # Once a second

    def _sample(self) -> None:
        clock = self.server.clock
        self._sampling = clock.callLater(INTERVAL, self._sample)
        sample = self._history.take()
        if not self._operators:
            return
        self.clients.forget()
        statistics = self.server.statistics
        disconnects = newSince(statistics.disconnects, self._disconnect)
        refusals = newSince(statistics.refusals, self._refusal)
        causes, bans = self._causes, self._bans
        self._look()
        tick = Tick(
            sample=sample,
            state=self.state,
            operators=len(self._operators),
            departures=[showDisconnect(each) for each in disconnects],
            refusals=[showRefusal(each) for each in refusals],
            causes=None if causes == self._causes else self._causes,
            bans=None if bans == self._bans else self._bans,
        )
        broadcast(write(tick), self._operators)

    def _look(self) -> None:
        """
        Remember the current state, for comparison.
        """
        statistics = self.server.statistics
        disconnects, refusals = statistics.disconnects, statistics.refusals
        self._disconnect = disconnects[-1] if disconnects else None
        self._refusal = refusals[-1] if refusals else None
        self._causes = listCauses(statistics)
        self._bans = [showBan(ban) for ban in self.server.bans]

    @property
    def state(self) -> str:
        """
        C{"ready"} if the server accepts clients; else the reason why it doesn't.
        """
        return whyNotReady(self._watched) or "ready"

    # Called by the protocols

    @property
    def timeout(self) -> float:
        """
        The time in seconds in which operators have to authenticate; 0 for no limit.
        """
        return self.server.settings.open_timeout

    def entered(self, transport: Any) -> Welcome:
        """
        Begin to send an operator each second's changes.

        @return: the state until now.
        """
        statistics = self.server.statistics
        if not self._operators:
            self._look()
        self._operators.add(transport)
        # Only the events that all operators know. The next tick brings the rest to all.
        disconnects = list(statistics.disconnects)
        refusals = list(statistics.refusals)
        newDisconnects = len(newSince(statistics.disconnects, self._disconnect))
        newRefusals = len(newSince(statistics.refusals, self._refusal))
        return Welcome(
            version=__version__,
            codec=DESCRIPTION,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            twisted=str(twisted.__version__),
            time=self.server.clock.seconds(),
            today=timeOfDay(self.server.clock),
            started=self._started,
            state=self.state,
            client=nameOfAddress(transport.request.getClientAddress()),
            applications=[(each.name, each.path) for each in self.server.mounts],
            settings=listSettings(self.server.settings, self._origins),
            history=list(self._history.samples),
            departures=[
                showDisconnect(each)
                for each in disconnects[: len(disconnects) - newDisconnects]
            ],
            refusals=[
                showRefusal(each) for each in refusals[: len(refusals) - newRefusals]
            ],
            causes=self._causes,
            bans=self._bans,
        )

    def left(self, transport: IWebSocketTransport) -> None:
        """
        Send an operator no more changes.
        """
        self._operators.discard(transport)
        if not self._operators:
            self.clients.forgetAll()

    def isServed(self, transport: Any) -> bool:
        """
        Return whether an operator is connected to the server's own endpoints.
        """
        return transport in self.server.connections
