/**
 * Messages that the server hasn't answered yet. They are sent in order, one at a time in
 * each room, wait while there is no connection, and survive a reload.
 *
 * No message is lost or sent twice: each has a `ref`. If the connection was lost before
 * the answer, a message is sent again only if its `ref` isn't in the room's history since
 * then. If that history is incomplete, the visitor decides.
 */

import { forNow, isWellFormed, randomHex, wellFormed } from "./store.js";

/** Milliseconds after which to try again, unless the server says. */
const AGAIN = 2000;

/** The problem of a message whose answer was lost. */
const UNKNOWN = "It isn’t known whether others got this.";

/** How many times the server may fail to answer before the visitor is asked. */
const PATIENCE = 3;

/**
 * An item has a `ref`, the conversation's `key`, the `text`, and a `problem` to show;
 * `since`, the room's position before it was first sent; `isTried`, if it may have
 * arrived; `isSending`; `isStuck`, if it waits for the visitor; and `late`, the number of
 * missing answers.
 */
export class Outbox {
  /**
   * @param chat.send fails with a RequestError
   * @param chat.position where a room is now; null where nothing can be sent to it
   */
  constructor(chat) {
    this._chat = chat;
    this._items = [];
    for (const item of forNow.get("outbox", [])) {
      if (typeof item?.ref !== "string" || typeof item.text !== "string" || !isWellFormed(item.key)) continue;
      this._items.push({ ...item, text: wellFormed(item.text), isSending: false });
    }
  }

  /** The keys of all conversations with unsent messages. */
  get keys() {
    return new Set(this._items.map((item) => item.key));
  }

  /** Whether all messages of a conversation wait for the visitor. */
  isStuck(key) {
    return this.of(key).every((item) => item.isStuck);
  }

  of(key) {
    return this._items.filter((item) => item.key === key);
  }

  /** @param [replyTo] the id of the message that it answers */
  add(key, written, replyTo) {
    const [ref, text] = [randomHex(8), wellFormed(written)];
    this._items.push({ ref, key, text, replyTo, since: null, isTried: false, isSending: false, isStuck: false, problem: "" });
    this._changed(key);
    this.pump();
  }

  again(item) {
    Object.assign(item, { isStuck: false, isTried: false, late: 0, problem: "" });
    this._changed(item.key);
    this.pump();
  }

  discard(item) {
    this._drop((each) => each === item);
  }

  discardAll(key) {
    this._drop((each) => each.key === key);
  }

  /** Move messages from one room to another. */
  move(from, to) {
    for (const item of this.of(from)) item.key = to;
    this._changed(to);
  }

  /** A message has arrived in its room. */
  arrived(ref) {
    if (ref) this._drop((each) => each.ref === ref);
  }

  /** Messages are missing in a room; those on their way may be among them. */
  missed(isThere) {
    for (const item of this._items) if (isThere(item) && item.isTried) item.since = null;
  }

  /**
   * A room has been entered.
   * @param isBack whether all has come up to where the answer begins
   */
  entered(isThere, { messages, position, recovered }, isBack) {
    const refs = new Set(messages.map((message) => message.ref));
    this._drop((each) => isThere(each) && refs.has(each.ref));
    const first = messages[0]?.offset ?? position.offset + 1;
    for (const item of this._items.filter((each) => isThere(each) && each.isTried && !each.isStuck)) {
      const { since } = item;
      const isWhole = since?.epoch === position.epoch && (isBack ? recovered : first <= since.offset + 1);
      if (isWhole) item.isTried = false;
      else this._stick(item, UNKNOWN);
    }
    this.pump();
  }

  /**
   * A room can't be entered: what waits for it waits for the visitor.
   * @returns whether anything does
   */
  refuse(key, reason) {
    const items = this.of(key);
    for (const item of items) {
      if (!item.isStuck) this._stick(item, item.isTried ? UNKNOWN : `Not sent: ${reason}.`);
    }
    return items.length > 0;
  }

  /**
   * The server has closed the connection, since a message was too large for it.
   * @returns whether it was one of these: the largest that is on its way
   */
  refuseLargest() {
    const size = ({ text }) => JSON.stringify(text).length;
    const [item] = this._items.filter((each) => each.isSending).sort((a, b) => size(b) - size(a));
    if (!item) return false;
    item.isTried = false;
    this._stick(item, "Not sent: it is too large for the server.");
    return true;
  }

  /** Send what can be sent. */
  pump() {
    const busy = new Set();
    for (const item of this._items) {
      if (item.isStuck || busy.has(item.key)) continue;
      busy.add(item.key);
      const position = this._chat.position(item.key);
      if (!item.isSending && position && !this._timer) this._send(item, position);
    }
  }

  async _send(item, position) {
    if (!item.isTried) item.since = { ...position };
    Object.assign(item, { isTried: true, isSending: true, problem: "" });
    this._changed(item.key);
    try {
      const answer = await this._chat.send(item);
      item.isSending = false;
      if (this._items.includes(item)) this._chat.sent(item, answer);
      this.arrived(item.ref);
    } catch (error) {
      item.isSending = false;
      if (this._items.includes(item)) this._failed(item, error);
    }
    this.pump();
  }

  _failed(item, error) {
    const { code, message, answer } = error;
    if (code === "rate-limited") {
      item.isTried = false;
      const seconds = Math.max(answer?.retry_after ?? 0, 0.1);
      item.problem = `You are sending too fast. This will be sent in ${Math.ceil(seconds)} s.`;
      this._later(seconds * 1000);
    } else if (code === "timeout" && (item.late = (item.late ?? 0) + 1) >= PATIENCE) {
      this._stick(item, `The server doesn’t answer. ${UNKNOWN}`);
    } else if (code === "timeout" || code === "unavailable") {
      item.problem = "The server can’t accept it at the moment; trying again …";
      this._later(AGAIN);
    } else if (code !== "closed") {
      item.isTried = false;
      this._stick(item, `Not sent: ${message}.`);
    }
    this._changed(item.key);
  }

  _later(delay) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      this._timer = undefined;
      this.pump();
    }, delay);
  }

  _stick(item, problem) {
    Object.assign(item, { isStuck: true, problem });
    this._changed(item.key);
  }

  _drop(which) {
    const dropped = this._items.filter(which);
    if (!dropped.length) return;
    this._items = this._items.filter((item) => !which(item));
    for (const key of new Set(dropped.map((item) => item.key))) this._changed(key);
    this.pump();
  }

  _changed(key) {
    forNow.set("outbox", this._items);
    this._chat.changed(key);
  }
}
