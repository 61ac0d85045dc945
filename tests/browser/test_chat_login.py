"""
The chat's page where people log in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chatting import Chat, Guest, Person, expect, meet, opened
from tests.browser.conftest import Visitor

PASSWORDS = {"ann": "correct horse", "bob": "battery staple"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """
    A chat of people who log in.
    """
    folder = tmp_path_factory.mktemp("guarded")
    lines = "".join(f"{name}:{password}\n" for name, password in PASSWORDS.items())
    (folder / "passwords").write_text(lines)
    with opened(folder, "--app=chat", "--auth=file:passwords") as chat:
        yield chat


def logIn(visit: Visitor, chat: Chat, name: str) -> Guest:
    credentials = {"username": name, "password": PASSWORDS[name]}
    return Guest(visit(chat.url(), http_credentials=credentials)).arrive()


def test_nobody_is_asked_for_a_name(visit: Visitor, guarded: Chat) -> None:
    """
    Who has logged in is in the room at once, under that name, and is so again after a
    reload.
    """
    ann, bob = (logIn(visit, guarded, name) for name in PASSWORDS)
    for guest, name, other in ((ann, "ann", "bob"), (bob, "bob", "ann")):
        expect(guest.page.locator("#who")).not_to_be_visible()
        expect(guest.page.locator("#me-name")).to_have_text(name)
        expect(guest.people).to_have_text([name, other])
    ann.say("Hello")
    bob.sees("Hello")
    expect(bob.page.locator(".talk:visible .by .name")).to_have_text("ann")
    ann.page.reload()
    expect(ann.arrive().page.locator("#me-name")).to_have_text("ann")
    ann.visit.show("chat-logged-in")


def test_guests_are_marked(visit: Visitor, tmp_path: Path) -> None:
    """
    Where some have logged in, it is told of the others, among those who are here and at
    what they say; and nobody has a login's name beside it.
    """
    auth = ("--auth=memory:ann:sesame", "--auth=anonymous")
    with opened(tmp_path, "--app=chat", *auth) as chat:
        guest = meet(visit, chat, "Ann")
        expect(guest.page.locator("#people .label")).to_have_text("Annyouguest")
        with Person(chat, "", login="ann:sesame") as ann, Person(chat, "Cy") as cy:
            expect(guest.people).to_have_text(["Ann 2", "ann", "Cy"])
            expect(guest.page.locator("#people .label")).to_have_text(
                ["Ann 2youguest", "ann", "Cyguest"]
            )
            ann.say("Hi")
            cy.say("Hello")
            guest.sees("Hi", "Hello")
            expect(guest.page.locator(".talk:visible .by small")).to_have_text("guest")


def test_the_colour_can_be_changed(visit: Visitor, guarded: Chat) -> None:
    """
    The dialog has the login's name, to look at, and takes another colour, which the
    browser keeps.
    """
    ann, bob = (logIn(visit, guarded, name) for name in PASSWORDS)
    expect(ann.page.locator("#me")).to_contain_text("Change colour")
    ann.page.locator("#me").click()
    name = ann.page.locator("#who-name")
    expect(name).to_have_value("ann")
    assert name.get_attribute("readonly") is not None
    ann.visit.show("chat-login-colour")
    swatch = ann.page.locator("#who-colors input").nth(3)
    color = swatch.get_attribute("value")
    swatch.check(force=True)
    ann.page.keyboard.press("Enter")
    expect(ann.page.locator("#who")).not_to_be_visible()
    ann.page.reload()
    expect(ann.arrive().page.locator("#me-name")).to_have_text("ann")
    ann.page.locator("#me").click()
    expect(ann.page.locator("#who-colors input:checked")).to_have_value(color or "")
    expect(bob.people).to_have_text(["bob", "ann"])
