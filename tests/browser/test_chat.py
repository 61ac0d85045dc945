"""
The chat's page, in a browser, with a server that is a process: what people do there
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.browser.chatting import Chat, Guest, Person, expect, meet, opened
from tests.browser.conftest import PHONE, Visitor
from tests.processes import HOST

PAGES = Path(__file__).with_name("pages")

DESK_WIDTHS = [{"width": 1280, "height": 800}, {"width": 900, "height": 700}]


NOTIFICATIONS = """
window.told = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (this.permission = "granted"); }
  constructor(title, { body }) { super(); window.told.push([title, body]); }
};
"""
"""
Notifications as a browser has them, where somebody is.
"""


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    """
    A chat with two rooms that are offered.
    """
    with opened(tmp_path, "--app=chat:rooms=lobby,kitchen") as chat:
        yield chat


@pytest.mark.everyday
def test_two_people_chat(chat: Chat, visit: Visitor) -> None:
    """
    Each sees what both say, in the same order, and one's own on the other side; those
    who come later are shown what was said.
    """
    ann = meet(visit, chat, "Ann")
    bea = meet(visit, chat, "Bea")
    ann.say("Hello Bea")
    bea.sees("Hello Bea")
    bea.say("Hello Ann", "two\nlines")
    ann.sees("Hello Bea", "Hello Ann", "two\nlines")
    bea.sees("Hello Bea", "Hello Ann", "two\nlines")
    expect(ann.page.locator(".mine .lines .text, .lines .mine .text")).to_have_text(
        ["Hello Bea"]
    )
    expect(ann.page.locator(".group .by .name")).to_have_text(["Bea"])
    expect(ann.unsent).to_have_count(0)
    late = meet(visit, chat, "Chloé")
    late.sees("Hello Bea", "Hello Ann", "two\nlines")
    expect(late.page.locator(".divider")).to_have_text(["Today"])


def test_messages_of_one_sender_go_together(chat: Chat, visit: Visitor) -> None:
    """
    A name is shown once for what somebody says without a break, and anew when somebody
    else has spoken.
    """
    ann = meet(visit, chat, "Ann")
    with Person(chat, "Bea") as bea, Person(chat, "Cid") as cid:
        bea.say("one")
        bea.say("two")
        cid.say("three")
        bea.say("four")
        ann.sees("one", "two", "three", "four")
    expect(ann.page.locator(".by .name")).to_have_text(["Bea", "Cid", "Bea"])


def test_days_and_times(chat: Chat, visit: Visitor) -> None:
    """
    A line parts the days, and each message has its time; what is said after a while
    doesn't go together with what was before.
    """
    with Person(chat, "Bea") as bea:
        bea.say("yesterday")
        ann = Guest(visit(chat.url(), locale="en-GB", timezone_id="UTC"))
        now = datetime.now(timezone.utc)
        ann.page.clock.set_fixed_time(now + timedelta(days=1))
        ann.enter("Ann")
        ann.sees("yesterday")
    expect(ann.page.locator(".divider")).to_have_text([f"{now:%A} {now.day} {now:%B}"])
    shown = ann.page.locator(".by time")
    said = datetime.fromisoformat(
        shown.get_attribute("datetime").replace("Z", "+00:00")
    )
    assert timedelta(0) <= said - now + timedelta(minutes=1) < timedelta(minutes=2)
    expect(shown).to_have_text(f"{said:%H:%M}")


def test_a_few_emoji_are_bigger(chat: Chat, visit: Visitor) -> None:
    """
    Emoji alone are shown bigger; with words, or many of them, they aren't, and digits
    are no emoji.
    """
    ann = meet(visit, chat, "Ann")
    with Person(chat, "Bea") as bea:
        for text in (
            "\U0001f44d \u2764\ufe0f",
            "fine \U0001f44d",
            "\U0001f44d" * 30,
            "42",
        ):
            bea.say(text)
    expect(ann.messages).to_have_count(4)
    big = ann.page.locator(".bubble").evaluate_all(
        "(all) => all.map((each) => parseFloat(getComputedStyle(each).fontSize) > 20)"
    )
    assert big == [True, False, False, False]


def test_rooms_and_unread(chat: Chat, visit: Visitor) -> None:
    """
    What is said elsewhere is counted, at the room and in the title, and marked where it
    begins when the room is opened. The address goes along, and back.
    """
    ann = meet(visit, chat, "Ann")
    ann.say("before")
    ann.sees("before")
    ann.open("kitchen")
    assert ann.page.url == chat.url("/kitchen")
    expect(ann.page).to_have_title("kitchen · wsplug chat")
    with Person(chat, "Bea") as bea:
        bea.say("one")
        bea.say("two")
    expect(ann.unread("lobby")).to_have_text("2 unread")
    expect(ann.page).to_have_title("(2) kitchen · wsplug chat")
    ann.page.go_back()
    expect(ann.page.locator("#title")).to_have_text("lobby")
    ann.sees("before", "one", "two")
    expect(ann.unread("lobby")).to_have_count(0)
    expect(ann.page).to_have_title("lobby · wsplug chat")
    before = ann.page.locator(".divider.new ~ .group").first
    expect(before.locator(".text").first).to_have_text("one")


def test_unread_is_known_after_a_reload(chat: Chat, visit: Visitor) -> None:
    """
    What was said while the page was away is new, what was read is not; rooms are
    joined again, and two tabs agree on what was read.
    """
    ann = meet(visit, chat, "Ann", "/kitchen")
    ann.open("lobby")
    ann.page.goto("about:blank")
    with Person(chat, "Bea", "kitchen") as bea:
        bea.say("missed you")
    ann.page.goto(chat.url())
    ann.arrive()
    expect(ann.unread("kitchen")).to_have_text("1 unread")
    tab = Guest(visit(chat.url(), beside=ann.visit)).arrive()
    expect(tab.unread("kitchen")).to_have_text("1 unread")
    ann.open("kitchen")
    expect(ann.page.locator(".divider.new")).to_be_visible()
    expect(tab.unread("kitchen")).to_have_count(0)
    ann.page.reload()
    ann.arrive()
    ann.sees("missed you")
    expect(ann.page.locator(".divider.new")).to_have_count(0)


def test_join_and_leave_a_room_by_name(chat: Chat, visit: Visitor) -> None:
    """
    Any other room can be joined by its name, in whatever form it is typed, even if only
    the server knows better, and left; at the end there is none, and that is said.
    """
    ann = meet(visit, chat, "Ann")
    ann.page.get_by_label("Name of another room").fill("  /the\u200b  shed/ ")
    ann.page.keyboard.press("Enter")
    expect(ann.page.locator("#title")).to_have_text("the shed")
    assert ann.page.url == chat.url("/the%20shed")
    ann.say("Anybody?")
    ann.sees("Anybody?")
    ann.page.get_by_label("Name of another room").fill("a\u2800b")
    ann.page.keyboard.press("Enter")
    expect(ann.page.locator("#title")).to_have_text("ab")
    ann.say("The server calls it so")
    ann.sees("The server calls it so")
    ann.page.get_by_role("button", name="Leave ab").click()
    ann.open("the shed")
    ann.page.get_by_role("button", name="Leave the shed").click()
    expect(ann.page.locator("#title")).to_have_text("lobby")
    expect(ann.page.locator("#rooms .entry-link")).to_have_count(2)
    ann.page.get_by_role("button", name="Leave lobby").click()
    expect(ann.page.locator("#nowhere")).to_be_visible()
    expect(ann.page.locator("#say")).to_be_disabled()
    ann.open("kitchen")
    ann.say("Here I am")
    ann.sees("Here I am")


def test_the_address_is_a_room(tmp_path: Path, visit: Visitor) -> None:
    """
    The page opens the room of its path, however deep, below the chat's own path, where
    its files are found too; the link of another room leads there in a new visit.
    """
    with opened(tmp_path, "--app=chat:path=/team", "--app=echo") as chat:
        ann = meet(visit, chat, "Ann", "/team/kitchen/by%20the%20window")
        expect(ann.page.locator("#title")).to_have_text("kitchen/by the window")
        link = ann.page.locator(".entry-link", has_text="lobby")
        assert link.get_attribute("href") == "/team/"
        ann.open("lobby")
        assert ann.page.url == chat.url("/team/")
        bea = meet(visit, chat, "Bea", "/team")
        expect(bea.people).to_have_text(["Bea", "Ann"])


def test_direct_messages(chat: Chat, visit: Visitor) -> None:
    """
    A click on somebody opens a conversation with them alone; nobody else gets it. It
    is a place of its own, with a count, an address and a past.
    """
    ann = meet(visit, chat, "Ann")
    bea = meet(visit, chat, "Bea")
    cid = meet(visit, chat, "Cid")
    ann.page.get_by_role("button", name="Bea: send a direct message").click()
    expect(ann.page.locator("#title")).to_have_text("Bea")
    ann.say("Psst")
    ann.sees("Psst")
    expect(bea.unread("Ann")).to_have_text("1 unread")
    bea.open("Ann")
    bea.sees("Psst")
    bea.say("Yes?")
    ann.sees("Psst", "Yes?")
    cid.say("All can read this")
    bea.open("lobby")
    bea.sees("All can read this")
    cid.sees("All can read this")
    expect(cid.page.locator("#directs .entry-link")).to_have_count(0)
    ann.page.reload()
    ann.arrive()
    expect(ann.page.locator("#title")).to_have_text("Bea")
    ann.sees("Psst", "Yes?")


def test_a_direct_message_that_nobody_gets(chat: Chat, visit: Visitor) -> None:
    """
    Where the other one has gone, the message says so, and can be taken back.
    """
    ann = meet(visit, chat, "Ann")
    with Person(chat, "Bea") as bea:
        ann.page.get_by_role("button", name="Bea: send a direct message").click()
        bea.ask(type="leave", room="lobby")
    expect(ann.page.locator("#title")).to_have_text("Bea")
    ann.open("lobby")
    expect(ann.people).to_have_text(["Ann"])
    ann.open("Bea")
    ann.say("Are you there?")
    expect(ann.unsent.locator(".status")).to_contain_text("Not sent: nobody here has")
    ann.unsent.get_by_role("button", name="Send again").click()
    expect(ann.unsent.locator(".status")).to_contain_text("Not sent: nobody here has")
    ann.unsent.get_by_role("button", name="Edit").click()
    expect(ann.page.locator("#say")).to_have_value("Are you there?")
    expect(ann.unsent).to_have_count(0)
    ann.page.keyboard.press("Enter")
    ann.unsent.get_by_role("button", name="Discard").click()
    expect(ann.unsent).to_have_count(0)


def test_typing(chat: Chat, visit: Visitor) -> None:
    """
    The others see who is typing, until it is said; where they are many, it names none.
    """
    ann = meet(visit, chat, "Ann")
    bea = meet(visit, chat, "Bea")
    shown = ann.page.locator("#typing")
    bea.page.locator("#say").press_sequentially("Hi")
    expect(shown).to_have_text("Bea is typing …")
    expect(bea.page.locator("#typing")).to_be_empty()
    with Person(chat, "Cid") as cid, Person(chat, "Dan") as dan:
        cid.type()
        expect(shown).to_have_text("Bea and Cid are typing …")
        dan.type()
        expect(shown).to_have_text("Several people are typing …")
        dan.say("done")
        cid.say("done")
        expect(shown).to_have_text("Bea is typing …")
    bea.page.keyboard.press("Enter")
    ann.sees("done", "done", "Hi")
    expect(shown).to_be_empty()


def test_typing_ends_by_itself(chat: Chat, visit: Visitor) -> None:
    """
    Who writes on and says nothing isn't typing for ever.
    """
    ann = Guest(visit(chat.url()))
    ann.page.clock.install()
    ann.enter("Ann")
    with Person(chat, "Bea") as bea:
        bea.type()
        expect(ann.page.locator("#typing")).to_have_text("Bea is typing …")
        ann.page.clock.fast_forward(6500)
        expect(ann.page.locator("#typing")).to_be_empty()


def test_one_entry_for_each_person(chat: Chat, visit: Visitor) -> None:
    """
    Two tabs are one person, in both of which all is to be seen; a reload and the end of
    one of them are no news.
    """
    bea = meet(visit, chat, "Bea")
    ann = meet(visit, chat, "Ann")
    tab = Guest(visit(chat.url(), beside=ann.visit)).arrive()
    expect(bea.people).to_have_text(["Bea", "Ann"])
    expect(tab.people).to_have_text(["Ann", "Bea"])
    tab.say("from one tab")
    ann.sees("from one tab")
    expect(ann.page.locator(".mine")).to_have_count(1)
    tab.page.close()
    ann.page.reload()
    ann.arrive()
    with Person(chat, "Cid"):
        expect(bea.people).to_have_count(3)
    expect(bea.people).to_have_text(["Bea", "Ann"])
    expect(bea.notices).to_have_text(["Ann joined", "Cid joined", "Cid left"])
    expect(bea.page.locator("#count")).to_have_text("2 here")


def test_another_name(chat: Chat, visit: Visitor) -> None:
    """
    Name and colour can be changed; the others are told, and the browser keeps it. A
    name that somebody has gets a number, and who gets it is told.
    """
    ann = meet(visit, chat, "Ann")
    bea = meet(visit, chat, "Bea")
    me = ann.page.get_by_role("button", name="Change name or colour").first
    me.click()
    expect(ann.page.locator("#who-name")).to_have_value("Ann")
    ann.page.get_by_label("Violet").check()
    ann.page.locator("#who-name").fill("Anna")
    ann.page.keyboard.press("Enter")
    expect(bea.notices).to_have_text(["Ann is now called Anna"])
    expect(bea.people).to_have_text(["Bea", "Anna"])
    expect(ann.page.locator("#who")).to_be_hidden()
    expect(ann.page.locator("#say")).to_be_focused()
    ann.page.reload()
    ann.arrive()
    expect(ann.page.locator("#me-name")).to_have_text("Anna")
    me.click()
    expect(ann.page.get_by_label("Violet")).to_be_checked()
    ann.page.locator("#who-name").fill("Bea")
    ann.page.keyboard.press("Enter")
    expect(ann.notices.last).to_contain_text("You are called Bea 2 here")
    expect(bea.people).to_have_text(["Bea", "Bea 2"])


def test_names_that_are_refused(tmp_path: Path, visit: Visitor) -> None:
    """
    Where each name is there once, who comes second is asked for another one, and is in
    as soon as they have it.
    """
    with opened(tmp_path, "--app=chat:names=refuse") as chat:
        meet(visit, chat, "Ann")
        late = Guest(visit(chat.url()))
        late.page.locator("#who-name").fill("Ann")
        late.page.keyboard.press("Enter")
        expect(late.page.locator("#who-error")).to_contain_text("Ann")
        late.page.locator("#who-name").fill("Ann of Cleves")
        late.page.keyboard.press("Enter")
        expect(late.people).to_have_text(["Ann of Cleves", "Ann"])
        late.say("Hello")
        late.sees("Hello")


def test_many_come_and_go(chat: Chat, visit: Visitor) -> None:
    """
    Where many come and go at a time, some are named, and the list has all who are here.
    """
    ann = meet(visit, chat, "Ann")
    with ExitStack() as stack:
        names = [f"Guest {number}" for number in range(40)]
        people = [stack.enter_context(Person(chat, name)) for name in names]
        expect(ann.page.locator("#count")).to_have_text("41 here")
        expect(ann.people).to_have_count(41)
        many = ann.notices.filter(has_text=re.compile("(more|people) joined"))
        expect(many).not_to_have_count(0)
        for each in people[1:]:
            each.ask(type="leave", room="lobby")
        expect(ann.people).to_have_text(["Ann", "Guest 0"])
        expect(ann.page.locator("#count")).to_have_text("2 here")


def test_rooms_that_are_refused(tmp_path: Path, visit: Visitor) -> None:
    """
    A room that isn't there is named, and the page is in another one; with
    other-rooms=no none can be typed.
    """
    with opened(
        tmp_path, "--app=chat:rooms=lobby,kitchen:other-rooms=no:max-rooms=1"
    ) as chat:
        ann = Guest(visit(chat.url("/shed")))
        ann.page.locator("#who-name").fill("Ann")
        ann.page.keyboard.press("Enter")
        trouble = ann.page.locator("#trouble")
        expect(trouble).to_contain_text("there is no room 'shed'")
        expect(ann.page.locator("#join")).to_be_hidden()
        ann.page.get_by_role("button", name="OK").click()
        expect(trouble).to_be_hidden()
        ann.open("lobby")
        ann.page.locator(".entry-link", has_text="kitchen").click()
        expect(trouble).to_contain_text("You aren\u2019t in kitchen")
        expect(ann.page.locator("#title")).to_have_text("lobby")
        ann.say("Still here")
        ann.sees("Still here")


@pytest.fixture
def site() -> Iterator[str]:
    """
    The address of another web server, with the tests' pages.
    """

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    serve = partial(Quiet, directory=str(PAGES))
    with ThreadingHTTPServer((HOST, 0), serve) as server:
        thread = Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.everyday
def test_a_classic_client(tmp_path: Path, visit: Visitor, site: str) -> None:
    """
    A page of the old tutorials' kind, on a web server of its own, talks with this one;
    it can be told something alone, once it has a name.
    """
    with opened(tmp_path, "--app=chat", "--origin=*") as chat:
        ann = meet(visit, chat, "Ann", "/demo/server.php")
        old = visit(f"{site}/classic.html?{chat.port}").page
        lines = old.locator("#messages div")
        expect(lines).to_have_text(["system : 127.0.0.1 connected"])
        expect(ann.notices).to_have_text(["127.0.0.1 connected"])
        ann.say("Hello <b>old</b> friend")
        expect(lines.nth(1)).to_have_text("Ann : Hello <b>old</b> friend")
        old.fill("#name", "Gran")
        old.fill("#message", "Hello young one")
        old.click("#send")
        ann.sees("Hello <b>old</b> friend", "Hello young one")
        expect(ann.people).to_have_text(["Ann", "Gran"])
        ann.page.get_by_role("button", name="Gran: send a direct message").click()
        ann.say("Only for you")
        expect(lines.last).to_have_text("Ann : Only for you")
        old.close()
        ann.open("demo/server.php")
        expect(ann.notices.last).to_have_text("127.0.0.1 disconnected")
        expect(ann.people).to_have_text(["Ann"])


def test_markdown_and_mentions(chat: Chat, visit: Visitor) -> None:
    """
    Code, emphasis and quotes are shown as such, what isn't meant so stays as it is; a
    mention is marked, notified once it is asked for, and completed as it is written;
    what is loaded can be searched; and a link to an image is no image.
    """
    visited = visit("about:blank")
    page = visited.page
    page.add_init_script(NOTIFICATIONS)
    page.goto(chat.url())
    ann = Guest(visited).enter("Ann Lee")
    with Person(chat, "Bea") as bea:
        ann.say("Hello")
        bea.say("**bold** and *slanted* and `a*b*` and ~~gone~~, not 2*3*4 or a_b_c")
        bea.say("> quoted\nSee:\n```py\nif x < 1:\n  *y*\n```\nthe end")
        bea.say("A picture: https://example.org/a.png?x=1")
        bea.say("```\nnever closed **b")
        text = ann.messages
        expect(text).to_have_count(5)
        expect(text.locator("strong")).to_have_text("bold")
        expect(text.locator("em")).to_have_text("slanted")
        expect(text.locator("s")).to_have_text("gone")
        expect(text.locator("blockquote")).to_have_text("quoted")
        expect(text.locator("pre")).to_have_text("if x < 1:\n  *y*")
        expect(text.nth(1)).to_contain_text("a*b* and gone, not 2*3*4 or a_b_c")
        expect(text.nth(4)).to_have_text("```\nnever closed **b")
        expect(text.nth(3)).to_have_text(
            "A picture: https://example.org/a.png?x=1image"
        )
        assert page.locator("#logs img").count() == 0
        # A mention where nobody looks, first without a notification.
        ann.open("kitchen")
        bea.say("@ann lee: are you there?")
        page.get_by_role("button", name="Notify me", exact=True).click()
        expect(page.locator("#notify")).to_have_attribute("aria-pressed", "true")
        bea.say("@Ann Leeds isn't you, x@Ann Lee neither")
        bea.say("@Ann Lee!")
        expect(ann.unread("lobby")).to_have_text("3 unread")
        assert ann.visit.run("told") == [["Bea in lobby", "@Ann Lee!"]]
        ann.open("lobby")
        expect(text.locator(".mention.me")).to_have_text(["@ann lee", "@Ann Lee"])
        page.keyboard.type("Dear @b")
        page.get_by_role("option", name="Bea").wait_for()
        page.keyboard.press("Enter")
        expect(page.locator("#say")).to_have_value("Dear @Bea ")
        page.keyboard.press("Enter")
        expect(text.last).to_have_text("Dear @Bea ")
        page.get_by_role("button", name="Search").click()
        page.keyboard.type("ann lee")
        expect(page.locator("#search-count")).to_have_text("3 of 3")
        page.keyboard.press("Enter")
        expect(page.locator("#search-count")).to_have_text("2 of 3")
        expect(page.locator(".bubble.current")).to_contain_text("neither")
        assert ann.visit.run("document.body.scrollTop") == 0
        ann.visit.show("chat-search")
        page.keyboard.press("Escape")
        expect(page.locator(".bubble.found")).to_have_count(0)
        expect(page.locator("#say")).to_be_focused()


def test_changes_and_older_messages(tmp_path: Path, visit: Visitor) -> None:
    """
    Older messages come on scrolling up, without moving what is in sight; one replies to
    a message, edits and deletes one's own, and others see it, at once and later.
    """
    with ExitStack() as stack:
        chat = stack.enter_context(opened(tmp_path, "--app=chat:history=30:burst=1000"))
        bea = stack.enter_context(Person(chat, "Bea"))
        for number in range(70):
            bea.say(f"message {number}")
        ann = meet(visit, chat, "Ann")
        page = ann.page
        expect(ann.messages).to_have_count(30)
        page.locator(".talk:visible").evaluate("(talk) => (talk.scrollTop = 0)")
        expect(ann.messages).to_have_count(70)
        expect(ann.messages.first).to_have_text("message 0")
        expect(page.locator(".divider")).to_have_text(["Today"])
        expect(page.locator(".older:visible")).to_have_count(0)
        assert page.locator(".talk:visible").evaluate("(talk) => talk.scrollTop") > 500
        page.keyboard.press("Escape")  # to the end
        # A reply, by the keyboard alone.
        page.locator(".more[tabindex='0']").focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Reply", exact=True)).to_be_focused()
        assert page.get_by_role("button", name="Edit").count() == 0
        page.keyboard.press("Enter")
        expect(page.locator("#context")).to_contain_text("Reply to Bea")
        ann.say("I answer")
        last = page.locator(".lines .bubble").last
        expect(last.locator(".quote")).to_have_text("Bea message 68")
        other = meet(visit, chat, "Cid")
        # Edited, by the keyboard, and deleted.
        page.keyboard.press("ArrowUp")
        expect(page.locator("#say")).to_have_value("I answer")
        page.locator("#say").fill("I **answer**")
        page.keyboard.press("Enter")
        expect(other.messages.last).to_have_text("I answer")
        expect(other.messages.last.locator("strong")).to_have_text("answer")
        expect(last.locator(".edited")).to_be_visible()
        ann.visit.show("chat-changed")
        last.hover()
        last.locator(".more").click()
        page.get_by_role("button", name="Delete").click()
        for each in (ann, other, meet(visit, chat, "Dan")):
            expect(each.messages.last).to_have_text("This message was deleted.")
        ann.visit.show("chat-deleted")


def test_older_direct_messages(tmp_path: Path, visit: Visitor) -> None:
    """
    Older direct messages go to the conversations that they are of, and changes reach
    those, too.
    """
    with ExitStack() as stack:
        chat = stack.enter_context(opened(tmp_path, "--app=chat:history=20:burst=1000"))
        ann = meet(visit, chat, "Ann")
        bea, cid = (stack.enter_context(Person(chat, name)) for name in ("Bea", "Cid"))
        to = bea.idOf("Ann")
        for number in range(30):
            bea.say(f"b{number}", to_id=to)
        for number in range(60):
            cid.say(f"c{number}", to_id=to)
        ann.page.reload()
        ann.arrive()
        ann.open("Cid")
        # The last twenty leave room, so that more come by themselves, ten of Bea's too.
        expect(ann.messages).to_have_text([f"c{number}" for number in range(60)])
        ann.open("Bea")
        expect(ann.messages).to_have_text([f"b{number}" for number in range(30)])
        expect(ann.page.locator(".older:visible")).to_have_count(0)
        id = bea.say("oops", to_id=to)["id"]
        bea.ask(type="join", room="@")
        bea.ask(type="edit", room="@", id=id, message="fine")
        expect(ann.messages.last).to_have_text("fine")
        bea.ask(type="delete", room="@", id=id)
        expect(ann.messages.last).to_have_text("This message was deleted.")


@pytest.mark.parametrize("dark", [False, True])
def test_phone(chat: Chat, visit: Visitor, dark: bool) -> None:
    """
    On a phone there is one pane at a time: rooms and people are drawers, which close
    when something is chosen, by Escape, or by a tap beside them. Nothing is wider than
    the screen.
    """
    ann = meet(visit, chat, "Ann", size=PHONE, dark=dark, has_touch=True)
    page = ann.page
    rooms, people = page.locator("#rooms-pane"), page.locator("#people-pane")
    expect(rooms).to_be_hidden()
    expect(people).to_be_hidden()
    opener = page.get_by_role("button", name="Rooms and direct messages")
    opener.tap()
    expect(rooms).to_be_visible()
    expect(page.locator("#rooms [aria-current]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(rooms).to_be_hidden()
    expect(opener).to_be_focused()
    opener.tap()
    rooms.locator(".entry-link", has_text="kitchen").tap()
    expect(rooms).to_be_hidden()
    expect(page.locator("#title")).to_have_text("kitchen")
    with Person(chat, "Bea") as bea:
        bea.say("x" * 300)
        expect(page.locator("#elsewhere")).to_have_text("1")
        page.get_by_role("button", name="Who is here").tap()
        expect(people).to_be_visible()
        page.touchscreen.tap(20, 400)
        expect(people).to_be_hidden()
        opener.tap()
        ann.open("lobby")
        ann.sees("x" * 300)
    widths = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    overflow = page.evaluate(
        "[...document.querySelectorAll('.talk, .bubble')]"
        ".filter((each) => each.scrollWidth > each.clientWidth + 1).length"
    )
    assert overflow == 0


@pytest.mark.parametrize("size", DESK_WIDTHS)
def test_desk(chat: Chat, visit: Visitor, size: dict[str, int]) -> None:
    """
    Where there is room, the rooms are beside the messages, and, where there is more,
    those who are here.
    """
    ann = meet(visit, chat, "Ann", size=size)
    expect(ann.page.locator("#rooms-pane")).to_be_visible()
    isWide = size["width"] > 1088
    expect(ann.page.locator("#people-pane")).to_be_visible(visible=isWide)
    opener = ann.page.get_by_role("button", name="Who is here")
    expect(opener).to_be_visible(visible=not isWide)


def test_without_a_mouse(chat: Chat, visit: Visitor) -> None:
    """
    From the first visit to a sent message, another room, and a conversation with
    somebody, by the keyboard alone; Enter is enough to be called something.
    """
    page = visit(chat.url()).page
    expect(page.locator("#who-name")).to_be_focused()
    name = page.locator("#who-name").input_value()
    assert name
    page.keyboard.press("Enter")
    ann = Guest(visit(chat.url())).enter("Ann")
    expect(ann.people).to_have_text(["Ann", name])
    expect(page.locator("#say")).to_be_focused()
    page.keyboard.type("Hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("there")
    page.keyboard.press("Enter")
    ann.sees("Hello\nthere")
    expect(page.locator("#say")).to_be_focused()
    # To the rooms, which come before.
    links = page.locator("#rooms .entry-link")
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
        if links.nth(1).evaluate("(link) => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("kitchen")
    expect(page.locator("#say")).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#title")).to_have_text("lobby")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#title")).to_have_text("kitchen")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#title")).to_have_text("lobby")
    # To the people, who come behind.
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.startsWith('A')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("Ann")
    page.keyboard.type("Psst")
    page.keyboard.press("Enter")
    expect(ann.unread(name)).to_have_text("1 unread")


def test_the_skip_link(chat: Chat, visit: Visitor) -> None:
    """
    The first thing that the keyboard gets to leads to where one writes, and is seen as
    soon as it has the focus.
    """
    ann = meet(visit, chat, "Ann")
    ann.page.reload()
    ann.arrive()
    ann.page.locator("#say").blur()
    ann.page.evaluate("document.activeElement.blur()")
    skip = ann.page.locator(".skip")
    skip.focus()
    expect(skip).to_be_in_viewport()
    ann.page.keyboard.press("Enter")
    expect(ann.page.locator("#say")).to_be_focused()
    assert ann.page.url == chat.url()


def test_escape_takes_the_suggested_name(chat: Chat, visit: Visitor) -> None:
    """
    Who doesn't want to choose a name at the first visit isn't locked out.
    """
    page = visit(chat.url()).page
    expect(page.locator("#who-name")).not_to_have_value("")
    name = page.locator("#who-name").input_value()
    page.keyboard.press("Escape")
    expect(page.locator("#people .name")).to_have_text([name])


def test_drafts(chat: Chat, visit: Visitor) -> None:
    """
    What is begun in a room stays there, even over a reload.
    """
    ann = meet(visit, chat, "Ann")
    ann.page.locator("#say").fill("unfinished")
    ann.open("kitchen")
    expect(ann.page.locator("#say")).to_have_value("")
    ann.page.locator("#say").fill("something else")
    ann.page.reload()
    ann.arrive()
    expect(ann.page.locator("#say")).to_have_value("something else")
    ann.open("lobby")
    expect(ann.page.locator("#say")).to_have_value("unfinished")


def test_where_the_browser_keeps_nothing(chat: Chat, visit: Visitor) -> None:
    """
    Where storage is blocked, all works, but is forgotten.
    """
    ann = Guest(visit(chat.url()))
    ann.page.add_init_script(
        "for (const area of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, area, "
        "{get() { throw new DOMException('blocked', 'SecurityError'); }});"
    )
    ann.page.reload()
    ann.enter("Ann")
    ann.say("Hello")
    ann.sees("Hello")
    ann.open("kitchen")
    with Person(chat, "Bea") as bea:
        bea.say("Hi")
    expect(ann.unread("lobby")).to_have_text("1 unread")
    ann.open("lobby")
    expect(ann.unread("lobby")).to_have_count(0)


def test_the_end_is_kept_in_sight(chat: Chat, visit: Visitor) -> None:
    """
    What is new is in sight, unless its reader is elsewhere: then a button leads there,
    and it counts as new until it is seen.
    """
    ann = meet(visit, chat, "Ann")
    with Person(chat, "Bea") as bea:
        for number in range(19):
            bea.say(f"{number}\n\n")
        expect(ann.messages.last).to_be_in_viewport()
        ann.page.locator(".talk:visible").evaluate("(log) => { log.scrollTop = 0; }")
        newest = ann.page.get_by_role("button", name="Newest messages")
        expect(newest).to_be_visible()
        bea.say("the last")
    expect(ann.messages).to_have_count(20)
    expect(ann.messages.last).not_to_be_in_viewport()
    expect(ann.page).to_have_title("(1) lobby · wsplug chat")
    newest.click()
    expect(ann.messages.last).to_be_in_viewport()
    expect(newest).to_be_hidden()
    expect(ann.page).to_have_title("lobby · wsplug chat")
