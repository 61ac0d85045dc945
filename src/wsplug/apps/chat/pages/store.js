/**
 * Data that the page stores in the browser. If the browser stores nothing, as some do in
 * private windows, it is kept while the page is open.
 */

import { MOUNT } from "./-/page.js";

class Store {
  /** @param scope the part of the origin that it is for */
  constructor(area, scope) {
    this._prefix = `wsplug.chat:${scope}:`;
    this._kept = new Map();
    try {
      this._area = window[area];
      this._area.getItem("");
    } catch {
      this._area = null;
    }
  }

  /** @param otherwise the value if there is none, or one of another type */
  get(key, otherwise) {
    let text = this._kept.get(key);
    try {
      text ??= this._area?.getItem(this._prefix + key);
      const value = JSON.parse(text ?? "null");
      const fits =
        value !== null &&
        typeof value === typeof otherwise &&
        Array.isArray(value) === Array.isArray(otherwise);
      return fits ? value : otherwise;
    } catch {
      return otherwise;
    }
  }

  set(key, value) {
    const text = JSON.stringify(value);
    try {
      if (!this._area) throw new Error("there is none");
      this._area.setItem(this._prefix + key, text);
      this._kept.delete(key);
    } catch {
      this._kept.set(key, text); // blocked, or full
    }
  }

  /** Call a listener when another tab changes a value. */
  listen(listener) {
    addEventListener("storage", ({ key, storageArea }) => {
      if (storageArea === this._area && key?.startsWith(this._prefix)) {
        listener(key.slice(this._prefix.length));
      }
    });
  }
}

/** For all chats of this origin: the visitor's identity. */
export const everywhere = new Store("localStorage", "");

/** For this chat, in all tabs and on later visits. */
export const forGood = new Store("localStorage", MOUNT.pathname);

/** For this chat in this tab. */
export const forNow = new Store("sessionStorage", MOUNT.pathname);

/** Replace lone surrogates, which JavaScript strings may have and UTF-8 can't encode. */
export function wellFormed(text) {
  return text.replace(/\p{Cs}/gu, "\ufffd");
}

export const isWellFormed = (text) => typeof text === "string" && wellFormed(text) === text;

export function randomHex(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}
