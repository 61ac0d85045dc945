/** The connection, and the visitor's identity on it. */

import { Identity, WhoDialog } from "./identity.js";
import { connect } from "./-/wsplug.js";
import { MOUNT } from "./-/page.js";

const WORDS = { enter: "join", leave: "leave", key: "room" };

/** The close code for a message that is too large. */
const TOO_BIG = 1009;

export const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export class Session {
  /** @param chat.welcomed called on each connection, before any room is joined */
  constructor(chat) {
    this._chat = chat;
    this.identity = new Identity();
    this._dialog = new WhoDialog(document.querySelector("#who"), this.identity);
    this.identity.listen(chat.changed);
    this._greetings = 0;
  }

  /** Connect, and ask for a name if neither the page nor the server knows it. */
  start() {
    this.connection = connect(MOUNT, {
      protocols: "wsplug.chat.v1",
      greet: (made) => this._greet(made),
      again: ({ code }) => (code === TOO_BIG && this._chat.refuseLargest()) || undefined,
    });
    this.connection.addEventListener("state", () => {
      if (this.connection.state !== "open") this._chat.lost();
    });
    this.connection.addEventListener("message", ({ detail }) => {
      if (detail.type === "notice") this._chat.noticed(detail.message);
    });
    this.connection.addEventListener("error", ({ detail }) => this._failed(detail));
  }

  /** Join a room. */
  subscribe(room, heard) {
    const subscription = this.connection.subscribe(room, { words: WORDS });
    for (const [type, listener] of Object.entries(heard)) {
      subscription.addEventListener(type, ({ detail }) => listener(detail));
    }
    return subscription;
  }

  /**
   * Ask for another name.
   * @param [error] what is wrong with the current one
   */
  rename(error) {
    return this._dialog.ask(async (name, color) => {
      let names = {};
      if (this.connection?.state === "open") {
        const answer = await this.connection.request({ type: "name", name, color });
        names = answer.names;
      }
      this.identity.save(name, color); // as chosen: each hello has it
      this._chat.renamed(names);
    }, error);
  }

  async _greet(connection) {
    const number = ++this._greetings;
    while (number === this._greetings) {
      const { name, color, key } = this.identity; // another tab may have changed them
      try {
        const answer = await connection.request({ type: "hello", name, color, key });
        if (answer.fixed_name) this.identity.fix(answer.name);
        this._chat.welcomed(answer);
        return;
      } catch (error) {
        if (error.code === "empty" && !name) await this._askFirst();
        else if (error.code === "rate-limited") await wait(error.answer.retry_after);
        else throw error;
      }
    }
  }

  /** Ask for a name, once, even if the connection is lost meanwhile. */
  _askFirst() {
    this._asking ??= this._dialog.ask(async (name, color) => this.identity.save(name, color));
    return this._asking;
  }

  _failed(error) {
    if (!("code" in error)) this._chat.complain(`Something went wrong: ${error.message}.`);
    else if (!error.passes) {
      this._dialog.ask(async (name, color) => {
        this.identity.save(name, color);
        this.connection.retryNow();
      }, error.message);
    }
  }
}
