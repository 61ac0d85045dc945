"""
Visitors of the chat's page, and the server that they meet at.
"""

from __future__ import annotations

import json
import secrets
import signal
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.browser.conftest import PATIENCE, Visit, Visitor
from tests.processes import HOST, TCP, Server

__all__ = ["Chat", "Guest", "Person", "expect", "meet", "opened"]


def expect(locator: Any) -> Any:
    """
    Playwright's assertions, which wait.
    """
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    return expect(locator)


class Chat:
    """
    A chat, which can be killed and started again at the same port.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments or ("--app=chat",)
        self._server = Server(folder, self._arguments)
        self.port = self._server.port

    def url(self, path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://{HOST}:{self.port}{path}"

    def kill(self) -> None:
        """
        Kill it: nothing is closed, nothing is said.
        """
        self._server.signal(signal.SIGKILL)
        self._server.wait()

    def start(self, *arguments: str) -> None:
        """
        Start it again.

        @param arguments: others than before, if any.
        """
        self._arguments = arguments or self._arguments
        listen = [TCP.replace(":0:", f":{self.port}:")]
        self._server = Server(self._folder, self._arguments, listen=listen)

    def end(self) -> None:
        """
        End it in any case.
        """
        self._server.kill()


@contextmanager
def opened(folder: Path, *arguments: str) -> Iterator[Chat]:
    """
    Have a chat while something is done there.
    """
    chat = Chat(folder, *arguments)
    try:
        yield chat
    finally:
        chat.end()


class Guest:
    """
    Somebody who has the page open.

    @ivar page: Playwright's C{Page}.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page

    def enter(self, name: str) -> Guest:
        """
        Say who it is.
        """
        self.page.locator("#who-name").fill(name)
        self.page.keyboard.press("Enter")
        return self.arrive()

    def arrive(self) -> Guest:
        """
        Wait until the room is entered.
        """
        expect(self.page.locator("#state")).to_have_attribute("data-state", "open")
        expect(self.page.locator("#count")).not_to_be_empty()
        return self

    def say(self, *texts: str) -> None:
        """
        Write messages; they may not be sent yet.
        """
        for text in texts:
            self.page.locator("#say").fill(text)
            self.page.keyboard.press("Enter")

    def open(self, name: str) -> None:
        """
        Go to a room, or to what is said with somebody.
        """
        self.page.locator(".entry-link", has_text=name).click()
        expect(self.page.locator("#title")).to_have_text(name)

    @property
    def messages(self) -> Any:
        """
        The texts in the open room that the server has.
        """
        return self.page.locator(".talk:visible .lines .text")

    @property
    def notices(self) -> Any:
        return self.page.locator(".talk:visible .notice")

    @property
    def unsent(self) -> Any:
        return self.page.locator(".talk:visible .pending")

    @property
    def people(self) -> Any:
        """
        The names of those who are here.
        """
        return self.page.locator("#people .name")

    def sees(self, *texts: str) -> None:
        """
        Wait until these are all messages in the open room, in this order.
        """
        expect(self.messages).to_have_text(list(texts))

    def unread(self, name: str) -> Any:
        """
        The number of a room's messages that are new.
        """
        return self.page.locator(".entry-link", has_text=name).locator(".badge")


def meet(visit: Visitor, chat: Chat, name: str, path: str = "/", **how: Any) -> Guest:
    """
    Have somebody come for the first time.
    """
    return Guest(visit(chat.url(path), **how)).enter(name)


class Person:
    """
    Somebody with a program of their own.

    @ivar id: theirs.
    """

    def __init__(
        self, chat: Chat, name: str, room: str = "lobby", *, login: str = "", **who: str
    ) -> None:
        """
        @param login: name and password with a colon between, if they log in.
        @param who: what else they say of themselves.
        """
        self._chat = chat
        basic = b64encode(login.encode()).decode()
        self._made = connect(
            chat.url(scheme="ws"),
            subprotocols=[_subprotocol("wsplug.chat.v1")],
            additional_headers={"Authorization": f"Basic {basic}"} if login else None,
        )
        self._who = {"name": name, "key": secrets.token_hex(16), **who}
        self._room = room
        self._request = 0

    def __enter__(self) -> Person:
        self._connection = self._made.__enter__()
        self.id = self.ask(type="hello", **self._who)["id"]
        self.ask(type="join", room=self._room)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._made.__exit__(*raised)

    def ask(self, **message: Any) -> Any:
        """
        Ask for something.

        @return: the answer.
        """
        self._request += 1
        self._connection.send(json.dumps({**message, "request": self._request}))
        while True:
            answer = json.loads(self._connection.recv(PATIENCE / 1000))
            if answer.get("request") == self._request:
                return answer

    def say(self, message: str, **more: str) -> Any:
        """
        Say something in the room, or, with C{to_id}, to somebody.
        """
        where = {} if "to_id" in more else {"room": self._room}
        return self.ask(type="usermsg", message=message, **where, **more)

    def idOf(self, name: str) -> str:
        """
        Find somebody who is in the room.
        """
        people = self._again()["people"]
        return str(next(each["id"] for each in people if each["name"] == name))

    def past(self) -> list[str]:
        """
        @return: what was said in the room.
        """
        return [message["message"] for message in self._again()["messages"]]

    def _again(self) -> Any:
        """
        Come to the room once more: nobody is told, and the answer says who is there.
        """
        with connect(
            self._chat.url(scheme="ws"), subprotocols=[_subprotocol("wsplug.chat.v1")]
        ) as connection:
            for request in (
                {"type": "hello", "request": 1, **self._who},
                {"type": "join", "request": 2, "room": self._room},
            ):
                connection.send(json.dumps(request))
                while True:
                    answer = json.loads(connection.recv(PATIENCE / 1000))
                    if answer.get("request") == request["request"]:
                        break
            return answer

    def waitFor(self, text: str) -> None:
        """
        Wait until somebody says something.
        """
        while True:
            message = json.loads(self._connection.recv(PATIENCE / 1000))
            if message.get("message") == text:
                return

    def type(self) -> None:
        """
        Tell the room that one is typing.
        """
        self._connection.send(json.dumps({"type": "typing", "room": self._room}))


def _subprotocol(name: str) -> Any:
    return name  # websockets has a type of its own for it
