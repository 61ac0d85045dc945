"""
The C{@application} decorator, which makes an application of a coroutine function or a
class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, get_type_hints

from twisted.web.resource import IResource
from zope.interface import implementer

from wsplug.authoring.bases import WebSocketApplication
from wsplug.authoring.coroutine import CoroutineProtocol
from wsplug.authoring.declaring import makeOption
from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainResource,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
)
from wsplug.mistakes import checkCoroutine, checkProtocolClass
from wsplug.options import REQUIRED, Option

__all__ = ["DeclaredApplication", "application"]


class _ProtocolApplication(WebSocketApplication):
    """
    An application that only makes protocols.
    """

    def __init__(
        self,
        makeProtocol: Callable[[], IWebSocketProtocol],
        subprotocols: Sequence[str],
        pages: str | PathLike[str] | IPlainResource | IResource | None,
        target: Callable[..., Any],
        handlerTimeout: float | None,
    ) -> None:
        """
        @param target: the function or class that it is made of.
        @param handlerTimeout: see L{wsplug.interfaces.IHandlerRules}.
        """
        self.handlerTimeout = handlerTimeout
        self.__module__ = target.__module__
        self.declaredBy = target
        self._makeProtocol = makeProtocol
        self.subprotocols = subprotocols
        self.pages = pages

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        return self._makeProtocol()


@implementer(IWebSocketApplicationPlugin)
class DeclaredApplication:
    """
    The plugin that C{@application} makes, for C{--app} and for drop-ins.

    @ivar target: the decorated function or class.
    """

    def __init__(
        self,
        target: Callable[..., Any],
        name: str,
        help: str,
        subprotocols: Sequence[str],
        pages: str | PathLike[str] | IPlainResource | IResource | None,
    ) -> None:
        self.target = target
        self.name = name
        self.help = help
        self.options = _optionsOf(target)
        self._subprotocols = tuple(subprotocols)
        self._pages = pages
        self.__doc__ = target.__doc__
        self.__module__ = target.__module__

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        arguments = {name.replace("-", "_"): value for name, value in options.items()}
        bound = partial(self.target, **arguments)
        makeProtocol: Callable[[], IWebSocketProtocol]
        handlerTimeout = None
        if isinstance(self.target, type):
            makeProtocol = bound
        else:
            makeProtocol = partial(CoroutineProtocol, bound, self.name, services)
            # A coroutine runs as long as the connection does, and takes messages at its
            # own pace.
            handlerTimeout = 0.0
        return _ProtocolApplication(
            makeProtocol,
            self._subprotocols,
            self._pages,
            self.target,
            handlerTimeout,
        )

    def __repr__(self) -> str:
        return f"<application {self.name!r}>"


def application(
    name: str,
    *,
    help: str = "",
    subprotocols: Sequence[str] = (),
    pages: str | PathLike[str] | IPlainResource | IResource | None = None,
) -> Callable[[type | Callable[..., Coroutine[Any, Any, object]]], DeclaredApplication]:
    """
    Make an application of a coroutine function or of a class. A coroutine function is
    called with a L{wsplug.WebSocket} for each connection. A class is called for each
    connection and makes an L{IWebSocketProtocol}.

    Its keyword-only parameters are the application's options::

        @application("shout", help="Repeat every text in capitals.")
        async def shout(socket, *, times: Annotated[int, "How often."] = 1): ...

    Their types are C{str}, C{int}, C{float}, C{bool}, or any kind of L{wsplug.options}
    as the first argument of C{Annotated}. A parameter without a default is a required
    option.

    @param name: the name for C{--app}.
    @param help: one line of help; the first line of the docstring by default.
    @param subprotocols: the subprotocols that the application speaks; C{"*"} stands
        for any.
    @param pages: what answers plain HTTP requests: the path of a folder, or a
        C{twisted.web} resource.
    @raise TypeError: it is neither a coroutine function nor a class, a parameter can't
        be an option, or the class isn't an L{IWebSocketProtocol}.
    """

    def declare(
        target: type | Callable[..., Coroutine[Any, Any, object]],
    ) -> DeclaredApplication:
        if not isinstance(target, type) and not inspect.iscoroutinefunction(target):
            raise TypeError(
                f"{target!r} is neither a coroutine function ('async def') nor a class"
            )
        if isinstance(target, type):
            checkProtocolClass(target)
        else:
            checkCoroutine(target)
        line = help or (inspect.getdoc(target) or "").partition("\n")[0]
        return DeclaredApplication(target, name, line, subprotocols, pages)

    return declare


def _optionsOf(target: Callable[..., Any]) -> tuple[Option, ...]:
    """
    Read the options from a signature.
    """
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    parameters = inspect.signature(target).parameters.values()
    keywords = [
        parameter
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    hints = get_type_hints(function, include_extras=True) if keywords else {}
    return tuple(
        makeOption(
            parameter.name,
            hints.get(parameter.name, str),
            REQUIRED
            if parameter.default is inspect.Parameter.empty
            else parameter.default,
            what=f"the parameter {parameter.name!r} of {target!r}",
        )
        for parameter in keywords
    )
