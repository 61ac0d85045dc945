# Push in your own Twisted service tree, which publishes the time in the channel "time"
# once a second.
#
#     twistd -ny service.tac
#
# The environment variable PORT is the port; the default is 9000.

import json
import os
import time

from twisted.application.internet import TimerService
from twisted.application.service import Application, MultiService
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint

from wsplug import WebSocketService
from wsplug.broker import makeBroker
from wsplug.plugins import Services, makeMounts, parseDescription

port = int(os.environ.get("PORT", "9000"))
broker = makeBroker("memory:count=10", reactor)


def publishTime():
    data = json.dumps({"time": time.time()}).encode()
    return broker.publish("push/time", data)


services = MultiService()
services.addService(
    WebSocketService(
        makeMounts([parseDescription("push")], Services(reactor, reactor, broker)),
        [TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")],
        reactor=reactor,
        broker=broker,
    )
)
services.addService(TimerService(1, publishTime))

application = Application("push")
services.setServiceParent(application)
