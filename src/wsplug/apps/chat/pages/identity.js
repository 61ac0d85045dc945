/** The visitor’s identity: a name, a colour, and the key by which the server recognizes them. */

import { PALETTE, tint } from "./colors.js";
import { everywhere, randomHex, wellFormed } from "./store.js";
import { make } from "./-/page.js";

const FIRST = "Brave Bright Calm Clever Curious Gentle Happy Kind Lucky Merry Nimble Witty".split(" ");
const SECOND = "Badger Falcon Fox Hare Heron Lynx Magpie Otter Owl Panda Raven Robin".split(" ");

const anyOf = (choices) => choices[Math.floor(Math.random() * choices.length)];

export class Identity {
  constructor() {
    /** Whether the name comes from a login and can't be changed. */
    this.isFixed = false;
    this.reload();
    if (this.key.length < 16) {
      this.key = randomHex(16);
      everywhere.set("key", this.key);
    }
  }

  /** Load what this or another tab has saved. */
  reload() {
    /** A secret that identifies this person. Only the server gets it. */
    this.key = everywhere.get("key", "");
    const { name, color } = everywhere.get("who", {});
    if (!this.isFixed) this.name = wellFormed(String(name ?? ""));
    this.color = String(color ?? "");
  }

  /** Call a listener when another tab saves a name or colour. */
  listen(listener) {
    everywhere.listen((key) => {
      if (key !== "who") return;
      this.reload();
      listener();
    });
  }

  /** Use the name that the server has set. */
  fix(name) {
    this.name = name;
    this.isFixed = true;
  }

  save(name, color) {
    this.color = color;
    if (!this.isFixed) this.name = name;
    everywhere.set("who", this.isFixed ? { ...everywhere.get("who", {}), color } : { name, color });
  }
}

/** Asks for a name and a colour. */
export class WhoDialog {
  constructor(dialog, identity) {
    this._dialog = dialog;
    this._identity = identity;
    this._name = dialog.querySelector("input");
    this._error = dialog.querySelector(".error");
    this._done = dialog.querySelector("#who-done");
    this._cancel = dialog.querySelector("#who-cancel");
    this._colors = [];
    const swatches = dialog.querySelector(".swatches");
    for (const [label, value] of PALETTE) {
      const input = make("input", { type: "radio", name: "color", value, ariaLabel: label });
      this._colors.push(input);
      swatches.append(tint(make("label", { class: "swatch", title: label }, input), value, ""));
    }
    this._cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("cancel", (event) => this._escaped(event));
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    dialog.addEventListener("close", () => this._closed?.());
  }

  /** Ask, and pass the answer to `take`. If that fails, show why and ask again. */
  ask(take, error = "") {
    if (this._dialog.open) {
      this._error.textContent = error || this._error.textContent;
      return Promise.resolve();
    }
    const { name, color, isFixed } = this._identity;
    const isFirst = !name;
    const text = (id, words) => (this._dialog.querySelector(id).textContent = words);
    text("#who-title", isFirst ? "Welcome!" : isFixed ? "Your colour" : "Your name and colour");
    text("#who-about", isFirst ? "Choose the name that others see." : "Others see the change at once.");
    this._name.readOnly = isFixed;
    this._done.textContent = isFirst ? "Start chatting" : "Save";
    this._cancel.hidden = isFirst;
    this._isFirst = isFirst;
    this._take = take;
    this._name.value = name || `${anyOf(FIRST)} ${anyOf(SECOND)}`;
    this._error.textContent = error;
    const chosen = color || anyOf(PALETTE)[1];
    for (const input of this._colors) input.checked = input.value === chosen;
    this._dialog.showModal();
    this._name.focus();
    this._name.select();
    return new Promise((resolve) => (this._closed = resolve));
  }

  _escaped(event) {
    if (!this._isFirst) return;
    event.preventDefault(); // without a choice, take the suggested name
    this._submit();
  }

  async _submit() {
    const name = wellFormed(this._name.value).trim();
    if (!name) {
      this._fail("Enter a name with visible characters.");
      return;
    }
    const chosen = this._colors.find((input) => input.checked);
    this._done.disabled = true;
    try {
      await this._take(name, chosen?.value ?? this._identity.color);
      this._dialog.close();
    } catch (error) {
      this._fail(error.message);
    } finally {
      this._done.disabled = false;
    }
  }

  _fail(message) {
    this._error.textContent = message;
    this._name.focus();
  }
}
