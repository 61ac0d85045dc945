/**
 * What an operator does: asked for, confirmed in a dialog, and answered.
 *
 * @module actions
 */

import { make } from "./-/page.js";
import { plural } from "./format.js";

const find = (id) => document.getElementById(id);

const TIMES = [
  ["600", "10 minutes"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "1 week"],
  ["2592000", "30 days"],
];

function field(label, control) {
  return make("label", {}, make("span", {}, label), control);
}

function choice(name, pairs, chosen) {
  const made = make("select", { name }, ...pairs.map(([value, text]) => make("option", { value }, text)));
  made.value = chosen;
  return made;
}

const note = (...text) => make("p", { class: "quiet" }, ...text);
const bold = (text) => make("bdi", { class: "strong", dir: "auto" }, text);

export class Actions {
  /** @param {() => any} connection gives the connection @param {(text: string) => void} say */
  constructor(connection, say) {
    this._connection = connection;
    this._say = say;
    this._dialog = find("dialog");
    this._form = find("doing");
    this._form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._do();
    });
    find("cancel").addEventListener("click", () => this._dialog.close());
  }

  get isOpen() {
    return this._dialog.open;
  }

  notice(to, target = {}) {
    const text = make("textarea", { name: "text", required: true, maxLength: 2000, rows: 3 });
    this._ask(`Notice to ${to}`, "Send", [
      note("Applications tell it their clients in their own way; those that have none don’t."),
      field("Text", text),
    ], async ({ text: said }) => {
      const { reached, unable = 0 } = await this._request({ type: "notice", text: said, ...target });
      return `${plural(reached, "client")} got the notice${unable ? `; ${plural(unable, "client")} can’t be told` : ""}.`;
    });
  }

  /** What can be done to one client. */
  client({ id, client, address, application }) {
    const isLocal = address === "local";
    const actions = [
      ["notice", "Send a notice"],
      ["close", "Close this connection"],
      ...(isLocal ? [] : [["close-all", `Close all of ${address}`], ["ban", `Ban ${address}`]]),
    ];
    const what = choice("what", actions, "notice");
    const parts = {
      notice: [field("Text", make("textarea", { name: "text", required: true, maxLength: 2000, rows: 3 }))],
      close: this._closing(),
      "close-all": this._closing(),
      ban: this._banning(),
    };
    const words = { notice: "Send", close: "Close it", "close-all": "Close all", ban: "Ban" };
    const place = make("div", { class: "fields" });
    const show = () => {
      place.replaceChildren(...parts[what.value]);
      find("do").textContent = words[what.value];
    };
    what.addEventListener("change", show);
    const about = note(bold(client), ", ", bold(application));
    this._ask("Client", "Send", [about, field("What", what), place], async (values) => {
      if (values.what === "notice") {
        const { reached } = await this._request({ type: "notice", text: values.text, client: id });
        return reached ? `${client} got the notice.` : `${client} can’t be told: its application has no notices.`;
      }
      if (values.what === "ban") return this._ban(address, values);
      const target = values.what === "close" ? { client: id } : { address };
      return this._close(target, values);
    });
    show();
  }

  banOther() {
    const address = make("input", { name: "address", required: true, maxLength: 100, placeholder: "192.0.2.1 or 2001:db8::/48" });
    this._ask("Ban an address", "Ban", [
      field("Address or network", address),
      ...this._banning(),
    ], (values) => this._ban(values.address, values));
  }

  lift(address) {
    this._ask(`Lift the ban of ${address}`, "Lift", [note("Who is there may come in again at once.")], async () => {
      await this._request({ type: "lift", address });
      return `${address} is not banned any more.`;
    });
  }

  publish(channel) {
    const name = make("input", { name: "channel", required: true, maxLength: 1000, value: channel });
    const data = make("textarea", { name: "data", rows: 4, maxLength: 65536, spellcheck: false });
    const store = make("input", { name: "store", type: "checkbox", checked: true });
    this._ask("Publish", "Publish", [
      note("The text goes to the channel as it is: for push, any text or JSON. Other applications pass on only what has their own form."),
      field("Channel", name),
      field("Text", data),
      make("label", { class: "check" }, store, " Keep it for later subscribers"),
    ], async (values) => {
      const message = { type: "publish", channel: values.channel, data: values.data, store: values.store === "on" };
      const { offset } = await this._request(message);
      return `Published in ${values.channel}${message.store ? `, as #${offset}` : ""}.`;
    });
    (channel ? data : name).focus();
  }

  drain() {
    const what = choice("what", [
      ["restart", "For a restart: clients come back (1012)"],
      ["good", "For good: the server goes away (1001)"],
    ], "restart");
    this._ask("Drain the server", "Send everybody away", [
      note("It listens no more, and all connections are closed. This can’t be taken back; the process itself goes on until it is stopped."),
      field("What for", what),
    ], async (values) => {
      await this._request({ type: "drain", for_good: values.what === "good" });
      return "The server drains.";
    });
  }

  _closing() {
    return [
      field("Code", make("input", { name: "code", type: "number", min: "1000", max: "4999", value: "1008", required: true })),
      field("Reason", make("input", { name: "reason", maxLength: 123, value: "closed by the operator" })),
      note("Clients see both. 1008 tells them not to come back by themselves; 1012 and 1013 tell them to."),
    ];
  }

  _banning() {
    return [
      field("For", choice("seconds", TIMES, "3600")),
      field("Note", make("input", { name: "note", maxLength: 200, placeholder: "for operators; clients don’t see it" })),
      note("Its connections are closed, and new ones get a 403. An IPv6 address stands for the /64 that it is in."),
    ];
  }

  async _close(target, { code, reason }) {
    const { count } = await this._request({ type: "close", ...target, code: Number(code), reason });
    return `${plural(count, "connection")} closed.`;
  }

  async _ban(address, { seconds, note: said }) {
    const { ban, count } = await this._request({ type: "ban", address, seconds: Number(seconds), note: said });
    return `${ban.address} is banned; ${plural(count, "connection")} closed.`;
  }

  _request(message) {
    return this._connection().request(message);
  }

  _ask(title, word, children, action) {
    find("dialog-title").textContent = title;
    find("do").textContent = word;
    find("fields").replaceChildren(...children);
    find("problem").hidden = true;
    find("do").disabled = false;
    this._action = action;
    this._dialog.showModal();
  }

  async _do() {
    const values = Object.fromEntries(new FormData(this._form));
    find("do").disabled = true;
    try {
      this._say(await this._action(values));
      this._dialog.close();
    } catch (error) {
      find("problem").textContent = `That didn’t work: ${error.message}.`;
      find("problem").hidden = false;
    }
    find("do").disabled = false;
  }
}
