"""
The status page's application: it watches a server, and tells all who watch with it once
a second.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

import twisted
import wsplug
from wsplug.admin.access import Access
from wsplug.admin.actions import Actions, showBan
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
from wsplug.web.health import ServerState, whyNotReady

__all__ = ["PATH", "StatusApplication", "Watched"]

PATH = "/-/status"
"""
Where it is mounted.
"""


class Watched(ServerState, Protocol):
    """
    What can be known of the server, and done to it; L{wsplug.WebSocketService} is one.
    """

    def drain(self, forGood: bool = False) -> object:
        """
        Send everybody away, in order.

        @param forGood: whether no other server takes its place.
        """


@implementer(IWebSocketApplication)
class StatusApplication:
    """
    What operators connect to.

    @ivar access: says who is one.
    @ivar clients: the server's.
    @ivar actions: what can be done to it.
    """

    subprotocols: Sequence[str] = (SUBPROTOCOL,)

    def __init__(
        self,
        access: Access,
        *,
        origins: Sequence[str] = (SAME_HOST,),
    ) -> None:
        """
        @param origins: those of the server, to be shown.
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
        Say which server it is about, before anything else is done with it.
        """
        server = watched.factory
        self.server: WebSocketFactory = server
        self._watched = watched
        self.clients = ClientList(server)
        self.actions = Actions(server, self.clients, watched.drain)
        self._history = History(server)
        self._started = server.clock.seconds()

    # The application

    def buildProtocol(self, request: IHandshakeRequest) -> OperatorProtocol:
        if SUBPROTOCOL not in request.subprotocols:
            raise HandshakeRefused(400, f"the subprotocol {SUBPROTOCOL} is spoken here")
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
        Take note of what is known now.
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
        C{"ready"} where new clients are welcome; else why they aren't.
        """
        return whyNotReady(self._watched) or "ready"

    # What the protocols call

    @property
    def timeout(self) -> float:
        """
        Seconds in which operators have to say who they are; 0 for any.
        """
        return self.server.settings.open_timeout

    def entered(self, transport: Any) -> Welcome:
        """
        Tell an operator what a second brings, from now on.

        @return: all that it has missed.
        """
        statistics = self.server.statistics
        if not self._operators:
            self._look()
        self._operators.add(transport)
        # No more than those who are here know: they are told of the rest as well.
        disconnects = list(statistics.disconnects)
        refusals = list(statistics.refusals)
        newDisconnects = len(newSince(statistics.disconnects, self._disconnect))
        newRefusals = len(newSince(statistics.refusals, self._refusal))
        return Welcome(
            version=wsplug.__version__,
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
        Tell an operator nothing more.
        """
        self._operators.discard(transport)
        if not self._operators:
            self.clients.forgetAll()

    def isServed(self, transport: Any) -> bool:
        """
        Tell whether an operator comes in by the same door as the clients.
        """
        return transport in self.server.connections
