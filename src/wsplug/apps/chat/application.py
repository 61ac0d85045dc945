"""
The chat application, which makes the protocols of connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.interfaces import IAddress

from wsplug import HandshakeRefused, WebSocketApplication
from wsplug.apps.chat.classic import ClassicProtocol
from wsplug.apps.chat.protocol import SUBPROTOCOL, ChatProtocol
from wsplug.apps.chat.sanitizing import cleanLogin
from wsplug.apps.chat.service import ChatService
from wsplug.interfaces import IHandshakeRequest, IServices, IWebSocketProtocol
from wsplug.jsonmessages import RequestRefused
from wsplug.networks import clientKey
from wsplug.roompages import RoomPages

__all__ = ["ChatApplication"]

_PAGES: Final = str(Path(__file__).with_name("pages"))


class ChatApplication(WebSocketApplication):
    """
    The application.

    @ivar chat: the chat; C{None} before the first connection.
    """

    # Classic clients offer "chat", and browsers close what takes nothing.
    subprotocols = (SUBPROTOCOL, "*")

    def __init__(self, options: Mapping[str, Any], services: IServices) -> None:
        self.pages = RoomPages(_PAGES, deep=True)
        self.chat: ChatService | None = None
        self._options = options
        self._loginNames: bool = options["login-names"]
        self._services = services

    def stopApplication(self) -> None:
        if self.chat is not None:
            self.chat.stop()

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        chat = self._open(request)
        address = request.getClientAddress()
        network = clientKey(address)
        login = self._loginOf(request)
        path = "/".join(request.segments)
        if SUBPROTOCOL in request.subprotocols:
            request.subprotocol = SUBPROTOCOL
            try:
                room = chat.findRoom(path or chat.offered[0])
            except RequestRefused:
                room = chat.offered[0]
            return ChatProtocol(chat, room, network, login)
        try:
            room = chat.findRoom(path or chat.offered[0])
        except RequestRefused as error:
            raise HandshakeRefused(404, error.message) from None
        return ClassicProtocol(chat, room, _host(address), network, login)

    def _open(self, request: IHandshakeRequest) -> ChatService:
        """
        Return the chat. The first request tells which path it is mounted at.
        """
        if self.chat is None:
            path = "/" + b"/".join(request.prepath).decode("utf-8", "replace")
            self.chat = ChatService(self._options, self._services, path)
        return self.chat

    def _loginOf(self, request: IHandshakeRequest) -> str:
        """
        Return the name that the person has logged in with; empty if they may choose a
        name.

        @raise HandshakeRefused: the name has no visible characters.
        """
        login = getattr(request.avatar, "name", None)
        if not self._loginNames or not isinstance(login, str):
            return ""
        if not cleanLogin(login):
            raise HandshakeRefused(403, "your name has no visible characters")
        return login


def _host(address: IAddress) -> str:
    """
    Return the address that notices name.
    """
    host: str | None = getattr(address, "host", None)
    return host or "a local client"
