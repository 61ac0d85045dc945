"""
The chat's page when connections and servers end: nothing that was written is lost,
nothing is said twice, and what can't be known is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chatting import Chat, Guest, Person, expect, meet
from tests.browser.conftest import Visitor

TALK = """
([name, count]) => {
  const field = document.querySelector("#say");
  let number = 0;
  const timer = setInterval(() => {
    field.value = `${name} ${number++}`;
    field.dispatchEvent(new Event("input"));
    field.form.requestSubmit();
    if (number === count) clearInterval(timer);
  }, 20);
}
"""
"""
Has the page say numbered messages, as fast as a very fast person.
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Chat]]:
    """
    Starts a chat.
    """
    made: list[Chat] = []

    def startChat(*arguments: str) -> Chat:
        made.append(Chat(tmp_path, *arguments))
        return made[-1]

    yield startChat
    for chat in made:
        chat.end()


class Wire:
    """
    What is between a page and its server.

    @ivar toServer: whether what is said goes to the server.
    @ivar toPage: whether what comes goes to the page.
    @ivar held: what was said, which is not to come yet.
    """

    def __init__(self, guest: Guest) -> None:
        self.toServer = self.toPage = True
        self.routes: list[Any] = []
        self.held: list[Any] | None = None
        guest.page.route_web_socket(re.compile("^ws:"), self._opened)
        guest.page.reload()

    def _opened(self, route: Any) -> None:
        self.routes.append(route)
        server = route.connect_to_server()
        route.on_message(
            lambda message: (
                server.send(message)
                if self.toServer or '"usermsg"' not in message
                else None
            )
        )
        server.on_message(lambda message: self._came(route, message))

    def _came(self, route: Any, message: Any) -> None:
        if self.held is not None and '"usermsg"' in message:
            self.held.append(message)
        elif self.toPage:
            route.send(message)

    def send(self, message: Any) -> None:
        """
        Send the page something, as if it came from the server.
        """
        text = message if isinstance(message, str) else json.dumps(message)
        self.routes[-1].send(text)

    def close(self, code: int = 1012, reason: str = "") -> None:
        """
        End the connection, and let the next one through.
        """
        self.toServer = self.toPage = True
        self.routes[-1].close(code=code, reason=reason)


def wired(visit: Visitor, chat: Chat, name: str = "Ann") -> tuple[Guest, Wire]:
    """
    Have somebody come by a wire of which the test has the end.
    """
    guest = Guest(visit(chat.url()))
    wire = Wire(guest)
    guest.enter(name)
    return guest, wire


def test_servers_that_are_killed(
    start: Callable[..., Chat], visit: Visitor, tmp_path: Path
) -> None:
    """
    Two talk all the time while their server is killed and started again, twice: in the
    end both have each message once, in the order in which it was written, and so has
    the server.
    """
    count = 60
    chat = start(
        "--app=chat:rate=1000:burst=1000:history=500",
        f"--broker=sqlite:{tmp_path / 'chat.db'}",
    )
    guests = {name: meet(visit, chat, name) for name in ("Ann", "Bea")}
    ann = guests["Ann"]
    for name, guest in guests.items():
        guest.page.evaluate(TALK, [name, count])
    for text in ("Bea 10", "Bea 30"):
        expect(ann.page.get_by_text(text, exact=True)).to_be_visible()
        chat.kill()
        expect(ann.page.locator("#lost")).to_be_visible()
        chat.start()
        ann.arrive()
    late = meet(visit, chat, "Chloé")
    for guest in (*guests.values(), late):
        expect(guest.messages).to_have_count(2 * count)
        expect(guest.unsent).to_have_count(0)
        shown = guest.messages.all_text_contents()
        for name in guests:
            own = [text for text in shown if text.startswith(name)]
            assert own == [f"{name} {number}" for number in range(count)]


