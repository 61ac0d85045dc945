/** Sends and shows who is typing. */

import { make } from "./-/page.js";

/** Milliseconds between two typing notices of the visitor. */
const BETWEEN = 3000;

/** Milliseconds without a notice after which a person has stopped typing. */
const OVER = 6000;

export class Typing {
  constructor(element, tell) {
    this._element = element;
    this._tell = tell;
    this._told = { room: "", time: 0 };
    this._room = "";
    /** By room and id. */
    this._heard = new Map();
  }

  /** The visitor is typing. */
  typed(room) {
    const now = Date.now();
    if (this._told.room === room && now - this._told.time < BETWEEN) return;
    this._told = { room, time: now };
    this._tell(room);
  }

  /** Send the next typing notice at once. */
  sent() {
    this._told.time = 0;
  }

  heard(room, { id, name }) {
    this.stopped(room, id);
    const timer = setTimeout(() => this.stopped(room, id), OVER);
    if (!this._heard.has(room)) this._heard.set(room, new Map());
    this._heard.get(room).set(id, { name, timer });
    this._show();
  }

  stopped(room, id) {
    const people = this._heard.get(room);
    clearTimeout(people?.get(id)?.timer);
    if (people?.delete(id)) this._show();
  }

  /** Show who is typing in a room. */
  open(room) {
    this._room = room;
    this._show();
  }

  _show() {
    const names = [...(this._heard.get(this._room)?.values() ?? [])].map(({ name }) => make("bdi", {}, name));
    let words = [];
    if (names.length === 1) words = [names[0], " is typing …"];
    else if (names.length === 2) words = [names[0], " and ", names[1], " are typing …"];
    else if (names.length > 2) words = ["Several people are typing …"];
    this._element.replaceChildren(...words);
  }
}
