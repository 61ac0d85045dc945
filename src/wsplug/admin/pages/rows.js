/**
 * Tables whose rows come and go: what stays is not touched, so that nothing jumps and the
 * keyboard's focus stays where it is.
 *
 * @module rows
 */

import { make } from "./-/page.js";

/** A cell with anybody's text: text, never HTML, and its direction is its own affair. */
export function cell(label, text, kind = "") {
  const inner = make("bdi", { dir: "auto", title: text.length > 40 ? text : "" }, text);
  const made = make("td", { class: kind }, inner);
  made.dataset.label = label;
  return made;
}

/** Change a cell's text, if it has another one. */
export function change(made, text) {
  const inner = made.firstChild;
  if (inner.textContent !== text) inner.textContent = text;
}

/** A cell with buttons. */
export function buttons(...children) {
  return make("td", { class: "do" }, ...children);
}

export function button(text, label, action) {
  const made = make("button", { type: "button", class: "chip", ariaLabel: label }, text);
  made.addEventListener("click", action);
  return made;
}

export class Rows {
  /**
   * @param {HTMLElement} body of the table
   * @param {(item: any) => unknown} keyOf
   * @param {(item: any) => HTMLElement} makeRow
   * @param {(row: HTMLElement, item: any) => void} [update]
   */
  constructor(body, keyOf, makeRow, update = () => {}) {
    this._body = body;
    this._keyOf = keyOf;
    this._make = makeRow;
    this._update = update;
    this._rows = new Map();
  }

  show(items) {
    const keys = new Set(items.map(this._keyOf));
    for (const [key, row] of this._rows) {
      if (keys.has(key)) continue;
      row.remove();
      this._rows.delete(key);
    }
    items.forEach((item, place) => {
      const key = this._keyOf(item);
      let row = this._rows.get(key);
      if (row) this._update(row, item);
      else this._rows.set(key, (row = this._make(item)));
      const there = this._body.children[place];
      if (there !== row) this._body.insertBefore(row, there ?? null);
    });
  }
}
