"""
L{Application}: all of an application in one class.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import is_dataclass, replace
from functools import partial
from os import PathLike
from typing import Any, ClassVar, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import IResource
from zope.interface import directlyProvides, implementer

from wsplug.authoring.coroutine import CoroutineProtocol, WebSocket
from wsplug.authoring.declaring import annotationsOf, makeOption
from wsplug.authoring.messages import encodeGap
from wsplug.authoring.protocols import EventProtocol, JSONEventProtocol
from wsplug.authoring.rooms import Room, Rooms
from wsplug.authoring.tasks import Task, Tasks, Timer
from wsplug.awaiting import LATER, maybeAwait, toDeferred
from wsplug.broker import Backlog, ChannelRetention
from wsplug.errors import ConnectionClosed
from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainResource,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
)
from wsplug.jsonmessages import decoderOf
from wsplug.mistakes import DeclarationError
from wsplug.options import REQUIRED, Option

__all__ = ["Application"]

_SETTINGS: Final = (
    "name",
    "help",
    "subprotocols",
    "pages",
    "handlerTimeout",
    "messages",
    "backlog",
    "recovery",
    "retention",
)
"""
Attributes that a class may annotate although they are no options.
"""

_SIMILAR: Final = 0.88
"""
How similar an attribute's name is to one of these that is taken for it, as difflib
counts it.
"""

_EVENTS: Final = ("opened", "received", "closed")

_METHODS: Final = {
    "serve": ("socket",),
    "opened": ("socket",),
    "received": ("socket", "message"),
    "closed": ("socket", "reason"),
    "noticed": ("socket", "text"),
    "admit": ("request",),
    "start": (),
    "stop": (),
}
"""
The methods that a class may have, and what they are called with.
"""

_Self = TypeVar("_Self", bound="Application")


@implementer(IWebSocketApplication)
class Application:
    """
    The base class for an application that is all in one class::

        class Count(Application):
            \"\"\"Count up, for all visitors together.\"\"\"

            step: Annotated[int, "how much each message counts"] = 1

            async def start(self):
                self.total = 0

            async def serve(self, socket):
                async for message in socket:
                    self.total += self.step
                    await socket.send(str(self.total))

    There is one instance for each mount, which lives as long as the server. The class
    itself is the plugin for C{--app} (L{IWebSocketApplicationPlugin}), with the first
    line of its docstring as help. Annotated attributes are its options, except class
    variables and names that begin with an underscore. Their types are those of the
    parameters of L{wsplug.application}.

    A class has either C{serve}, a coroutine for each connection, or methods for events:
    C{opened}, C{received} and C{closed}. A base class for others has neither, and says
    C{class Base(Application, abstract=True)}.

    @cvar name: the name for C{--app}; by default the class's in lower case, with dashes
        between words.
    @cvar help: one line of help.
    @cvar subprotocols: see L{IWebSocketApplication}.
    @cvar pages: see L{IWebSocketApplication}.
    @cvar handlerTimeout: seconds that the methods for events may take; see
        L{IHandlerRules}. C{serve} may take as long as the connection lasts.
    @cvar messages: the type of C{received}'s messages, which come as JSON: one that
        msgspec can decode, such as a union of C{Struct} types with tags. A message that
        doesn't fit is answered with an error, in the form that the bundled applications
        use (L{wsplug.jsonmessages}), and so are a C{RequestRefused} and a
        C{BrokerError} that C{received} raises. With C{None}, messages come as they are.
    @cvar prefix: what the names of its rooms' channels in the broker begin with; the
        application's name if it is empty. It may be an option: two mounts with the same
        prefix share their rooms.
    @cvar backlog: how much may wait in a room for a client that reads too slowly, and
        what happens then.
    @cvar recovery: whether clients can recover what they have missed in a room; see
        L{Room}.
    @cvar retention: how much each room keeps of its messages, a
        C{wsplug.broker.ChannelRetention}; C{None} for what the server keeps of each
        channel.
    @cvar options: what the annotations have declared.
    @ivar services: the L{IServices} of the server.
    """

    name: str = ""
    help: str = ""
    subprotocols: Sequence[str] = ()
    pages: str | PathLike[str] | IPlainResource | IResource | None = None
    handlerTimeout: float | None = None
    messages: Any = None
    prefix: str = ""
    backlog: Backlog = Backlog()
    recovery: bool = False
    retention: ChannelRetention | None = None
    options: ClassVar[Sequence[Option]] = ()

    def __init_subclass__(cls, *, abstract: bool = False, **more: Any) -> None:
        """
        @param abstract: whether it is a base for other classes only.
        @raise TypeError: the class can't be an application.
        """
        super().__init_subclass__(**more)
        own = vars(cls)
        if not own.get("name"):
            cls.name = _nameOf(cls)
        if not re.fullmatch(r"[\w-]+", cls.name, re.ASCII):
            raise TypeError(
                f"{cls.__name__}.name must be of letters, digits, - and _, "
                f"not {cls.name!r}"
            )
        if not own.get("help"):
            cls.help = (inspect.cleandoc(cls.__doc__ or "")).partition("\n")[0]
        _checkMethods(cls)
        _checkAttributes(cls)
        _checkSpelling(cls)
        cls.options = tuple(_optionsOf(cls))
        _checkMessages(cls)
        if abstract:
            return
        serves = _has(cls, "serve")
        events = [name for name in _EVENTS if _has(cls, name)]
        if serves and events:
            raise TypeError(
                f"{cls.__name__} has both 'serve' and {events[0]!r}: a connection is "
                "served by a coroutine or by methods for events"
            )
        if not serves and not events:
            raise TypeError(
                f"{cls.__name__} has no 'async def serve(self, socket)', and no method "
                "for an event: opened, received or closed; a base for other classes is "
                f"'class {cls.__name__}(Application, abstract=True)'"
            )
        if serves and cls.handlerTimeout is None:
            # It runs as long as the connection, and takes messages at its own pace.
            cls.handlerTimeout = 0.0
        directlyProvides(cls, IWebSocketApplicationPlugin)

    @classmethod
    def makeApplication(
        cls: type[_Self], options: Mapping[str, Any], services: IServices
    ) -> _Self:
        """
        Make the application; see L{IWebSocketApplicationPlugin}.
        """
        values = {name.replace("-", "_"): value for name, value in options.items()}
        made = cls(services, **values)
        if not hasattr(made, "services"):
            raise TypeError(f"{cls.__name__}.__init__ {_INITIALIZER}")
        return made

    def __init__(self, services: IServices, **options: Any) -> None:
        """
        Make an application to be mounted. You needn't override this, since C{start} is
        called before the first connection. If you do, you may raise
        L{wsplug.errors.InvalidOption}.

        @param services: the server's services.
        @param options: the options, by the names of their attributes.
        @raise TypeError: an option is unknown or missing.
        """
        if is_dataclass(services) and getattr(services, "application", None) == "":
            # A program that embeds the server has made them: each has its own store.
            services = replace(services, application=self.name)
        self.services = services
        self._tasks = Tasks(services.clock, self.name)
        for option in self.options:
            name = option.name.replace("-", "_")
            if name in options:
                setattr(self, name, options.pop(name))
            elif option.default is REQUIRED:
                raise TypeError(f"{type(self).__name__}: the option {name} is missing")
        if options:
            raise TypeError(f"{type(self).__name__} has no option {min(options)}")
        self._rooms = Rooms(
            services,
            self.prefix or self.name,
            backlog=self.backlog,
            recovery=self.recovery,
            retention=self.retention,
            missed=self.missed,
        )

    # To be overridden

    def start(self) -> Any:
        """
        The server starts; see L{IWebSocketApplication.startApplication}. It may be a
        coroutine.
        """

    def stop(self) -> Any:
        """
        The server stops; see L{IWebSocketApplication.stopApplication}. All connections
        are closed, and all tasks and timers have ended. It may be a coroutine.
        """

    def admit(self, request: IHandshakeRequest) -> Any:
        """
        A client wants to connect. You may set C{request.subprotocol}, and add to
        C{request.responseHeaders}. It may be a coroutine.

        @raise wsplug.errors.HandshakeRefused: the client is refused.
        """

    async def serve(self, socket: WebSocket) -> None:
        """
        Serve a connection. When this returns, the connection is closed with 1000. If it
        fails, that is logged, and the connection is closed with 1011.
        """

    def opened(self, socket: WebSocket) -> Any:
        """
        A connection is open. It may be a coroutine. The first message waits for it.
        """

    def received(self, socket: WebSocket, message: Any) -> Any:
        """
        A message has come. It may be a coroutine: the connection's next message waits
        for it. It is cancelled if the connection ends, or if it takes longer than
        C{handlerTimeout}.

        @param message: C{str} for text, C{bytes} for a binary message; or what
            C{messages} says.
        """

    def closed(self, socket: WebSocket, reason: ConnectionClosed) -> Any:
        """
        A connection has ended. It may be a coroutine.
        """

    def noticed(self, socket: WebSocket, text: str) -> Any:
        """
        An operator sends a notice to the client; see L{INoticeReceiver}. Without this
        method, the client counts as not reached.
        """

    def missed(self, room: Room, count: int | None) -> str | bytes | None:
        """
        Make the message that tells a client that it has missed messages of a room,
        because it reads too slowly, or because the server doesn't have them any more.
        By default, it is C{{"type":"gap","room":"lobby","count":3}}.

        @param count: how many; C{None} if that is unknown.
        @return: the message; C{None} for none.
        """
        return encodeGap(room.name, count)

    # To be used

    def room(self, name: str) -> Room:
        """
        Return the room with a name. A room needn't be made: it is there as soon as it
        is used.

        @raise RequestRefused: the name has over 200 characters.
        """
        return self._rooms.find(name)

    def spawn(self, work: Coroutine[Any, Any, object]) -> Task:
        """
        Run a coroutine beside the others. It is cancelled when the server stops. If it
        fails, that is logged, and the application goes on.

        @return: the task, which you may cancel.
        @raise TypeError: it isn't a coroutine.
        """
        return self._tasks.spawn(work)

    def every(
        self, seconds: float, function: Callable[..., Any], *arguments: Any
    ) -> Timer:
        """
        Call a function or coroutine function again and again, until the server stops.
        A call that is due while the last one still runs is left out. If it fails, that
        is logged, and it is called again in time. Of several failures in a row, only
        the first is logged.

        @param seconds: the time until the first call, and between two.
        @return: the timer, which you may cancel.
        @raise ValueError: the seconds aren't more than 0.
        """
        return self._tasks.call(seconds, function, arguments, repeats=True)

    def later(
        self, seconds: float, function: Callable[..., Any], *arguments: Any
    ) -> Timer:
        """
        Call a function or coroutine function once after some seconds, unless the server
        stops before. If it fails, that is logged.

        @return: the timer, which you may cancel.
        @raise ValueError: the seconds are negative.
        """
        return self._tasks.call(seconds, function, arguments, repeats=False)

    def sleep(self, seconds: float) -> Deferred[None]:
        """
        Wait for some seconds by the server's clock. For a connection, C{socket.sleep}
        ends with it.
        """
        return deferLater(self.services.clock, seconds, lambda: None)

    # For the server

    def buildProtocol(self, request: IHandshakeRequest) -> Any:
        admitted = self.admit(request)
        if isinstance(admitted, LATER):
            return toDeferred(admitted).addCallback(lambda _: self._makeProtocol())
        return self._makeProtocol()

    def _makeProtocol(self) -> IWebSocketProtocol:
        protocol: Any
        if _has(type(self), "serve"):
            protocol = CoroutineProtocol(self.serve, self.name, self.services)
        elif self.messages is None:
            protocol = EventProtocol(self)
        else:
            protocol = JSONEventProtocol(self)
        if _has(type(self), "noticed"):
            protocol.noticeReceived = partial(_passNotice, self, protocol)
        return protocol  # type: ignore[no-any-return]

    async def startApplication(self) -> None:
        try:
            await maybeAwait(self.start)
        except BaseException:
            await self._tasks.end()
            raise

    async def stopApplication(self) -> None:
        await self._tasks.end()
        try:
            await maybeAwait(self.stop)
        finally:
            await self._tasks.end()


def _passNotice(application: Application, protocol: Any, text: str) -> Any:
    return application.noticed(protocol.socket, text)


def _nameOf(cls: type) -> str:
    """
    Make a name of a class's: C{load-board} of C{LoadBoard}.
    """
    words = cls.__name__.strip("_")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[^_])(?=[A-Z][a-z])", "-", words)
    return words.replace("_", "-").lower()


def _has(cls: type, name: str) -> bool:
    """
    Tell whether a class overrides a method of L{Application}.
    """
    return getattr(cls, name) is not getattr(Application, name)


_INITIALIZER: Final = (
    "must be: def __init__(self, services, **options), and call "
    "super().__init__(services, **options); 'start' needs neither"
)


def _checkAttributes(cls: type) -> None:
    """
    Find attributes that are nearly those that the server reads, such as C{page}.

    @raise TypeError: there is one, which isn't annotated.
    """
    known = {each.lower(): each for each in _SETTINGS}
    annotated = inspect.get_annotations(cls)
    for name, value in vars(cls).items():
        if name.startswith("_") or name in _SETTINGS or name in annotated:
            continue
        if callable(value) or isinstance(value, (property, classmethod, staticmethod)):
            continue
        written = name.replace("_", "").lower()
        close = difflib.get_close_matches(written, known, 1, _SIMILAR)
        if close and known[close[0]] not in vars(cls):
            raise TypeError(
                f"{cls.__name__}.{name} isn't read by the server: is it to be "
                f"{known[close[0]]!r}? If not, say '{name}: ClassVar = …'"
            )


def _checkMethods(cls: type) -> None:
    """
    @raise TypeError: a method can't be called as it will be.
    """
    try:
        inspect.signature(getattr(cls, "__init__")).bind(None, None)  # noqa: B009
    except (TypeError, ValueError):
        raise TypeError(f"{cls.__name__}.__init__ {_INITIALIZER}") from None
    for name, arguments in _METHODS.items():
        if not _has(cls, name):
            continue
        method = getattr(cls, name)
        usage = f"def {name}({', '.join(('self', *arguments))})"
        if name == "serve":
            usage = f"async {usage}"
        try:
            inspect.signature(method).bind(None, *arguments)
        except (TypeError, ValueError):
            raise TypeError(f"{cls.__name__}.{name} must be: {usage}") from None
        if name == "serve" and not inspect.iscoroutinefunction(method):
            raise TypeError(f"{cls.__name__}.serve must be a coroutine: {usage}")


def _checkSpelling(cls: type) -> None:
    """
    Find methods that are nearly those that would be called. The names are short: one
    counts only if the parameters are the same, too.

    @raise DeclarationError: there is one.
    """
    for name, value in vars(cls).items():
        if hasattr(Application, name) or not inspect.isfunction(value):
            continue
        for meant in difflib.get_close_matches(name, _METHODS, 1, 0.85):
            parameters = tuple(inspect.signature(value).parameters)[1:]
            if parameters == _METHODS[meant] and not _has(cls, meant):
                raise DeclarationError(
                    f"{cls.__name__}.{name} is never called; did you mean {meant}?",
                    value,
                )


def _checkMessages(cls: type[Application]) -> None:
    """
    @raise TypeError: its messages can't be read.
    """
    if cls.messages is None:
        return
    if _has(cls, "serve"):
        raise TypeError(
            f"{cls.__name__}.messages is for 'received'; in 'serve', use "
            "'async for message in socket.json(...)'"
        )
    try:
        decoderOf(cls.messages)
    except (TypeError, NameError) as error:
        raise TypeError(
            f"{cls.__name__}.messages can't be read from JSON: {error}"
        ) from None


def _optionsOf(cls: type) -> list[Option]:
    """
    Read the options from the annotations of a class and of its bases.

    @raise TypeError: an attribute can't be an option.
    """
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is not Application and issubclass(base, Application):
            hints.update(annotationsOf(base))
    options = []
    for name, hint in hints.items():
        if name in _SETTINGS:
            continue
        what = f"{cls.__name__}.{name}"
        if (name != "prefix" and hasattr(Application, name)) or name in ("services",):
            raise TypeError(f"{what} can't be an option: Application uses the name")
        advice = "; an attribute that is no option is a ClassVar, or has a name with _"
        default = getattr(cls, name, REQUIRED)
        options.append(makeOption(name, hint, default, what=what, advice=advice))
    return options
