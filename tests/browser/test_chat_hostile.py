"""
The chat's page and people who mean harm, or can't see, or have a thin line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

import wsplug.apps.chat
from tests.browser.chatting import Chat, Guest, Person, expect, meet, opened
from tests.browser.conftest import DESK, PHONE, Visitor

PAGES = Path(wsplug.apps.chat.__file__).with_name("pages")

MARKUP = [
    "<script>window.harmed = true</script>",
    "<img src=x onerror='window.harmed = true'>",
    "<svg onload=alert(1)>&lt;b&gt;",
    "</div><style>*{display:none}</style>",
    "{{7*7}} ${7*7} %s",
]

UNSEEN = [
    "\u202egnp.exe\u202c \u2066isolated",
    "zero\u200bwidth\u200d\ufeff",
    "e" + "\u0301" * 50,
    "\u2028line\u2029s",
    "\U0001f9d1\u200d\U0001f680",
]

ROOMS = [
    ("chat.js", "chat.js"),
    ("index.html", "index.html"),
    ("x/chat.css", "x/chat.css"),
    ("100%", "100%"),
    ("%2e%2e", "%2e%2e"),
    ("a?b#c&d", "a?b#c&d"),
    ("a\\b", "a\\b"),
    ("cafe\u0301", "caf\u00e9"),
    ("a  b//c/", "a b/c"),
    ("...", "..."),
]

CONTRASTS = r"""
() => {
  const rgba = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    const scale = text.startsWith("color(srgb") ? 255 : 1;
    return [...numbers.slice(0, 3).map((value) => value * scale), numbers[3] ?? 1];
  };
  const over = (top, ground) =>
    [0, 1, 2].map((i) => top[i] * top[3] + ground[i] * (1 - top[3])).concat(1);
  const ground = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility({ checkVisibilityCSS: true })) continue;
    if (element.closest(":disabled, .visually-hidden, script, noscript")) continue;
    const back = ground(element);
    const color = over(rgba(getComputedStyle(element).color), back);
    const pair = [color, back].map(luminance);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    found.push([Math.round(ratio * 100) / 100, text]);
  }
  return found;
}
"""
"""
The contrast of each text that is to be seen, as WCAG 2 has it. Controls that can't be
used are exempt there, and here.
"""

NAMELESS = r"""
() => {
  const named = (element) =>
    (element.getAttribute("aria-label") ?? "").trim() ||
    (element.getAttribute("aria-labelledby") ?? "").split(" ")
      .map((id) => document.getElementById(id)?.textContent.trim()).join("") ||
    [...(element.labels ?? [])].map((label) => label.textContent.trim()).join("") ||
    (element.matches("button, a") ? element.textContent.trim() : "");
  const wanted = "button, a[href], input, textarea, select, dialog, nav, aside, "
    + "[role=log], ul";
  return [...document.querySelectorAll(wanted)]
    .filter((element) => !named(element)).map((element) => element.outerHTML);
}
"""
"""
The controls, lists and regions without a name of their own.
"""


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    """
    A chat in which long messages and many of them are allowed.
    """
    with opened(
        tmp_path, "--app=chat:max-length=100000:burst=1000:rooms=lobby,kitchen"
    ) as chat:
        yield chat


def refuseDialogs(guest: Guest) -> None:
    """
    No script that came as text may open one.
    """
    guest.page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))


def checkUnharmed(guest: Guest) -> None:
    """
    Nothing of what came has become anything else than text.
    """
    assert guest.page.evaluate("window.harmed") is None
    strange = guest.page.locator(
        "#chat :is(script, style, iframe, .bubble img, .name *, .label img)"
    )
    assert strange.count() == 0
    assert (
        guest.page.locator(".lines a:not([rel='noopener noreferrer nofollow'])").count()
        == 0
    )


@pytest.mark.everyday
def test_markup_is_text(chat: Chat, visit: Visitor) -> None:
    """
    What looks like HTML is shown as it was written: as a message, a name, a room, a
    draft, alone to somebody, and after a reload.
    """
    ann = meet(visit, chat, "Ann")
    refuseDialogs(ann)
    name = "<img src=x onerror=window.harmed=1>"
    with Person(chat, name, color="red;background:url(x)") as bea:
        for text in MARKUP:
            bea.say(text)
        ann.sees(*MARKUP)
        bea.say("Psst <b>", to_id=bea.idOf("Ann"))
        expect(ann.people).to_have_text(["Ann", name])
        ann.open(name)
        ann.sees("Psst <b>")
        bea.type()
    room = "<img src=x onerror=window.harmed=1>"
    ann.page.get_by_label("Name of another room").fill(room)
    ann.page.keyboard.press("Enter")
    expect(ann.page.locator("#title")).to_have_text(room)
    # Until then, it is the title of what is said with the person of that name.
    expect(ann.page.locator("#count")).to_have_text("1 here")
    ann.say(*MARKUP)
    ann.sees(*MARKUP)
    checkUnharmed(ann)
    ann.page.reload()
    ann.arrive()
    ann.sees(*MARKUP)
    checkUnharmed(ann)


def test_unseen_characters_stay_where_they_are(chat: Chat, visit: Visitor) -> None:
    """
    What can't be seen or turns the direction of writing changes nothing around it: each
    text and name is isolated, and marks don't reach beyond their message.
    """
    ann = meet(visit, chat, "Ann")
    with Person(chat, "\u202eBea\u200b\u2066") as bea:
        for text in UNSEEN:
            bea.say(text)
        expect(ann.messages).to_have_count(len(UNSEEN))
        bea.say("plain")
        expect(ann.people).to_have_text(["Ann", "Bea"])
    isolations = ann.messages.evaluate_all(
        "(all) => all.map((each) => getComputedStyle(each).unicodeBidi)"
    )
    assert set(isolations) <= {"isolate", "plaintext"}
    assert ann.page.locator(".name:not(bdi)").count() == 0
    bubbles = ann.page.locator(".talk:visible .bubble").evaluate_all(
        "(all) => all.map((each) => each.getBoundingClientRect().left)"
    )
    assert len(set(bubbles)) == 1


TYPE = """
([selector, text]) => {
  const field = document.querySelector(selector);
  field.value = JSON.parse(text);
  field.dispatchEvent(new Event("input"));
  field.form.requestSubmit();
}
"""
"""
Types what a test can't send as text: it is given as JSON.
"""


def test_half_of_a_surrogate_pair(chat: Chat, visit: Visitor) -> None:
    """
    What JavaScript has as text and no server takes is replaced: in a name, in messages,
    in what an earlier page has left. What comes after it goes out. A room can't be
    called so.
    """
    ann = Guest(visit(chat.url()))
    expect(ann.page.locator("#who")).to_be_visible()
    ann.page.evaluate(TYPE, ["#who-name", r'"An\ud800n"'])
    ann.arrive()
    expect(ann.people).to_have_text("An\ufffdn")
    ann.page.evaluate(TYPE, ["#say", r'"a\ud800b \ud83e\udde6 \udc00"'])
    ann.say("after it")
    ann.sees("a\ufffdb \U0001f9e6 \ufffd", "after it")
    ann.page.evaluate(TYPE, ["#join-name", r'"x\ud800"'])
    expect(ann.page.locator("#trouble")).to_contain_text("join this room")
    ann.page.evaluate(
        """() => {
          const item = { ref: "0123456789abcdef", key: "lobby", text: "old \\ud800" };
          sessionStorage.setItem("wsplug.chat:/:outbox", JSON.stringify([item]));
          const who = JSON.stringify({ name: "\\udfffAnn", color: "" });
          localStorage.setItem("wsplug.chat::who", who);
        }"""
    )
    ann.page.reload()
    ann.arrive()
    ann.sees("a\ufffdb \U0001f9e6 \ufffd", "after it", "old \ufffd")
    expect(ann.people).to_have_text("\ufffdAnn")
    expect(ann.unsent).to_have_count(0)


def test_too_large_for_the_server(tmp_path: Path, visit: Visitor) -> None:
    """
    A message that the server closes the connection for is the visitor's to discard;
    the page is back at once, sends the others, and doesn't send it again.
    """
    with opened(
        tmp_path, "--app=chat:max-length=100000", "--max-message-size=1000"
    ) as chat:
        ann = meet(visit, chat, "Ann")
        ann.say("x" * 5000, "one")
        expect(ann.unsent.first).to_contain_text("too large for the server")
        ann.sees("one")
        ann.page.reload()
        ann.arrive()
        ann.say("two")
        ann.sees("one", "two")
        expect(ann.unsent).to_have_count(1)
        ann.page.get_by_role("button", name="Edit").click()
        expect(ann.page.locator("#say")).to_have_value("x" * 5000)
        ann.say("x" * 500)
        ann.sees("one", "two", "x" * 500)
        expect(ann.unsent).to_have_count(0)


@pytest.mark.parametrize("mount", ["", "/team"])
def test_every_room_has_an_address(tmp_path: Path, visit: Visitor, mount: str) -> None:
    """
    Whatever a room is called, its address opens it after a reload; what is written
    there is said there; and where no room can be called so, the page says that.
    """
    with opened(tmp_path, f"--app=chat:path={mount or '/'}") as chat:
        ann = meet(visit, chat, "Ann", mount + "/")
        title, trouble = (ann.page.locator(each) for each in ("#title", "#trouble"))
        field = ann.page.get_by_label("Name of another room")
        for name, room in ROOMS:
            field.fill(name)
            ann.page.keyboard.press("Enter")
            expect(title).to_have_text(room)
            ann.page.reload()
            ann.arrive()
            expect(title).to_have_text(room)
            ann.say("Hi")
            ann.sees("Hi")
        for name in ("..", "x/-/y", "-", "@x", "a/.", "\u200b"):
            field.fill(name)
            ann.page.keyboard.press("Enter")
            expect(trouble).to_contain_text("join this room")
            expect(title).to_have_text(ROOMS[-1][1])
            ann.page.locator("#trouble-done").click()
        for path, room in (("a%20%20b//", "a b"), ("x/-/y/", "lobby"), ("@x", "lobby")):
            ann.page.goto(chat.url(f"{mount}/{path}"))
            expect(title).to_have_text(room)


def test_long_things_stay_inside(chat: Chat, visit: Visitor) -> None:
    """
    A word of 100 kB, a name and a room of many letters: nothing is wider than its
    place, and the page goes on working.
    """
    ann = meet(visit, chat, "Ann", size=PHONE)
    with Person(chat, "W" * 40) as bea:
        bea.say("x" * 100_000)
        expect(ann.messages).to_have_text(["x" * 100_000])
        bea.say("W" * 300 + "\n" * 30 + "end")
        expect(ann.messages).to_have_count(2)
    ann.page.evaluate("history.pushState(null, '', '/' + 'W'.repeat(64))")
    ann.page.reload()
    ann.arrive()
    overflow = ann.page.evaluate(
        "[...document.querySelectorAll('body, main, .head, .talk, .bubble, .by')]"
        ".filter((each) => each.scrollWidth > each.clientWidth + 1)"
        ".map((each) => each.className)"
    )
    assert overflow == []
    chat.kill()
    expect(ann.page.locator("#lost")).to_be_visible()
    expect(ann.page.locator("#count")).to_be_hidden()  # there is no room for both
    assert ann.page.evaluate("document.scrollingElement.scrollWidth") == PHONE["width"]


def test_too_much_for_a_message(tmp_path: Path, visit: Visitor) -> None:
    """
    What is too long isn't sent; the field says how much is left, or too many. Nothing
    but space can't be sent either. Characters count as the server counts them.
    """
    with opened(tmp_path, "--app=chat:max-length=300") as chat:
        ann = meet(visit, chat, "Ann")
        field, left = ann.page.locator("#say"), ann.page.locator("#say-left")
        send = ann.page.get_by_role("button", name="Send")
        field.fill("x" * 90)
        expect(left).to_be_empty()
        field.fill("x" * 100)
        expect(left).to_have_text("200 left")
        field.fill("x" * 100_000)
        expect(left).to_have_text("99700 too many")
        expect(send).to_be_disabled()
        ann.page.keyboard.press("Enter")
        expect(field).to_have_value("x" * 100_000)
        field.fill(" \n ")
        expect(send).to_be_disabled()
        field.fill("\U0001f9e6" * 300)
        expect(left).to_have_text("0 left")
        ann.page.keyboard.press("Enter")
        ann.sees("\U0001f9e6" * 300)
        assert ann.page.locator(".talk:visible").evaluate(
            "(log) => log.scrollWidth <= log.clientWidth"
        )


LINKS = [
    ("see http://example.org/a.", ["http://example.org/a"]),
    ("(https://example.org/a_(b))", ["https://example.org/a_(b)"]),
    ("HTTPS://EXAMPLE.ORG/x?a=1&b=2!", ["https://example.org/x?a=1&b=2"]),
    ("javascript:alert(1) data:text/html,x", []),
    ("https://bank.example@evil.example/", []),
    ("https://example.org/\u202egnp.exe", ["https://example.org/"]),
    ("http:// https://[ http://%", []),
    ('https://example.org/"onclick=alert(1)', ["https://example.org/"]),
]


def test_links(chat: Chat, visit: Visitor) -> None:
    """
    Addresses of the web are links that tell nothing to where they lead; none leads
    elsewhere than it seems to, and nothing else is a link.
    """
    ann = meet(visit, chat, "Ann")
    refuseDialogs(ann)
    with Person(chat, "Bea") as bea:
        for text, _ in LINKS:
            bea.say(text)
    ann.sees(*[text for text, _ in LINKS])
    found = ann.messages.evaluate_all(
        "(all) => all.map((each) => [...each.querySelectorAll('a')].map((a) => a.href))"
    )
    assert found == [links for _, links in LINKS]
    checkUnharmed(ann)


def test_where_links_lead(chat: Chat, visit: Visitor) -> None:
    """
    A link whose host isn't what it seems to be says which one it is.
    """
    ann = meet(visit, chat, "Ann")
    with Person(chat, "Bea") as bea:
        for text in ("https://\u0430pple.com/", "http://0x7f.1/x", "http://a:80/"):
            bea.say(text)
    ann.sees(
        "https://\u0430pple.com/ (xn--pple-43d.com)",
        "http://0x7f.1/x (127.0.0.1)",
        "http://a:80/",
    )


def test_what_is_stored_may_be_anything(chat: Chat, visit: Visitor) -> None:
    """
    What another page or a curious visitor has left in the browser's storage does no
    harm.
    """
    ann = meet(visit, chat, "Ann")
    keys = ann.page.evaluate("Object.keys(localStorage)")
    assert len(keys) >= 3
    for junk in ("{", "null", "7", '"<script>"', "[[[7]]]", '{"lobby":7,"name":{}}'):
        ann.page.evaluate(
            "([keys, junk]) => { for (const key of keys) if (!key.endsWith('key'))"
            " localStorage.setItem(key, junk);"
            " for (const key of ['outbox', 'drafts'])"
            " sessionStorage.setItem(`wsplug.chat:/:${key}`, junk); }",
            [keys, junk],
        )
        ann.page.reload()
        asked = ann.page.locator("#who[open], #state[data-state=open]")
        expect(asked).not_to_have_count(0)
        if ann.page.locator("#who").is_visible():
            ann.page.keyboard.press("Enter")
        ann.arrive()


def test_stored_rooms_that_are_none(chat: Chat, visit: Visitor) -> None:
    """
    Among the kept rooms, what is no name of one, nor can be one, keeps the page from
    none of the others, and what waits for those goes out.
    """
    ann = meet(visit, chat, "Ann")
    ann.page.evaluate(
        """() => {
          const rooms = ["x\\ud800", 7, null, "kitchen"];
          localStorage.setItem("wsplug.chat:/:rooms", JSON.stringify(rooms));
          const item = (key) => ({ ref: `0123456789abcde${key}`, key, text: "kept" });
          const items = [item(7), item("x\\ud800"), item("kitchen")];
          sessionStorage.setItem("wsplug.chat:/:outbox", JSON.stringify(items));
        }"""
    )
    ann.page.reload()
    ann.arrive()
    bea = meet(visit, chat, "Bea", "/kitchen")
    bea.sees("kept")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_everything_can_be_read(
    chat: Chat, visit: Visitor, dark: bool, size: dict[str, int]
) -> None:
    """
    Every text has a contrast of 4.5:1 at least, in the light and in the dark, whatever
    colour somebody has; and every control has a name.
    """
    guest = Guest(visit(chat.url(), dark=dark, size=size))
    checkReadable(guest)
    guest.enter("Ann")
    colors = [
        "F00",
        "#ffffff",
        "#000",
        "yellow",
        "#888",
        "rgb(0, 250, 255)",
        "",
        "007AFF",
    ]
    for number, color in enumerate(colors):
        with Person(chat, f"Guest {number}", color=color) as other:
            other.say(f"This is {color}, see https://example.org/")
    guest.say("And this is mine")
    expect(guest.messages).to_have_count(len(colors) + 1)
    with Person(chat, "Bea", "kitchen") as bea, Person(chat, "Cid") as cid:
        if size == DESK:
            guest.open("kitchen")
            bea.say("Hello")
            guest.open("lobby")
            bea.say("Anybody?")
            guest.unread("kitchen").wait_for()
            cid.type()
        checkReadable(guest)
        variant = f"{'desk' if size == DESK else 'phone'}-{'dark' if dark else 'light'}"
        guest.visit.show(f"chat-{variant}")
        chat.kill()
        expect(guest.page.locator("#lost")).to_be_visible()
        guest.say("Not sent yet")
        checkReadable(guest)
        guest.visit.show(f"chat-lost-{variant}")


def checkReadable(guest: Guest) -> None:
    """
    Contrasts, once nothing moves any more, and names.
    """
    guest.page.evaluate(
        "Promise.all(document.getAnimations().map((each) => each.finished))"
    )
    found = guest.page.evaluate(CONTRASTS)
    assert len(found) > 5
    assert [each for each in found if each[0] < 4.5] == []
    assert guest.page.evaluate(NAMELESS) == []


def test_the_log_is_read_out(chat: Chat, visit: Visitor) -> None:
    """
    Those who hear the page are told of each message with its sender; what isn't sent
    yet isn't told twice.
    """
    ann = meet(visit, chat, "Ann")
    log = ann.page.get_by_role("log", name="Messages in lobby")
    expect(log).to_be_visible()
    with Person(chat, "Bea") as bea:
        bea.say("one")
        bea.say("two")
    ann.say("three")
    heard = log.locator(".lines .bubble")
    expect(heard).to_have_text(["Bea: one", "Bea: two", "You: three"])
    expect(log.locator(".unsent")).to_have_attribute("aria-live", "off")


def test_motion_is_left_out_where_it_is_unwanted(chat: Chat, visit: Visitor) -> None:
    """
    Nothing slides for those who have asked their system for less motion.
    """
    ann = meet(visit, chat, "Ann", size=PHONE, reduced_motion="reduce")
    duration = ann.page.locator("#rooms-pane").evaluate(
        "(pane) => getComputedStyle(pane).transitionDuration"
    )
    assert duration == "0s"


def test_the_page_is_small_and_asks_nobody_else(chat: Chat, visit: Visitor) -> None:
    """
    All that a visit loads comes from the server itself, without a mistake; the scripts,
    with those that all pages share, are less than 120 kB, before compression.
    """
    asked: list[str] = []
    answered: list[int] = []
    ann = Guest(visit(chat.url("/kitchen/x")))
    ann.page.on("request", lambda request: asked.append(request.url))
    ann.page.on("response", lambda response: answered.append(response.status))
    ann.page.reload()
    ann.enter("Ann")
    assert asked
    assert [url for url in asked if not url.startswith(chat.url())] == []
    assert [status for status in answered if status >= 400] == []
    sizes: dict[str, int] = {}
    for url in asked:
        if url.endswith(".js"):
            with urlopen(url) as response:
                # What all pages share is below another place: followed, it is one.
                sizes[response.url] = len(response.read())
    names = {url.rpartition("/")[2] for url in sizes}
    assert {path.name for path in PAGES.glob("*.js")} < names
    assert sum(sizes.values()) < 120_000


@pytest.mark.everyday
def test_nothing_is_written_inline() -> None:
    """
    The page keeps to its own policy: no script, style or listener stands in its HTML.
    """
    html = (PAGES / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", html)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "unsafe" not in policy[1]
    for script in PAGES.glob("*.js"):
        text = script.read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text
        ), script.name
