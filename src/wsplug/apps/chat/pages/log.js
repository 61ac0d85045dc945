/** The messages of a room, grouped by sender and day, with a mark for new ones. */

import { tint } from "./colors.js";
import { formatted, mentions } from "./markdown.js";
import { isEmoji } from "./text.js";
import { Log, make } from "./-/page.js";

/** Messages of a sender within this many seconds are grouped. */
const TOGETHER = 300;

/** How many groups, notices and dividers a log keeps. */
const KEPT = 600;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** A circle with a person's initials. */
export function mark(name, color, id) {
  const first = [...name.trim()][0] ?? "?";
  return tint(make("span", { class: "mark", ariaHidden: "true" }, first.toUpperCase()), color, id);
}

/** A mark for people who haven't logged in, if others have. */
export function guestMark() {
  return make("small", { title: "Has not logged in" }, "guest");
}

export class RoomLog {
  /** @param actions what can be done with unsent messages */
  constructor(label, actions) {
    this._actions = actions;
    this._lines = make("div", { class: "lines" });
    this._unsent = make("div", { class: "unsent", ariaLive: "off" });
    this.element = make(
      "div",
      { class: "log talk", role: "log", tabIndex: 0, hidden: true, ariaLabel: label },
      this._lines,
      this._unsent,
    );
    this._log = new Log(this.element);
    this._top = 0;
    this.element.addEventListener("scroll", () => {
      if (!this.element.hidden) this._top = this.element.scrollTop;
    });
    this._isAtEnd = true;
    this._new = null;
    /** The latest group: {from, time, bubbles}, if messages can be added to it. */
    this._group = null;
    this._day = "";
    this._items = new Map();
  }

  /** Whether the end is visible. */
  get isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight, hidden } = this.element;
    return hidden ? this._isAtEnd : scrollHeight - scrollTop - clientHeight < 40;
  }

  /** Show the log at its last position, or at the first new message. */
  show() {
    this.element.hidden = false;
    if (this._new) this.reveal(this._new);
    else if (this._isAtEnd) this.showEnd();
    else this.element.scrollTop = this._top;
  }

  hide() {
    this._isAtEnd = this.isAtEnd;
    this.element.hidden = true;
  }

  showEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** Scroll to a line. Not by scrollIntoView, which would scroll the page, too. */
  reveal(line) {
    const [own, its] = [this.element, line].map((each) => each.getBoundingClientRect());
    this.element.scrollTop += its.top - own.top - (own.height - its.height) / 2;
  }

  addMessage(message, isMine) {
    const { name, color, from_id: id, time, message: text } = message;
    const date = new Date(time * 1000);
    this._addDay(date);
    const from = `${id}\n${name}\n${color}`;
    const group = this._group;
    if (!group || group.from !== from || time - group.time > TOGETHER) {
      this._addGroup(message, date, isMine, from);
    } else {
      group.time = time;
    }
    const bubble = make(
      "div",
      { class: isEmoji(text) ? "bubble emoji" : "bubble", title: full.format(date) },
      make("bdi", { class: "visually-hidden" }, isMine ? "You: " : `${name}: `),
      this._makeText(text),
    );
    if (!isMine && mentions(text, this._actions.names().own)) bubble.classList.add("mentions");
    this._group.bubbles.append(bubble);
    this._log.follow();
  }

  /** Add a line that isn't a message. */
  addNotice(kind, ...nodes) {
    this._add(make("p", { class: `notice ${kind}`, dir: "auto" }, ...nodes));
  }

  /** Mark messages from now on as new. */
  markNew() {
    this.clearNew();
    this._new = make("p", { class: "divider new" }, make("span", {}, "New messages"));
    this._add(this._new);
  }

  clearNew() {
    this._new?.remove();
    this._new = null;
  }

  /** Show unsent messages. */
  showUnsent(items) {
    const gone = new Set(this._items.keys());
    for (const item of items) {
      gone.delete(item.ref);
      const shown = this._items.get(item.ref);
      const state = JSON.stringify(item);
      if (shown?.dataset.state === state) continue; // it may have the focus
      const made = this._makeItem(item);
      made.dataset.state = state;
      if (shown) shown.replaceWith(made);
      else this._unsent.append(made);
      this._items.set(item.ref, made);
    }
    for (const ref of gone) {
      this._items.get(ref).remove();
      this._items.delete(ref);
    }
    this._log.follow();
  }

  _makeItem(item) {
    const status = make("p", { class: "status" }, item.problem || (item.isSending ? "Sending …" : "Waiting …"));
    const bubble = make("div", { class: "bubble" }, this._makeText(item.text));
    const element = make("div", { class: "group mine pending" }, make("div", { class: "bubbles" }, bubble, status));
    if (item.isStuck) {
      element.classList.add("stuck");
      status.setAttribute("role", "alert");
      const button = (label, action) => {
        const made = make("button", { type: "button", class: "chip" }, label);
        made.addEventListener("click", () => {
          action(item);
          this._actions.done();
        });
        return made;
      };
      const { again, edit, discard } = this._actions;
      const buttons = [button("Send again", again), button("Edit", edit), button("Discard", discard)];
      element.firstChild.append(make("div", { class: "buttons" }, ...buttons));
    }
    return element;
  }

  _makeText(text) {
    const { names, own } = this._actions.names();
    return make("div", { class: "text", dir: "auto" }, ...formatted(text, names, own));
  }

  _addDay(date) {
    const key = date.toDateString();
    if (key === this._day) return;
    this._day = key;
    const label = key === new Date().toDateString() ? "Today" : day.format(date);
    this._add(make("p", { class: "divider" }, make("span", {}, label)));
  }

  _addGroup({ name, color, from_id: id, time, guest }, date, isMine, from) {
    const by = make("p", { class: "by" });
    if (!isMine) by.append(tint(make("bdi", { class: "name" }, name), color, id), " ");
    if (!isMine && guest) by.append(guestMark(), " ");
    by.append(make("time", { dateTime: date.toISOString(), title: full.format(date) }, clock.format(date)));
    const bubbles = make("div", { class: "bubbles" }, by);
    const group = make("div", { class: isMine ? "group mine" : "group" }, bubbles);
    if (!isMine) group.prepend(mark(name, color, id));
    this._add(group);
    this._group = { from, time, bubbles };
  }

  _add(element) {
    this._group = null;
    this._lines.append(element);
    while (this._lines.children.length > KEPT) this._lines.firstChild.remove();
    this._log.follow();
  }
}
