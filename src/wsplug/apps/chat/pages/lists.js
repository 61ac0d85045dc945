/** The lists of rooms, direct messages, and people. */

import { tint } from "./colors.js";
import { guestMark, mark } from "./log.js";
import { make } from "./-/page.js";

/** A list that keeps its elements, so that none loses the focus. */
class List {
  constructor(element) {
    this._element = element;
    this._entries = new Map();
  }

  /** @param wanted for each entry, its key, what it shows, and how to make it */
  update(wanted) {
    const gone = new Map(this._entries);
    let before = null;
    for (const [key, shown, build] of wanted) {
      const text = JSON.stringify(shown);
      let entry = this._entries.get(key);
      gone.delete(key);
      if (!entry) {
        entry = { element: make("li"), shown: "" };
        this._entries.set(key, entry);
      }
      const { element } = entry;
      if (entry.shown !== text) {
        entry.shown = text;
        const isHeld = element.contains(document.activeElement);
        element.replaceChildren(build());
        if (isHeld) element.firstChild.focus();
      }
      const next = before ? before.nextSibling : this._element.firstChild;
      if (next !== element) this._element.insertBefore(element, next);
      before = element;
    }
    for (const [key, { element }] of gone) {
      element.remove();
      this._entries.delete(key);
    }
  }
}

/** The rooms and the direct messages. */
export class ConversationList {
  constructor(element, open) {
    this._list = new List(element);
    this._open = open;
  }

  show(entries, current, address) {
    this._list.update(
      entries.map((entry) => {
        const isCurrent = entry.key === current;
        return [entry.key, [entry, isCurrent], () => this._make(entry, isCurrent, address)];
      }),
    );
  }

  _make({ key, name, id, color, unread, hint }, isCurrent, address) {
    const sign = id ? mark(name, color, id) : make("span", { class: "sign", ariaHidden: "true" }, "#");
    const link = make("a", { href: address(key), class: "entry-link", title: name }, sign, make("bdi", { class: "label" }, name));
    if (isCurrent) link.setAttribute("aria-current", "page");
    if (unread) {
      const shown = unread > 99 ? "99+" : String(unread);
      link.append(make("span", { class: "badge" }, shown, make("span", { class: "visually-hidden" }, " unread")));
    }
    if (hint) {
      link.classList.add("away");
      link.append(make("span", { class: "hint" }, hint));
    }
    link.classList.toggle("unread", unread > 0);
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this._open(key);
    });
    return link;
  }
}

/** The people in the room. */
export class PeopleList {
  constructor(element, more, choose) {
    this._list = new List(element);
    this._more = more;
    this._choose = choose;
  }

  show(people, count, own) {
    const order = people.sort((a, b) => (b.id === own) - (a.id === own) || a.name.localeCompare(b.name));
    this._list.update(order.map((person) => [person.id, [person, own], () => this._make(person, own)]));
    const others = count - people.length;
    this._more.hidden = others <= 0;
    this._more.textContent = `and ${others} more`;
  }

  _make(person, own) {
    const isOwn = person.id === own;
    const { id, name, color } = person;
    const label = make("span", { class: "label" }, tint(make("bdi", { class: "name" }, name), color, id));
    const button = make("button", { type: "button", class: "person" }, mark(name, color, id), label);
    if (isOwn) label.append(make("small", {}, "you"));
    if (person.guest) label.append(guestMark());
    const action = isOwn ? "Change name or colour" : "Send a direct message";
    button.title = button.ariaLabel = `${name}: ${action.toLowerCase()}`; // the name may be cut
    button.addEventListener("click", () => this._choose(person));
    return button;
  }
}
