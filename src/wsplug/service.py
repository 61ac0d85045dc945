"""
The whole server as a Twisted service: applications, ports, pages.

C{twistd wsplug} runs it, and you can put it into your own service tree.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
    maybeDeferred,
    succeed,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorCore,
    IReactorFromThreads,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.admin.endpoints import AdminEndpoints, AdminSettings
from wsplug.announcing import announce, placeOf
from wsplug.auth.options import Authentication
from wsplug.awaiting import whenLoopRuns
from wsplug.codec import CloseCode
from wsplug.daemon.unixsockets import listenOn
from wsplug.errors import StartupError
from wsplug.guard.access import Access
from wsplug.interfaces import IBroker, IPlainResource
from wsplug.listening import ListeningFailed, explainListening
from wsplug.networks import hostOf, isLocal, nameOfAddress
from wsplug.server.applications import Applications
from wsplug.server.cancelling import cancel
from wsplug.server.factory import WebSocketFactory
from wsplug.server.http.bodies import MAX_BODY_SIZE
from wsplug.server.mounts import Mount
from wsplug.server.proxyprotocol import useProxyProtocol
from wsplug.server.settings import Settings
from wsplug.server.stalls import StallDetector
from wsplug.serving import makeFactory
from wsplug.starting import Starts
from wsplug.transport.accepting import boundAcceptLines
from wsplug.transport.direct import useDirectTransport
from wsplug.transport.epollset import EpollSet
from wsplug.transport.ports import closePort, isInherited, openSockets
from wsplug.transport.sharing import SharedPort
from wsplug.web.builtin import builtinResources

__all__ = ["WebSocketService", "explainListening"]


_RESTARTING: Final = ("the server restarts", CloseCode.SERVICE_RESTART)
_STOPPING: Final = ("the server is stopping", CloseCode.GOING_AWAY)
"""
The reasons and codes with which connections are closed.
"""

_PATIENCE: Final = 1.5
"""
Seconds for which the draining server still serves new connections on a port that
another process shares or takes over. A lost packet is sent again after one second.
"""


class WebSocketService(Service):
    """
    Serves applications on any number of endpoints.

    It listens in C{privilegedStartService}, before C{twistd} drops its privileges, so
    that it can use low ports. It starts the applications in C{startService}, without
    privileges. It serves clients once all applications have started.

    A subclass may override its hooks: L{becameReady}, L{startRefused}, L{startFailed}
    and L{drainingStarted}.

    @ivar factory: the L{WebSocketFactory}; its C{connections} are the open ones.
    @ivar ports: the listening ports.
    """

    _log = Logger()

    def __init__(
        self,
        mounts: Iterable[Mount],
        endpoints: Iterable[IStreamServerEndpoint | tuple[str, IStreamServerEndpoint]],
        *,
        reactor: Any,
        settings: Settings | None = None,
        access: Access | None = None,
        authentication: Authentication | None = None,
        admin: AdminSettings | None = None,
        broker: IBroker | None = None,
        metrics: bool | None = None,
        maxBodySize: int = MAX_BODY_SIZE,
    ) -> None:
        """
        @param mounts: the applications and their paths.
        @param endpoints: where to listen. Each can have a name for error messages.
        @param reactor: the reactor that the service runs in.
        @param settings: the limits and timeouts.
        @param access: which clients may connect.
        @param authentication: how clients log in. By default, clients don't log in.
        @param admin: where operators log in. By default, there is no such endpoint.
        @param broker: the broker that the applications have as C{services.broker}. It
            starts before them and stops after them.
        @param metrics: whether to serve metrics at C{/-/metrics}; C{None} serves them
            if C{prometheus-client} is installed.
        @param maxBodySize: bytes that a request's body may have, unless the
            application's C{pages} set another limit.
        @raise wsplug.errors.InvalidOption: two mounts have the same path, or C{metrics}
            is true and C{prometheus-client} is missing.
        @raise ValueError: the size isn't a whole number, or is negative.
        """
        access = access if access is not None else Access()
        self._admin = AdminEndpoints(
            admin if admin is not None else AdminSettings(),
            reactor=reactor,
            origins=access.origins,
            hosts=access.hosts,
        )
        mounts = [*mounts, *self._admin.mounts]
        self._endpoints = [
            pair if isinstance(pair, tuple) else (repr(pair), pair)
            for pair in endpoints
        ]
        own: dict[bytes, IPlainResource] = {}
        self.factory = makeFactory(
            mounts,
            reactor,
            settings=settings if settings is not None else Settings(),
            access=access,
            authentication=authentication or Authentication(),
            own=own,
            maxBodySize=maxBodySize,
        )
        own.update(self._admin.watch(self, builtinResources(self, metrics)))
        self._epollSet = (
            EpollSet(reactor, self.factory.flusher)
            if hasattr(select, "epoll")
            else None
        )
        self._broker = broker
        self._brokerStarted = False
        self._patience = self.factory.patience
        self._starts = Starts(self._patience)
        self._applications = Applications(
            self.factory.mounts, self._patience, self._starts.add
        )
        self.ports: list[IListeningPort] = []
        self._listening = False
        self._starting = False
        self._errors: list[StartupError] = []
        self._stopping: Deferred[None] = succeed(None)
        self._wasStopped = False
        self._reactor = reactor
        self._stallDetector: StallDetector | None = None
        self._serves = self._wasReady = False
        self._socketsBefore: frozenset[tuple[int, int]] = frozenset()
        self._drained: Deferred[None] | None = None
        self._closing: list[Deferred[None]] = []

    @property
    def broker(self) -> IBroker | None:
        """
        The broker of the applications, if they have one.
        """
        return self._broker

    @property
    def isReady(self) -> bool:
        """
        Whether the service serves new connections: it listens on all endpoints, all
        applications have started, and it neither drains nor stops.
        """
        return (
            self._serves
            and self._drained is None
            and len(self.ports) == len(self._endpoints)
        )

    # Starting

    def privilegedStartService(self) -> None:
        """
        Listen.

        @raise ListeningFailed: the service can't listen on an endpoint. The error is
            both a C{CannotListenError} and a L{StartupError}.
        @raise StartupError: the service was stopped before.
        """
        self._refuseSecondStart()
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._startNow(self._listen)

    def startService(self) -> None:
        """
        Start the applications, and listen unless C{privilegedStartService} has done so.

        @raise ListeningFailed: the service can't listen on an endpoint.
        @raise StartupError: an application failed at once, or the service was stopped
            before, so that you need a new one. For an application that fails later,
            see L{startFailed}.
        """
        self._refuseSecondStart()
        super().startService()  # type: ignore[no-untyped-call]
        self._serves = False
        self.factory.awaitStart()
        self._startNow(self._listen)
        self._startNow(self._startApplications)
        self._admin.start()
        reactor = self._reactor
        if IReactorFromThreads.providedBy(reactor) and IReactorCore.providedBy(reactor):
            reactor.callWhenRunning(self._detectStalls)

    def _refuseSecondStart(self) -> None:
        if self._wasStopped:
            raise StartupError(
                "a service that was stopped can't be started again; make a new one"
            )

    def _detectStalls(self) -> None:
        threshold = self.factory.settings.stall_threshold
        if threshold and self.running and self._stallDetector is None:
            factory = self.factory
            self._stallDetector = StallDetector(
                self._reactor, factory.statistics, factory.mounts, threshold
            )
            self._stallDetector.start()

    def _detectNoStalls(self, result: Any) -> Any:
        detector, self._stallDetector = self._stallDetector, None
        if detector is not None:
            detector.stop()
        return result

    def _startNow(self, start: Any) -> None:
        """
        Take a step of the start, and raise an error that it reports at once.
        """
        self._starting = True
        start()
        self._starting = False
        if self._errors:
            for port in self.ports:
                maybeDeferred(port.stopListening)
            self.ports.clear()
            self._admin.stopListening()
            error = self._errors.pop(0)
            self.startRefused(error)
            raise error

    def _listen(self) -> None:
        if self._listening:
            return
        self._listening = True
        self._socketsBefore = openSockets()
        for name, endpoint in self._endpoints:
            self._listenOn(self._listens, name, endpoint, self.factory)
        self._admin.listen(partial(self._listenOn, self._listensForOperators))

    def _listenOn(
        self,
        listens: Callable[[IListeningPort], object],
        name: str,
        endpoint: IStreamServerEndpoint,
        factory: WebSocketFactory,
    ) -> None:
        listening: Deferred[Any] = listenOn(endpoint, factory)
        listening.addCallback(listens)
        listening.addErrback(explainListening, name)
        listening.addErrback(self._failed)

    def _listensForOperators(self, port: IListeningPort) -> None:
        boundAcceptLines(port, self._reactor)
        self._admin.listens(port)
        self._log.info(
            "the admin endpoint listens on {address}",
            address=nameOfAddress(port.getHost()),
        )

    def _listens(self, port: IListeningPort) -> None:
        if self._drained is not None:
            # The endpoint was slow, and the service stops already.
            maybeDeferred(port.stopListening)
            return
        self.ports.append(port)
        if not isinstance(port, SharedPort):
            self._announce(port)
        elif self._serves:
            self._listenShared(port)
        self._checkReady()

    def _listenShared(self, port: SharedPort) -> None:
        try:
            port.startListening()
        except CannotListenError as error:
            reason = error.socketError.strerror
            address = nameOfAddress(port.getHost())
            message = f"can't listen on {address}: {reason}"
            raise ListeningFailed(message, error) from None
        self._announce(port.port)

    def _announce(self, port: IListeningPort) -> None:
        boundAcceptLines(port, self._reactor)
        useDirectTransport(port, self._epollSet)
        if self.factory.proxies.settings.protocol:
            useProxyProtocol(port, self.factory)
        address = port.getHost()
        self._log.info("listening on {address}", address=nameOfAddress(address))
        if hostOf(address) is None and not isLocal(address):
            # Such as an onion service: its own program forwards the clients.
            self._log.warn(
                "all clients of {address} may have one address, that of the program "
                "that forwards them; while it is exempt, as 127.0.0.1 is, no limit per "
                "address applies to them",
                address=nameOfAddress(address),
                setting="exempt",
            )

    def _startApplications(self) -> None:
        starting: Deferred[Any] = self._startBroker()
        starting.addCallback(lambda _: whenLoopRuns(self._reactor))
        starting.addCallback(lambda _: self._startMounted())
        starting.addCallback(lambda _: self._serve())
        starting.addErrback(self._failed)

    def _startMounted(self) -> Deferred[None]:
        if not self.running:
            return succeed(None)  # stopped while the broker opened
        return self._applications.start()

    def _serve(self) -> None:
        if not self.running:
            return  # stopped meanwhile
        self._serves = True
        self.factory.serve()
        for port in self.ports:
            if isinstance(port, SharedPort):
                self._listenShared(port)
        self._checkReady()

    def _checkReady(self) -> None:
        if self.isReady and not self._wasReady:
            self._wasReady = True
            self._announceApplications()
            self.becameReady()

    def _announceApplications(self) -> None:
        proxied = bool(self.factory.proxies.settings.trusted)
        site: Any = self.factory.site
        announce(
            [each for each in self.factory.mounts if each not in self._admin.mounts],
            [placeOf(port, proxied) for port in self.ports],
            self.factory.authenticator,
            site.hasPage,
        )

    def _startBroker(self) -> Deferred[None]:
        broker = self._broker
        if broker is None:
            return succeed(None)

        def started(_: object) -> Deferred[None] | None:
            if self.running:
                self._brokerStarted = True
                return None
            return broker.stop()  # the service was stopped meanwhile

        def failed(failure: Failure) -> Failure | None:
            if self.running:
                return failure
            if failure.check(CancelledError) is None:
                self._log.failure("the broker did not start", failure)
            return None  # the server ends anyway

        starting: Deferred[Any] = maybeDeferred(broker.start)
        starting.addCallbacks(started, failed)
        self._starts.add("the broker", starting)
        return starting

    def _failed(self, failure: Failure) -> None:
        if self._wasStopped:
            return  # it ends anyway
        error: Any = failure.value
        if not isinstance(error, StartupError):
            self._log.failure("starting failed", failure)
            error = StartupError(f"starting failed: {failure.getErrorMessage()}")
        if self._starting:
            self._errors.append(error)
        else:
            self._log.critical("{error}", error=str(error))
            self.startFailed(error)

    # Hooks: what a subclass may override

    def becameReady(self) -> None:
        """
        The service serves new connections from now on. Does nothing by default.
        """

    def startRefused(self, error: StartupError) -> None:
        """
        C{startService} or C{privilegedStartService} is about to raise an error. Does
        nothing by default.
        """

    def startFailed(self, error: StartupError) -> None:
        """
        The start fails after C{startService} has returned, so that its caller can't
        catch the error. Stops the service by default.
        """
        self.stopService()

    def drainingStarted(self) -> None:
        """
        The server has stopped listening and closes its connections. Does nothing by
        default.
        """

    # Stopping

    def drain(self, forGood: bool = False) -> Deferred[None]:
        """
        Stop listening, and close all connections. The code 1012 tells clients to
        reconnect soon, to the server's replacement. The applications keep running.

        On a port that another process may share or take over, such as a systemd socket,
        clients that connect before the port closes are still served for a moment. On
        other ports they get 503.

        @param forGood: whether there is no replacement. The code is 1001 then.
        @return: fires with C{None} once all connections are gone. It doesn't fail. A
            second call has no other effect than to return this.
        """
        if self._drained is None:
            self._drained = Deferred()
            drained = self._startDraining(forGood)
            self.drainingStarted()
            drained.chainDeferred(self._drained)
        told: Deferred[None] = Deferred()

        def tell(_: object) -> None:
            told.callback(None)

        self._drained.addCallback(tell)
        return told

    def _startDraining(self, forGood: bool) -> Deferred[None]:
        count = len(self.factory.connections)
        if count:
            self._log.info("closing {count} connections", count=count)
        ports, self.ports = self.ports, []
        names = [nameOfAddress(port.getHost()) for port in ports]
        inherited = [isInherited(port, self._socketsBefore) for port in ports]
        patience = 0.0
        if any(inherited) or any(isinstance(port, SharedPort) for port in ports):
            patience = _PATIENCE
            if self.factory.settings.stop_timeout:
                patience = min(patience, self.factory.settings.stop_timeout / 2)
        closed: Deferred[None] = Deferred()
        drained = self.factory.closeConnections(
            *(_STOPPING if forGood else _RESTARTING), patience=patience, after=closed
        )
        self._closing = [
            closePort(port, self._reactor, known, patience)
            for port, known in zip(ports, inherited, strict=True)
        ]
        waiting = [
            self._patience.wait(f"the port {name}", closing, "closing")
            for name, closing in zip(names, self._closing, strict=True)
        ]
        gatherResults(waiting).addCallback(lambda _: closed.callback(None))
        return drained

    def hurry(self) -> None:
        """
        End all connections at once, and stop waiting for ports, applications and the
        broker, whether they are starting or stopping.
        """
        self._patience.hurry(self._endNow)

    def _endNow(self) -> None:
        for closing in self._closing:
            cancel(closing)
        self.factory.abortConnections()
        self._admin.abortConnections()

    def stopService(self) -> Deferred[None]:
        """
        Drain for good, unless that has begun already, and stop the applications.

        @return: fires with C{None} once everything has stopped.
        """
        if self.running:
            super().stopService()  # type: ignore[no-untyped-call]
            self._wasStopped = True
            self._stopping = Deferred.fromCoroutine(self._stop())
            self._stopping.addBoth(self._detectNoStalls)
        stopped: Deferred[None] = Deferred()
        self._stopping.chainDeferred(stopped)
        return stopped

    async def _stop(self) -> None:
        await self.drain(forGood=True)
        self._serves = False
        await self._applications.stop()
        # For instance a broker that opens its file, in a thread that would outlive the
        # reactor.
        await self._starts.wait()
        if self._broker is not None and self._brokerStarted:
            self._brokerStarted = False
            stopping = maybeDeferred(self._broker.stop)
            await self._patience.wait("the broker", stopping, "stopping")
        ending = Deferred.fromCoroutine(self._admin.stop())
        await self._patience.wait("the admin endpoint", ending, "stopping")
