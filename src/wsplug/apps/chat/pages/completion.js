/** The list of names behind an `@` that is being written. */

import { make } from "./-/page.js";

const SHOWN = 6;

/** An `@` at the beginning of a word, and what is written of a name behind it. */
const BEGUN = /(?:^|[^\p{L}\p{N}_])@([^@\n]{0,40})$/u;

export class Completion {
  /** @param names gives the names that can be mentioned */
  constructor(field, list, names, changed) {
    this._field = field;
    this._list = list;
    this._names = names;
    this._changed = changed;
    this._at = 0;
    field.addEventListener("blur", () => this.close());
    // The list doesn't take the focus.
    list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const chosen = event.target.closest("li");
      if (chosen) this._choose(chosen.textContent);
    });
  }

  update() {
    const before = this._field.value.slice(0, this._field.selectionStart);
    const begun = BEGUN.exec(before)?.[1].toLowerCase();
    const fits = (name) => begun !== undefined && name.toLowerCase().startsWith(begun) && name.toLowerCase() !== begun;
    const found = this._names().filter(fits).sort((a, b) => a.localeCompare(b)).slice(0, SHOWN);
    this._begun = begun;
    this._at = 0;
    this._list.hidden = !found.length;
    this._list.replaceChildren(
      ...found.map((name, at) => make("li", { role: "option", id: `mention-${at}`, dir: "auto" }, name)),
    );
    this._mark();
  }

  close() {
    this._list.hidden = true;
    this._field.removeAttribute("aria-activedescendant");
  }

  /** @returns whether the key was for the list */
  pressed({ key }) {
    const { length } = this._list.children;
    if (this._list.hidden || !length) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (step) {
      this._at = (this._at + step + length) % length;
      this._mark();
    } else if (key === "Enter" || key === "Tab") {
      this._choose(this._list.children[this._at].textContent);
    } else if (key === "Escape") {
      this.close();
    } else return false;
    return true;
  }

  _choose(name) {
    const end = this._field.selectionStart;
    this._field.setRangeText(`${name} `, end - this._begun.length, end, "end");
    this.close();
    this._changed();
  }

  _mark() {
    if (this._list.hidden) return this.close();
    [...this._list.children].forEach((each, at) => (each.ariaSelected = String(at === this._at)));
    this._field.setAttribute("aria-activedescendant", `mention-${this._at}`);
  }
}
