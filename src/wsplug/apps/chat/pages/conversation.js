/** A room, or the direct messages with a person: who is there, and what is unread. */

import { RoomLog } from "./log.js";
import { forGood } from "./store.js";

/** How many messages are remembered, to recognize duplicates. */
const KNOWN = 2000;

export class Conversation {
  /** @param key a room's name, or "@" and a person's id */
  constructor(key, { id = "", name, color = "" }, actions) {
    this.key = key;
    this.id = id;
    this.name = name;
    this.color = color;
    this.log = new RoomLog(id ? `Messages between you and ${name}` : `Messages in ${name}`, actions);
    /** Whether messages arrive at the moment. */
    this.isReady = false;
    /** Whether it has been ready before. */
    this.wasReady = false;
    this.subscription = null;
    /** Whether it can't be joined, and is only kept for unsent messages. */
    this.isAway = false;
    this.people = new Map();
    this.count = 0;
    /** The visitor's name here. */
    this.ownName = "";
    /** The position before which there may be older messages. */
    this.first = null;
    this.unread = 0;
    this.draft = "";
    this._known = new Set();
    this._epoch = "";
    this._last = 0;
  }

  /** The entry in the lists. */
  get entry() {
    const { key, id, name, color, unread, isAway } = this;
    return { key, id, name, color, unread, hint: isAway ? "not sent" : "" };
  }

  /** The person has another name or colour. */
  call(name, color) {
    this.name = name;
    this.color = color || this.color;
  }

  /** Set who is here. */
  meet(people) {
    this.people = new Map(people.map((person) => [person.id, person]));
  }

  /** Whether these are direct messages. */
  get isDirect() {
    return this.id !== "";
  }

  /** The position of the latest message. */
  get position() {
    return { offset: this._last, epoch: this._epoch };
  }

  /**
   * What comes from now on has positions in this epoch.
   * @param isNews whether what is there already counts as new on a first visit
   */
  enter({ offset, epoch }, isNews = false) {
    this._last = this._epoch === epoch ? Math.max(this._last, offset) : offset;
    this._epoch = epoch;
    if (!forGood.get("read", {})[this.key]) this._save({ epoch, offset: isNews ? 0 : offset });
  }

  /** @returns whether it is news for the visitor */
  receive(message, isMine, isSeen) {
    if (typeof message.offset === "number") this._last = Math.max(this._last, message.offset);
    if (this._known.has(message.id)) {
      if (isSeen) this.markRead();
      return false;
    }
    this._known.add(message.id);
    if (this._known.size > KNOWN) this._known.delete(this._known.values().next().value);
    const isNews = !isMine && !isSeen && !message.deleted && this._isUnread(message.offset);
    if (isNews) {
      if (!this.unread) this.log.markNew();
      this.unread++;
    }
    this.log.addMessage(message, isMine);
    if (isSeen) this.markRead();
    return isNews;
  }

  /** A message was edited or deleted. */
  change(message, isSeen) {
    this._last = Math.max(this._last, message.offset ?? 0);
    this.log.change(message);
    if (isSeen) this.markRead();
  }

  /** Everything has been read, here or in another tab. */
  markRead() {
    this.unread = 0;
    if (this._last && this._isUnread(this._last)) this._save({ epoch: this._epoch, offset: this._last });
  }

  /** Another tab has stored what was read. */
  catchUp() {
    if (this.unread && !this._isUnread(this._last)) this.unread = 0;
  }

  _isUnread(offset) {
    const read = forGood.get("read", {})[this.key];
    return !read || read.epoch !== this._epoch || offset > read.offset;
  }

  _save(position) {
    forGood.set("read", { ...forGood.get("read", {}), [this.key]: position });
  }
}

/**
 * Find where the loaded part of a history begins.
 * @param before where it was known to begin, if it was
 * @param answer of a room that was entered
 */
export function beginningOf(before, { messages, position: { offset, epoch } }) {
  return before?.epoch === epoch ? before : { offset: messages[0]?.offset ?? offset + 1, epoch };
}
