/** Notifications of mentions and direct messages, for those who have asked for them. */

import { everywhere } from "./store.js";
import { MOUNT } from "./-/page.js";

const find = (id) => document.getElementById(id);

const can = "Notification" in window && window.isSecureContext;

/** Seconds after which a message is no news any more. */
const FRESH = 60;

export class Notifier {
  /** @param open opens a conversation */
  constructor(open) {
    this._open = open;
    find("notify").addEventListener("click", () => this._set(!this._isOn));
    find("ask-yes").addEventListener("click", () => this._set(true));
    find("ask-no").addEventListener("click", () => this._set(false));
    everywhere.listen(() => this._show());
    this._show();
  }

  get _isOn() {
    return can && Notification.permission === "granted" && everywhere.get("notify", false);
  }

  /** Tell of a message that isn't in sight; or ask, once, whether to. */
  tell({ key, name, isDirect }, message) {
    if (!can || Date.now() / 1000 - message.time > FRESH) return;
    if (!this._isOn) {
      const isAsked = everywhere.get("notify-asked", false);
      find("ask").hidden = isAsked || Notification.permission === "denied";
      return;
    }
    try {
      const title = isDirect ? message.name : `${message.name} in ${name}`;
      const icon = new URL("-/favicon.svg", MOUNT).href;
      const shown = new Notification(title, { body: message.message.slice(0, 200), tag: key, icon });
      shown.addEventListener("click", () => {
        window.focus();
        this._open(key);
        shown.close();
      });
    } catch {
      // Some browsers only let service workers do this.
    }
  }

  async _set(isWanted) {
    const isAllowed = isWanted && can && (await Notification.requestPermission()) === "granted";
    everywhere.set("notify", isAllowed);
    everywhere.set("notify-asked", true);
    find("ask").hidden = true;
    this._show();
  }

  _show() {
    const button = find("notify");
    button.hidden = !can;
    button.setAttribute("aria-pressed", String(this._isOn));
    const isDenied = can && Notification.permission === "denied";
    button.disabled = isDenied;
    button.title = isDenied ? "Your browser’s settings forbid this page to notify you" : "";
  }
}
