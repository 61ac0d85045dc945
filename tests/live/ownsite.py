"""
Programs that the hostile requests are sent to: C{--app ownsite.py} has resources of its
own; C{python ownsite.py} is a program with a site of its own, which isn't wsplug's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

from wsplug import (
    Access,
    Mount,
    Settings,
    WebSocketFactory,
    WebSocketProtocol,
    application,
)
from wsplug.folder import Folder

__all__ = ["ownsite"]


class Takes(Resource):
    """
    Takes a body, and says what there was.
    """

    isLeaf = True

    def __init__(self, parsesForms: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parsesForms = parsesForms

    def render(self, request: Any) -> bytes:
        return b"%d, %d\n" % (len(request.content.read()), len(request.args))


def makePages(pages: Any) -> Any:
    """
    Add the resources to a folder.
    """
    pages.putChild(b"takes", Takes(False))
    pages.putChild(b"form", Takes(True))
    pages.putChild(b"files", Folder("pages"))
    return pages


class _Pages(Resource):
    parsesForms = True


@application("ownsite", pages=makePages(_Pages()))  # type: ignore[no-untyped-call]
class ownsite(WebSocketProtocol):
    """
    Says nothing.
    """


def main(folder: str) -> None:
    """
    Serve a folder, and more, with C{twisted.web} alone behind wsplug's factory.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])

    class Echo:
        def buildProtocol(self, _: Any) -> WebSocketProtocol:
            return WebSocketProtocol()

    class Quiet(Site):
        def log(self, request: Any) -> None:
            pass

    app: Any = Echo()
    settings = Settings(
        open_timeout=1,
        send_timeout=1,
        close_timeout=1,
        max_address_handshake_rate=10**6,
    )
    site = Quiet(makePages(File(folder)), reactor=reactor)  # type: ignore[no-untyped-call]
    factory = WebSocketFactory(
        [Mount("/", app)],
        clock=reactor,
        settings=settings,
        access=Access(exempt=()),
        site=site,
    )
    endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
    listening: Any = endpoint.listen(factory)
    listening.addCallback(
        lambda port: print(f"listening on 127.0.0.1:{port.getHost().port}", flush=True)
    )
    reactor.run()


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
