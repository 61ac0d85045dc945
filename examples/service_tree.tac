# wsplug in a Twisted service tree of one's own: a clock that tells all its clients the
# time, beside whatever else the process does.
#
#     twistd -ny service_tree.tac
#
# The port is 9000, or what the environment variable PORT says.

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
    The application: all that it needs is buildProtocol.
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


# The process is ours: deadlines are kept when the machine's clock is set.
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
