# wsplug in your own Twisted service tree: a clock that sends all its clients the time,
# next to the other services of the process.
#
#     twistd -ny service_tree.tac
#
# The environment variable PORT is the port; the default is 9000.

import os
from time import strftime

from twisted.application.internet import TimerService
from twisted.application.service import Application, MultiService
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint

from wsplug import Mount, Settings, WebSocketProtocol, WebSocketService, broadcast
from wsplug.clocks import useSteadyTime


class Clock:
    """
    The application. It only needs the method buildProtocol.
    """

    def __init__(self):
        self.clients = set()

    def buildProtocol(self, request):
        return ClockProtocol(self.clients)

    def tick(self):
        broadcast(strftime("%H:%M:%S"), self.clients)


class ClockProtocol(WebSocketProtocol):
    """
    One connection.
    """

    def __init__(self, clients):
        self.clients = clients

    def negotiationFinished(self):
        self.clients.add(self.transport)

    def connectionLost(self, reason):
        self.clients.discard(self.transport)


# This makes time limits independent of changes of the machine's clock. Call it only
# if the reactor is yours.
useSteadyTime(reactor)

clock = Clock()
port = int(os.environ.get("PORT", "9000"))

services = MultiService()
services.addService(
    WebSocketService(
        [Mount("/clock", clock)],
        [TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")],
        reactor=reactor,
        settings=Settings(max_message_size=1024),
    )
)
services.addService(TimerService(1, clock.tick))

application = Application("clock")
services.setServiceParent(application)
