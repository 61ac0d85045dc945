"""
The page at C{/} of a server with several applications, none of which is there: a list
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Final

from wsplug.interfaces import IPlainRequest
from wsplug.plain import PlainResource, Response
from wsplug.server.mounts import Mount

__all__ = ["Index"]

_HEADERS: Final = (
    (b"Content-Type", b"text/html; charset=utf-8"),
    (b"Cache-Control", b"no-cache"),
    (b"X-Content-Type-Options", b"nosniff"),
)

_PAGE: Final = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Content-Security-Policy" content="default-src 'self'; \
object-src 'none'; base-uri 'none'; form-action 'none'">
    <title>Applications</title>
    <link rel="icon" href="-/favicon.svg">
    <link rel="stylesheet" href="-/wsplug.css">
  </head>
  <body>
    <header class="bar">
      <h1>Applications</h1>
      <span class="about">What this server serves.</span>
    </header>
    <main class="index">
      <ul>
%s
      </ul>
    </main>
  </body>
</html>
"""


class Index(PlainResource):
    """
    The list.
    """

    def __init__(
        self, mounts: Iterable[Mount], hasPage: Callable[[Mount], bool]
    ) -> None:
        """
        @param hasPage: says whether there is a page at an application's path.
        """
        items = "\n".join(_itemOf(mount, hasPage(mount)) for mount in mounts)
        self._body = (_PAGE % items).encode("utf-8")

    def respond(self, request: IPlainRequest) -> Response:
        return Response(200, _HEADERS, self._body)


def _itemOf(mount: Mount, hasPage: bool) -> str:
    name = escape(mount.name)
    path = f"<code>{escape(mount.path)}</code>"
    if not hasPage:
        return f"        <li>{name} <span>WebSockets at {path}</span></li>"
    # Relative, because a proxy may add a prefix. With "./", a colon in the path is no
    # scheme.
    url = escape(f".{mount.url}/")
    return (
        f'        <li><a href="{url}">{name}</a> <span>WebSockets at {path}</span></li>'
    )