def test_what_is_written_without_a_connection(
    start: Callable[..., Chat], visit: Visitor, tmp_path: Path
) -> None:
    """
    It is shown as waiting, and goes out as soon as there is a connection, which can be
    asked for; both are told.
    """
    chat = start("--app=chat", f"--broker=sqlite:{tmp_path / 'chat.db'}")
    ann = Guest(visit(chat.url()))
    ann.page.clock.install(time=0)
    ann.page.reload()
    ann.enter("Ann")
    ann.page.clock.pause_at(24 * 3600 * 1000)  # nothing is tried by itself any more
    chat.kill()
    expect(ann.page.locator("#lost")).to_contain_text("Connection lost; trying again")
    expect(ann.page.locator("#state")).to_have_attribute("data-state", "waiting")
    ann.say("one", "two")
    expect(ann.unsent.locator(".status")).to_have_text(["Waiting …", "Waiting …"])
    ann.sees()
    chat.start()
    ann.page.get_by_role("button", name="Try now").click()
    ann.sees("one", "two")
    expect(ann.unsent).to_have_count(0)
    expect(ann.page.locator("#lost")).to_be_hidden()


def test_where_nothing_is_kept(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    With channels in memory, a restart loses what was said meanwhile: the page says that
    something may be missing, and goes on.
    """
    chat = start()
    ann = meet(visit, chat, "Ann")
    ann.say("before")
    ann.sees("before")
    chat.kill()
    expect(ann.page.locator("#lost")).to_be_visible()
    chat.start()
    ann.arrive()
    expect(ann.notices).to_have_text(["Some messages are missing here"])
    ann.say("after")
    ann.sees("before", "after")


def test_messages_that_were_dropped(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    Where the server has dropped messages, the log says how many, where they would be.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    wire.send({"type": "gap", "room": "lobby", "count": 12})
    wire.send({"type": "gap", "room": "lobby", "count": 1})
    expect(ann.notices).to_have_text(
        ["12 messages are missing here", "One message is missing here"]
    )


@pytest.mark.parametrize("restarts", [False, True])
def test_an_answer_that_is_lost(
    start: Callable[..., Chat], visit: Visitor, tmp_path: Path, restarts: bool
) -> None:
    """
    The server had the message, but the connection ended before its answer: it isn't
    said again, even if the server has forgotten whose it was.
    """
    chat = start("--app=chat", f"--broker=sqlite:{tmp_path / 'chat.db'}")
    ann, wire = wired(visit, chat)
    with Person(chat, "Bea") as bea:
        wire.toPage = False
        ann.say("Once")
        expect(ann.unsent).to_have_count(1)
        bea.waitFor("Once")
    if restarts:
        chat.kill()
        chat.start()
    wire.close()
    ann.sees("Once")
    expect(ann.unsent).to_have_count(0)
    with Person(chat, "Cid") as cid:
        cid.say("and no more")
        ann.sees("Once", "and no more")
        assert cid.past() == ["Once", "and no more"]


def test_an_answer_that_comes_first(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    The message is there as soon as the server has answered, and once when it comes
    itself, too.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    wire.held = []
    ann.say("Once")
    ann.sees("Once")
    expect(ann.unsent).to_have_count(0)
    for message in wire.held:
        wire.send(message)
    wire.held = None
    ann.say("and no more")
    ann.sees("Once", "and no more")


def test_a_message_that_is_lost(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    The connection ended before the server had the message: it is said once there is
    another one.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    wire.toServer = False
    ann.say("Twice tried")
    expect(ann.unsent).to_have_count(1)
    wire.close()
    ann.sees("Twice tried")
    expect(ann.unsent).to_have_count(0)
    with Person(chat, "Bea") as bea:
        assert bea.past() == ["Twice tried"]


def test_a_server_that_never_answers(
    start: Callable[..., Chat], visit: Visitor
) -> None:
    """
    What the server doesn't answer is sent three times, and is the visitor's then; what
    comes after it goes out.
    """
    ann, wire = wired(visit, start())
    ann.page.clock.install()
    wire.toServer = False
    ann.say("lost")
    for _ in range(3):
        expect(ann.unsent).to_contain_text("Sending")
        ann.page.clock.run_for(10_500)
        ann.page.clock.run_for(2_500)
    expect(ann.unsent).to_contain_text("The server doesn\u2019t answer")
    wire.toServer = True
    ann.say("next")
    ann.sees("next")
    ann.page.get_by_role("button", name="Send again").click()
    ann.sees("next", "lost")
    expect(ann.unsent).to_have_count(0)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_reload_before_the_answer(
    start: Callable[..., Chat], visit: Visitor, arrives: bool
) -> None:
    """
    What isn't answered outlives a reload, and is said once, whether or not the server
    had it already.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    wire.toServer = arrives
    with Person(chat, "Bea") as bea:
        wire.toPage = False
        ann.say("Once")
        expect(ann.unsent).to_have_count(1)
        if arrives:
            bea.waitFor("Once")
        wire.toServer = wire.toPage = True
        ann.page.reload()
        ann.arrive()
        ann.sees("Once")
        expect(ann.unsent).to_have_count(0)
        assert bea.past() == ["Once"]


def test_what_nobody_knows(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    The answer is lost, and so is the server's memory: the visitor decides whether it is
    said again.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    with Person(chat, "Bea") as bea:
        wire.toPage = False
        ann.say("Perhaps")
        bea.waitFor("Perhaps")
        chat.kill()
    chat.start()
    wire.close()
    ann.arrive()
    status = ann.unsent.locator(".status")
    expect(status).to_have_text("It isn\u2019t known whether others got this.")
    ann.say("Later")
    ann.sees("Later")
    ann.unsent.get_by_role("button", name="Send again").click()
    ann.sees("Later", "Perhaps")
    expect(ann.unsent).to_have_count(0)


def test_too_fast(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    What is over the rate waits as long as the server says, and goes out in order.
    """
    chat = start("--app=chat:rate=2:burst=2")
    ann = meet(visit, chat, "Ann")
    texts = [f"message {number}" for number in range(5)]
    ann.say(*texts)
    status = ann.unsent.first.locator(".status")
    expect(status).to_contain_text("You are sending too fast. This will be sent in")
    ann.sees(*texts)
    expect(ann.unsent).to_have_count(0)


def test_a_server_that_wants_no_more(
    start: Callable[..., Chat], visit: Visitor
) -> None:
    """
    Where the server ends it for good, the page says why, and tries again only when it
    is told to.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    wire.close(1008, "enough of you")
    expect(ann.page.locator("#lost")).to_contain_text("Disconnected: enough of you")
    expect(ann.page.locator("#state")).to_have_attribute("data-state", "closed")
    assert len(wire.routes) == 1
    ann.page.get_by_role("button", name="Connect again").click()
    ann.arrive()
    ann.say("Sorry")
    ann.sees("Sorry")


def test_what_the_page_does_not_understand(
    start: Callable[..., Chat], visit: Visitor
) -> None:
    """
    What is no JSON, of no known type, for no room or of the wrong kind changes nothing.
    """
    chat = start()
    ann, wire = wired(visit, chat)
    for message in (
        "{",
        "[]",
        "null",
        '"text"',
        {},
        {"type": "unheard of"},
        {"type": "unheard of", "room": "lobby"},
        {"type": "usermsg", "room": "nowhere", "message": "lost"},
        {"type": "joined", "request": 10**6},
    ):
        wire.send(message)
    ann.say("Well?")
    ann.sees("Well?")


OUTBOX = """
(keys) => {
  const items = keys.map((key) => ({ ref: `of ${key}`, key, text: `to ${key}` }));
  sessionStorage.setItem("wsplug.chat:/:outbox", JSON.stringify(items));
}
"""
"""
Stores that something waits for each of some conversations.
"""

KEPT = "JSON.parse(sessionStorage.getItem('wsplug.chat:/:outbox')).length"


def test_a_room_that_is_no_more(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    What was written for a room that can't be entered any more stays in sight, after a
    reload too; it can be tried again, edited and sent elsewhere, or discarded. The
    room isn't asked for again by itself, and goes with the last message.
    """
    chat = start()
    ann = meet(visit, chat, "Ann", "/garden")
    chat.kill()
    expect(ann.page.locator("#lost")).to_be_visible()
    ann.say("written while away", "more", "even more")
    chat.start("--app=chat:other-rooms=no")
    title, trouble = (ann.page.locator(each) for each in ("#title", "#trouble"))
    expect(trouble).to_contain_text("You aren\u2019t in garden")
    for _ in range(2):
        expect(title).to_have_text("garden")
        expect(ann.unsent).to_have_count(3)
        expect(ann.unsent.first).to_contain_text("written while away")
        expect(ann.unsent.first).to_contain_text("Not sent: there is no room 'garden'")
        expect(ann.page.locator("#say")).to_be_disabled()
        expect(ann.page.locator(".entry-link", has_text="garden")).to_contain_text(
            "not sent"
        )
        ann.page.reload()
        expect(ann.page.locator("#state")).to_have_attribute("data-state", "open")
        expect(ann.unsent).to_have_count(3)
        expect(trouble).to_be_hidden()
    ann.unsent.last.get_by_role("button", name="Send again").click()
    expect(trouble).to_contain_text("You aren\u2019t in garden")
    expect(ann.unsent.last).to_contain_text("Not sent")
    ann.unsent.last.get_by_role("button", name="Discard").click()
    expect(ann.unsent).to_have_count(2)
    ann.unsent.first.get_by_role("button", name="Edit").click()
    expect(title).to_have_text("lobby")
    expect(trouble).to_contain_text("this will be sent to lobby")
    expect(ann.page.locator("#say")).to_have_value("written while away")
    ann.page.reload()
    ann.arrive()
    expect(ann.page.locator("#say")).to_have_value("written while away")
    ann.page.locator("#say").press("Enter")
    ann.sees("written while away")
    ann.open("garden")
    expect(ann.unsent).to_have_count(1)
    ann.unsent.get_by_role("button", name="Discard").click()
    expect(title).to_have_text("lobby")
    expect(ann.page.locator(".entry-link", has_text="garden")).to_have_count(0)
    assert ann.page.evaluate(KEPT) == 0


def test_what_is_being_written_for_a_room_that_is_no_more(
    start: Callable[..., Chat], visit: Visitor
) -> None:
    """
    What somebody was writing for a room that can't be entered any more stays in sight
    as well, to be sent elsewhere or discarded, after a reload too.
    """
    chat = start()
    ann = meet(visit, chat, "Ann", "/garden")
    ann.page.locator("#say").fill("half a sentence")
    chat.kill()
    expect(ann.page.locator("#lost")).to_be_visible()
    chat.start("--app=chat:other-rooms=no")
    for _ in range(2):
        expect(ann.page.locator("#title")).to_have_text("garden")
        expect(ann.unsent).to_have_count(1)
        expect(ann.unsent).to_contain_text("half a sentence")
        expect(ann.unsent).to_contain_text("Not sent: there is no room 'garden'")
        expect(ann.page.locator("#say")).to_have_value("")
        ann.page.reload()
        expect(ann.page.locator("#state")).to_have_attribute("data-state", "open")
    ann.unsent.get_by_role("button", name="Edit").click()
    expect(ann.page.locator("#title")).to_have_text("lobby")
    expect(ann.page.locator("#say")).to_have_value("half a sentence")


def test_a_room_that_is_typed_without_a_connection(
    start: Callable[..., Chat], visit: Visitor
) -> None:
    """
    A room that is typed with a slash, or as what leads out of the chat, has an address
    within the chat, though the server can't say yet what it is called.
    """
    chat = start()
    visited = visit(chat.url())
    ann = Guest(visited).enter("Ann")
    chat.kill()
    expect(ann.page.locator("#lost")).to_be_visible()
    for typed, path in (("..", "/"), ("//a/./b", "/a/b"), ("/kitchen", "/kitchen")):
        ann.page.get_by_label("Name of another room").fill(typed)
        ann.page.keyboard.press("Enter")
        expect(ann.page.locator("#title")).to_have_text(typed)
        assert ann.page.url == chat.url(path)
    chat.start()
    expect(ann.page.locator("#title")).to_have_text("kitchen")
    assert ann.page.url == chat.url("/kitchen")
    # At each new address, the browser asks for the page's icon.
    visited.errors[:] = [each for each in visited.errors if "favicon" not in each]


REFUSAL = {
    "type": "error",
    "code": "rate-limited",
    "message": "slowly",
    "retry_after": 0.1,
}


def test_direct_messages_that_are_asked_for_too_fast(
    start: Callable[..., Chat], visit: Visitor
) -> None:
    """
    Where the server wants to be asked later for what is said to the visitor alone, it
    is; nobody has to know.
    """
    chat = start()
    ann = Guest(visit(chat.url()))
    refused: list[str] = []

    def connect(route: Any) -> None:
        server = route.connect_to_server()

        def pass_on(message: str) -> None:
            asked = json.loads(message)
            if (
                asked.get("type") == "join"
                and asked.get("room") == "@"
                and len(refused) < 2
            ):
                refused.append(message)
                route.send(json.dumps({**REFUSAL, "request": asked["request"]}))
            else:
                server.send(message)

        route.on_message(pass_on)

    ann.page.route_web_socket(re.compile("^ws:"), connect)
    ann.page.reload()
    ann.enter("Ann")
    bea = meet(visit, chat, "Bea")
    bea.page.get_by_role("button", name="Ann: send a direct message").click()
    bea.say("Psst")
    expect(ann.unread("Bea")).to_have_text("1 unread")
    assert len(refused) == 2
    expect(ann.page.locator("#trouble")).to_be_hidden()


def test_more_rooms_than_may_be(start: Callable[..., Chat], visit: Visitor) -> None:
    """
    What waits for a room that there is no place for goes out once there is one; what
    waits for one that can't be called so stays; and what waits for somebody who isn't
    there is in sight, too.
    """
    chat = start("--app=chat:rooms=lobby,kitchen:max-rooms=2")
    ann = meet(visit, chat, "Ann")
    ann.open("kitchen")
    ann.page.evaluate(OUTBOX, ["garden", "x/-/y", "@p-0123456789abcdef"])
    ann.page.reload()
    ann.arrive()
    title = ann.page.locator("#title")
    for room, problem in (
        ("garden", "Not sent: a connection can be in at most 2 rooms."),
        ("x/-/y", "Not sent: there is no room 'x/-/y'."),
        ("somebody", "Not sent: "),
    ):
        ann.open(room)
        expect(ann.unsent).to_contain_text(problem)
    ann.open("lobby")
    ann.page.get_by_role("button", name="Leave lobby").click()
    ann.open("garden")
    expect(ann.page.locator("#count")).to_have_text("1 here")
    ann.unsent.get_by_role("button", name="Send again").click()
    ann.sees("to garden")
    expect(ann.unsent).to_have_count(0)
    ann.page.reload()
    ann.arrive()
    expect(title).to_have_text("garden")
    ann.sees("to garden")
    ann.open("x/-/y")
    expect(ann.unsent).to_have_text(re.compile("to x/-/y"))


def test_lost_while_the_name_is_asked(
    visit: Visitor, start: Callable[..., Chat]
) -> None:
    """
    Who has not said who they are when the server ends is asked once all the same, and
    is one person afterwards.
    """
    chat = start("--app=chat")
    ann = Guest(visit(chat.url()))
    expect(ann.page.locator("#who")).to_be_visible()
    for _ in range(2):
        chat.kill()
        expect(ann.page.locator("#state")).to_have_attribute("data-state", "waiting")
        chat.start()
        expect(ann.page.locator("#state")).to_have_attribute("data-state", "connecting")
    ann.enter("Ann")
    expect(ann.page.locator("#who")).not_to_be_visible()
    expect(ann.people).to_have_text(["Ann"])
    ann.say("Here")
    ann.sees("Here")
