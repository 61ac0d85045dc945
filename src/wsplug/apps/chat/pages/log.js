/** The messages of a room, grouped by sender and day, with a mark for new ones. */

import { tint } from "./colors.js";
import { formatted, mentions } from "./markdown.js";
import { isEmoji } from "./text.js";
import { Log, make } from "./-/page.js";

/** Messages of a sender within this many seconds are grouped. */
const TOGETHER = 300;

/** Characters of a message that a reply quotes. */
const QUOTED = 120;

/** Pixels from the top at which older messages are asked for. */
const NEAR = 150;

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
  /** @param actions what can be done with messages */
  constructor(label, actions) {
    this._actions = actions;
    this._lines = make("div", { class: "lines" });
    this._unsent = make("div", { class: "unsent", ariaLive: "off" });
    this._older = make("button", { type: "button", class: "chip older", hidden: true }, "Older messages");
    this._older.addEventListener("click", () => actions.older());
    this.element = make(
      "div",
      { class: "log talk", role: "log", tabIndex: 0, hidden: true, ariaLabel: label },
      this._older,
      this._lines,
      this._unsent,
    );
    this._log = new Log(this.element);
    this._top = 0;
    this.element.addEventListener("scroll", () => {
      if (this.element.hidden) return;
      this._top = this.element.scrollTop;
      this._askForOlder();
    });
    this.element.addEventListener("keydown", (event) => this._move(event));
    this._isAtEnd = true;
    this._new = null;
    /** Where messages are added: the latest group, {from, time, bubbles}, if it can have more; and its day. */
    this._end = { target: this._lines, group: null, day: "" };
    /** The messages that are shown, by their ids: {message, bubble, isMine}. */
    this._shown = new Map();
    this._tabbable = null;
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
    this._askForOlder();
  }

  /** Ask for older messages where there is room for them, or somebody looks for them. */
  _askForOlder() {
    if (this.element.scrollTop < NEAR && !this._older.hidden) this._actions.older();
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
    const { more } = this._put(this._end, message, isMine);
    if (more) {
      if (this._tabbable) this._tabbable.tabIndex = -1;
      this._tabbable = more;
      more.tabIndex = 0; // from there, the arrow keys lead to the others
    }
    this._log.follow();
  }

  /** Add messages before all others; what is in sight stays where it is. */
  addOlder(messages, isMine) {
    const beginning = { target: document.createDocumentFragment(), group: null, day: "" };
    for (const each of messages) if (!this.has(each.id)) this._put(beginning, each, isMine(each));
    const first = this._lines.firstElementChild;
    if (first?.dataset.day === beginning.day) first.remove();
    const { scrollHeight, scrollTop } = this.element;
    this.element.classList.add("growing");
    this._lines.prepend(beginning.target);
    this.element.scrollTop = scrollTop + this.element.scrollHeight - scrollHeight;
    this.element.classList.remove("growing");
  }

  /** Whether there may be older messages. */
  set hasOlder(has) {
    this._older.hidden = !has;
  }

  /** The offset of the first message that has one. */
  get firstOffset() {
    return Number(this._lines.querySelector("[data-offset]")?.dataset.offset) || null;
  }

  has(id) {
    return this._shown.has(id);
  }

  /** The visitor's latest message that can be edited. */
  get lastOwn() {
    return [...this._shown.values()].filter(({ isMine, message }) => isMine && !message.deleted).at(-1)?.message;
  }

  /** A message was edited or deleted. */
  change({ id, type, message: text }) {
    const shown = this._shown.get(id);
    if (!shown) return;
    const changed = type === "edited" ? { message: text, edited: true } : { message: "", deleted: true };
    shown.message = { ...shown.message, ...changed };
    const { bubble } = this._makeBubble(shown.message, shown.isMine);
    const hadFocus = shown.bubble.contains(document.activeElement);
    shown.bubble.replaceWith(bubble);
    shown.bubble = bubble;
    if (hadFocus) this._actions.done();
    this._log.follow();
  }

  /** @returns the parts of the message's element */
  _put(place, message, isMine) {
    const { id, name, color, from_id: from, time, offset } = message;
    const date = new Date(time * 1000);
    this._addDay(place, date);
    const by = `${from}\n${name}\n${color}`;
    if (!place.group || place.group.from !== by || time - place.group.time > TOGETHER) {
      this._addGroup(place, message, date, isMine, by);
    } else {
      place.group.time = time;
    }
    const made = this._makeBubble(message, isMine);
    if (offset) made.bubble.dataset.offset = offset;
    place.group.bubbles.append(made.bubble);
    this._shown.set(id, { message, isMine, bubble: made.bubble });
    return made;
  }

  _makeBubble(message, isMine) {
    const { id, name, time, message: text, reply_to: answers, edited, deleted } = message;
    const bubble = make(
      "div",
      { class: "bubble", title: full.format(new Date(time * 1000)) },
      make("bdi", { class: "visually-hidden" }, isMine ? "You: " : `${name}: `),
    );
    bubble.dataset.id = id;
    if (deleted) {
      bubble.classList.add("deleted");
      bubble.append(make("div", { class: "text" }, "This message was deleted."));
      return { bubble };
    }
    bubble.classList.toggle("emoji", isEmoji(text));
    bubble.classList.toggle("mentions", !isMine && mentions(text, this._actions.names().own));
    if (answers) bubble.append(this._makeQuote(answers));
    bubble.append(this._makeText(text));
    if (edited) bubble.append(make("small", { class: "edited" }, "edited"));
    const label = `Actions for the message of ${isMine ? "yours" : name}`;
    const more = make("button", { type: "button", class: "more", tabIndex: -1, title: "Reply and more", ariaLabel: label });
    more.setAttribute("aria-expanded", "false");
    more.addEventListener("click", () => this._toggle(bubble, more, message, isMine));
    bubble.append(more);
    return { bubble, more };
  }

  /** Show what can be done with a message, or hide it. */
  _toggle(bubble, more, message, isMine) {
    const there = bubble.querySelector(".acts");
    more.setAttribute("aria-expanded", String(!there));
    if (there) return there.remove();
    const button = (text, action) => {
      const made = make("button", { type: "button", class: "chip" }, text);
      made.addEventListener("click", () => {
        this._toggle(bubble, more, message, isMine);
        action(message);
      });
      return made;
    };
    const { reply, change, remove } = this._actions;
    const buttons = [button("Reply", reply)];
    if (isMine) buttons.push(button("Edit", change), button("Delete", remove));
    bubble.append(make("div", { class: "acts" }, ...buttons));
    buttons[0].focus();
    this._log.follow();
  }

  _makeQuote(id) {
    const shown = this._shown.get(id);
    if (!shown) return make("p", { class: "quote" }, "An older message");
    const { name, message: text, deleted } = shown.message;
    const line = deleted ? "This message was deleted." : text.replace(/\s+/gu, " ").slice(0, QUOTED);
    const quote = make("button", { type: "button", class: "quote", tabIndex: -1 }, make("bdi", {}, name), " ", make("bdi", {}, line));
    quote.addEventListener("click", () => {
      const { bubble } = this._shown.get(id) ?? {};
      if (bubble?.isConnected) this.reveal(bubble);
    });
    return quote;
  }

  /** Between the messages' buttons, by the arrow keys. */
  _move(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || event.altKey || !event.target.classList.contains("more")) return;
    const all = [...this._lines.querySelectorAll(".more")];
    const next = all[all.indexOf(event.target) + step];
    event.preventDefault();
    next?.focus();
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

  _addDay(place, date) {
    const key = date.toDateString();
    if (key === place.day) return;
    place.day = key;
    const label = key === new Date().toDateString() ? "Today" : day.format(date);
    const divider = make("p", { class: "divider" }, make("span", {}, label));
    divider.dataset.day = key;
    this._add(divider, place);
  }

  _addGroup(place, { name, color, from_id: id, time, guest }, date, isMine, from) {
    const by = make("p", { class: "by" });
    if (!isMine) by.append(tint(make("bdi", { class: "name" }, name), color, id), " ");
    if (!isMine && guest) by.append(guestMark(), " ");
    by.append(make("time", { dateTime: date.toISOString(), title: full.format(date) }, clock.format(date)));
    const bubbles = make("div", { class: "bubbles" }, by);
    const group = make("div", { class: isMine ? "group mine" : "group" }, bubbles);
    if (!isMine) group.prepend(mark(name, color, id));
    this._add(group, place);
    place.group = { from, time, bubbles };
  }

  _add(element, place = this._end) {
    place.group = null;
    place.target.append(element);
    if (place !== this._end) return;
    if (this._lines.children.length > KEPT && this.isAtEnd) this._trim();
    this._log.follow();
  }

  _trim() {
    while (this._lines.children.length > KEPT) {
      const first = this._lines.firstChild;
      for (const { dataset } of first.querySelectorAll("[data-id]")) this._shown.delete(dataset.id);
      first.remove();
    }
  }
}
