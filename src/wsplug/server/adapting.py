"""
Makes an L{IWebSocketApplication} of each mounted object. An object's methods count, not
the interfaces that it declares. An unusable object is an error at the start.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from twisted.web.resource import IResource
from zope.interface import implementer
from zope.interface.interface import Method

from wsplug.errors import InvalidOption
from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainResource,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)

__all__ = ["adaptApplication", "checkApplication", "folderOf", "isBodySize"]


_INTERFACE = "wsplug.interfaces.IWebSocketApplication"


def _doNothing() -> None:
    pass


@implementer(IWebSocketApplication)
class _Adapted:
    """
    An application that has only some of what the interface names, as the factories of
    C{twisted.web.websocket} do: the rest is as where there is nothing to do.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        # Whose code it is.
        self.__module__ = type(application).__module__

    def buildProtocol(self, request: IHandshakeRequest) -> Any:
        return self._application.buildProtocol(request)

    @property
    def subprotocols(self) -> Sequence[str]:
        spoken: Sequence[str] = getattr(self._application, "subprotocols", ())
        return spoken

    @property
    def pages(self) -> str | os.PathLike[str] | IPlainResource | IResource | None:
        pages: str | os.PathLike[str] | IPlainResource | IResource | None = getattr(
            self._application, "pages", None
        )
        return pages

    @property
    def startApplication(self) -> Any:
        return getattr(self._application, "startApplication", _doNothing)

    @property
    def stopApplication(self) -> Any:
        return getattr(self._application, "stopApplication", _doNothing)


def adaptApplication(application: Any) -> IWebSocketApplication:
    """
    Make an application of whatever has C{buildProtocol}.

    @return: the object itself where it has all that L{IWebSocketApplication} names,
        whether it declares that or not. Else one that has the rest, too.
    @raise TypeError: it has no C{buildProtocol}, or it is a class.
    """
    if isinstance(application, type):
        raise TypeError(
            f"{application!r} is a class: an application is an object that has "
            "buildProtocol, so mount what the class makes"
        )
    if not callable(getattr(application, "buildProtocol", None)):
        plugin = IWebSocketApplicationPlugin.providedBy(application)
        hint = "; mount what its makeApplication() makes" if plugin else ""
        raise TypeError(
            f"{application!r} is no application: it has no buildProtocol{hint}"
        )
    if all(hasattr(application, name) for name in IWebSocketApplication.names()):
        complete: IWebSocketApplication = application
        return complete
    return _Adapted(application)


def checkApplication(application: IWebSocketApplication, name: str) -> None:
    """
    Find out whether what an application has can be used.

    @param name: what error messages call it.
    @raise InvalidOption: something can't be. The message says what would be right.
    """
    for attribute, description in IWebSocketApplication.namesAndDescriptions():
        value = getattr(application, attribute)
        if isinstance(description, Method) and not callable(value):
            raise _wrong(name, f"{attribute} is to be a method, not {value!r}")
    spoken: Any = application.subprotocols
    if not _isListOfTexts(spoken):
        raise _wrong(name, f"subprotocols are a list or tuple of texts, not {spoken!r}")
    _checkPages(application.pages, name)


def _wrong(name: str, what: str) -> InvalidOption:
    return InvalidOption(f"the application {name}: {what} ({_INTERFACE})")


def _isListOfTexts(value: object) -> bool:
    # A text is a collection of texts, too: of its characters, which nobody means.
    return (
        isinstance(value, Collection)
        and not isinstance(value, (str, bytes))
        and _areTexts(value)
    )


def _areTexts(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def _checkPages(pages: Any, name: str) -> None:
    if pages is None:
        return
    if IResource.providedBy(pages) or IPlainResource.providedBy(pages):
        size: Any = getattr(pages, "maxBodySize", 0)
        if not isBodySize(size):
            raise _wrong(
                name, f"the maxBodySize of pages is a number of bytes, not {size!r}"
            )
        return
    folder = folderOf(pages)
    if folder is None:
        raise _wrong(
            name,
            "pages is the path of a folder, an object that provides IPlainResource or "
            f"twisted.web's IResource, or None, not {pages!r}",
        )
    if not os.path.isdir(folder):
        what = "is no folder" if os.path.exists(folder) else "isn't there"
        raise _wrong(
            name,
            f"pages is {folder!r}, which {what}: say the path of a folder; "
            "pathlib.Path(__file__).with_name('pages') is beside the module",
        )


def isBodySize(size: object) -> bool:
    """
    Say whether something is a number of bytes that a body may have: not a part of one,
    no truth value, and not infinitely many.
    """
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def folderOf(pages: object) -> str | None:
    """
    Give the path of an application's folder of pages.

    @param pages: what the application has as C{pages}.
    @return: C{None} where that is no path.
    """
    if isinstance(pages, str):
        return pages
    return os.fsdecode(pages) if isinstance(pages, os.PathLike) else None
