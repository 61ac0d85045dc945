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
from wsplug.mistakes import APPLICATION, checkNames, showPlace

__all__ = [
    "adaptApplication",
    "checkApplication",
    "checkPages",
    "folderOf",
    "isBodySize",
]


_INTERFACE = "wsplug.interfaces.IWebSocketApplication"


def _doNothing() -> None:
    pass


@implementer(IWebSocketApplication)
class _Adapted:
    """
    An application that lacks some members of the interface, such as a factory of
    C{twisted.web.websocket}. The missing ones get defaults that do nothing.
    """

    def __init__(self, application: Any) -> None:
        self.original = self._application = application
        # Error messages and logs name the original object.
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
    Return an application for an object that has C{buildProtocol}.

    @return: the object itself if it has all members of L{IWebSocketApplication},
        whether it declares the interface or not. Otherwise an adapter that adds the
        missing ones.
    @raise TypeError: it has no C{buildProtocol}, or it is a class.
    """
    if isinstance(application, type):
        raise TypeError(
            f"{application!r} is a class: mount an object with buildProtocol, such as "
            "an instance of the class"
        )
    if not callable(getattr(application, "buildProtocol", None)):
        plugin = IWebSocketApplicationPlugin.providedBy(application)
        hint = "; mount the result of its makeApplication()" if plugin else ""
        raise TypeError(
            f"{application!r} is not an application: it has no buildProtocol{hint}"
        )
    if all(hasattr(application, name) for name in IWebSocketApplication.names()):
        complete: IWebSocketApplication = application
        return complete
    return _Adapted(application)


def checkApplication(application: IWebSocketApplication, name: str) -> None:
    """
    Check an application's members.

    @param name: the application's name in error messages.
    @raise InvalidOption: a member is unusable. The message says what is expected.
    """
    where = showPlace(_writtenAs(application))
    checkNames(type(_writtenAs(application)), APPLICATION)
    for attribute, description in IWebSocketApplication.namesAndDescriptions():
        value = getattr(application, attribute)
        if isinstance(description, Method) and not callable(value):
            raise _wrong(name, f"{attribute} must be a method, not {value!r}", where)
    spoken: Any = application.subprotocols
    if not _isListOfTexts(spoken):
        raise _wrong(
            name, f"subprotocols must be a list or tuple of str, not {spoken!r}", where
        )
    checkPages(application.pages, name, where)


def _writtenAs(application: Any) -> Any:
    """
    Return the object, function or class that is somebody's own code.
    """
    if isinstance(application, _Adapted):
        return application.original
    return getattr(application, "declaredBy", application)


def _wrong(name: str, what: str, where: str) -> InvalidOption:
    place = f" ({where})" if where else ""
    return InvalidOption(f"the application {name}: {what} ({_INTERFACE}){place}")


def _isListOfTexts(value: object) -> bool:
    # A str is a sequence of strings, too, but that is a mistake here.
    return (
        isinstance(value, Collection)
        and not isinstance(value, (str, bytes))
        and _areTexts(value)
    )


def _areTexts(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def checkPages(pages: Any, name: str, where: str = "") -> None:
    """
    Return whether an object can answer plain HTTP requests.

    @param pages: as of an application, or of its mount.
    @param name: what error messages call the application.
    @param where: where it is written, if that is known.
    @raise InvalidOption: it can't. The message says what would be right.
    """
    if pages is None:
        return
    if IResource.providedBy(pages) or IPlainResource.providedBy(pages):
        size: Any = getattr(pages, "maxBodySize", 0)
        if not isBodySize(size):
            raise _wrong(
                name,
                f"the maxBodySize of pages must be a number of bytes, not {size!r}",
                where,
            )
        return
    folder = folderOf(pages)
    if folder is None:
        raise _wrong(
            name,
            "pages must be the path of a folder, an object that provides "
            f"IPlainResource or twisted.web's IResource, or None, not {pages!r}",
            where,
        )
    if not os.path.isdir(folder):
        what = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise _wrong(
            name,
            f"pages is {folder!r}, which {what}: give the path of a folder; for one "
            "beside the module, use pathlib.Path(__file__).with_name('pages')",
            where,
        )


def isBodySize(size: object) -> bool:
    """
    Return whether a value is a valid maximum size of a body: a finite whole number of
    bytes, and not a bool.
    """
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def folderOf(pages: object) -> str | None:
    """
    Return the path of an application's folder of pages.

    @param pages: the application's C{pages}.
    @return: C{None} if C{pages} is not a path.
    """
    if isinstance(pages, str):
        return pages
    return os.fsdecode(pages) if isinstance(pages, os.PathLike) else None
