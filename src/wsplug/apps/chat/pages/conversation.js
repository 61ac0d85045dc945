/** A room, or what is said with one person alone: who is there, and what is new. */

import { RoomLog } from "./log.js";
import { forGood } from "./store.js";

/** How many messages are known again, should they come a second time. */
const KNOWN = 2000;

export class Conversation {
  /** @param key a room's name, or "@" with a person's id behind it */
  constructor(key, { id = "", name, color = "" }, actions) {
    this.key = key;
    this.id = id;
    this.name = name;
    this.color = color;
    this.log = new RoomLog(id ? `Messages between you and ${name}` : `Messages in ${name}`, actions);
    /** Whether what is said comes at the moment. */
    this.isReady = false;
    /** Whether it has been ready before. */
    this.wasReady = false;
    this.subscription = null;
    /** Whether it can't be entered, and is only there for what isn't sent. */
    this.isAway = false;
    this.people = new Map();
    this.count = 0;
    /** What the visitor is called here. */
    this.ownName = "";
    this.unread = 0;
    this.draft = "";
    this._known = new Set();
    this._epoch = "";
    this._last = 0;
  }

  /** What the lists show of it. */
  get entry() {
    const { key, id, name, color, unread, isAway } = this;
    return { key, id, name, color, unread, hint: isAway ? "not sent" : "" };
  }

  /** The person is called otherwise. */
  call(name, color) {
    this.name = name;
    this.color = color || this.color;
  }

  /** These are here. */
  meet(people) {
    this.people = new Map(people.map((person) => [person.id, person]));
  }

  /** Whether it is with one person alone. */
  get isDirect() {
    return this.id !== "";
  }

  /** How far all has come. */
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

  receive(message, isMine, isSeen) {
    if (typeof message.offset === "number") this._last = Math.max(this._last, message.offset);
    if (this._known.has(message.id)) {
      if (isSeen) this.markRead();
      return;
    }
    this._known.add(message.id);
    if (this._known.size > KNOWN) this._known.delete(this._known.values().next().value);
    if (!isMine && !isSeen && this._isUnread(message.offset)) {
      if (!this.unread) this.log.markNew();
      this.unread++;
    }
    this.log.addMessage(message, isMine);
    if (isSeen) this.markRead();
  }

  /** All that is there has been read, here or in another tab. */
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
