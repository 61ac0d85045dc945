/** The field for messages. */

import { Completion } from "./completion.js";

/** When this many characters are left, their number is shown. */
const NEAR = 200;

export class Composer {
  constructor(form, actions) {
    this._actions = actions;
    this._field = form.querySelector("textarea");
    this._left = form.querySelector("#say-left");
    this._button = form.querySelector("button");
    /** Characters that a message may have. */
    this.limit = 2000;
    this._names = new Completion(this._field, document.querySelector("#mentions"), actions.names, () => {
      this._changed();
      actions.typed(this.text);
    });
    this._bar = document.querySelector("#context");
    this._bar.querySelector("button").addEventListener("click", () => this.forget());
    /** What is being answered or edited. */
    this._context = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._send();
    });
    // The button doesn't take the focus, so that an on-screen keyboard stays.
    this._button.addEventListener("pointerdown", (event) => event.preventDefault());
    this._field.addEventListener("keydown", (event) => this._pressed(event));
    this._field.addEventListener("input", () => {
      this._changed();
      this._names.update();
      if (!this._context?.isEdit) actions.typed(this.text);
    });
    addEventListener("resize", () => this._changed());
  }

  get text() {
    return this._field.value;
  }

  /**
   * Write to somebody else now.
   * @param label who it is for; null for nobody
   */
  open(label, draft) {
    this._leave();
    this._field.disabled = label === null;
    this._field.placeholder = label === null ? "" : label;
    this.write(draft);
  }

  /**
   * Write about another message.
   * @param context.id its id
   * @param context.label what is done with it
   * @param [context.isEdit] whether its text is changed
   */
  refer(context) {
    this._context = context;
    this._bar.hidden = false;
    this._bar.firstElementChild.textContent = context.label;
    this.focus(true);
  }

  /** Write something of its own again. */
  forget() {
    const { isEdit } = this._context;
    this._leave();
    if (isEdit) this._actions.unedited();
    this.focus(true);
  }

  _leave() {
    this._context = null;
    this._bar.hidden = true;
  }

  write(text) {
    this._field.value = text;
    this._names.close();
    this._changed();
  }

  /** Focus the field, unless that would open an on-screen keyboard. */
  focus(isAskedFor = false) {
    if (isAskedFor || !matchMedia("(pointer: coarse)").matches) this._field.focus();
  }

  _pressed(event) {
    if (event.isComposing || event.keyCode === 229) return; // an input method's keys
    if (this._names.pressed(event)) {
      event.preventDefault();
    } else if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this._send();
    } else if (event.key === "Escape") {
      if (this._context) this.forget();
      else this._actions.escape();
    } else if (event.key === "ArrowUp" && !this.text && !event.altKey) {
      if (this._actions.editLast()) event.preventDefault();
    }
  }

  _send() {
    if (this._button.disabled) return;
    const { text, _context: context } = this;
    this._leave();
    this.write("");
    this._actions.send(text, context);
    this._field.focus();
  }

  _changed() {
    const field = this._field;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
    const left = this.limit - [...this.text].length;
    const isOver = left < 0;
    this._left.textContent = isOver ? `${-left} too many` : left <= NEAR ? `${left} left` : "";
    this._left.classList.toggle("over", isOver);
    field.setAttribute("aria-invalid", String(isOver));
    this._button.disabled = field.disabled || isOver || !this.text.trim();
  }
}
