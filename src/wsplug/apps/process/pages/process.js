/**
 * A program's page: shows its output, and has a line for its input.
 *
 * It uses a bare WebSocket. wsplug.js would decode JSON that a program prints, and would
 * reconnect, which starts another program.
 */

import { Log, make, showState, socketURL } from "./-/page.js";
import { pieces } from "./ansi.js";

/** How many lines may wait to be shown. The log keeps no more. */
const WAITING = 2000;

/** Characters of a line that are shown. */
const MAX_LENGTH = 20000;

const element = (id) => document.getElementById(id);

const log = new Log(element("log"));
const line = element("line");

/** The program gets the page's path and query. */
function address() {
  const name = location.pathname.split("/").pop();
  return socketURL((name === "index.html" ? "" : name) + location.search);
}

/** Shows lines. If they come faster than they can be shown, it shows the last ones. */
class Screen {
  constructor() {
    this._lines = [];
    this._left = 0;
  }

  add(text) {
    this._lines.push(text);
    if (this._lines.length > WAITING) {
      this._lines.shift();
      this._left += 1;
    }
    this._frame ??= requestAnimationFrame(() => this.show());
  }

  show() {
    cancelAnimationFrame(this._frame);
    this._frame = null;
    // Together, so that the page is laid out once for all of them.
    const lines = document.createDocumentFragment();
    if (this._left) lines.append(note(`${this._left} lines came too fast and aren’t shown`));
    for (const text of this._lines) lines.append(...shown(text));
    log.append(lines);
    this._lines = [];
    this._left = 0;
  }
}

const note = (text) => make("p", { class: "line note" }, text);

/** Make the elements for a line of output. */
function shown(text) {
  const cut = text.length > MAX_LENGTH;
  const parts = pieces(cut ? text.slice(0, MAX_LENGTH) : text).map(({ text, classes }) =>
    make("span", { class: classes }, text),
  );
  const line = make("p", { class: "line in", dir: "auto" }, ...parts);
  if (!parts.length) line.append("\u00a0"); // an empty line has a height
  return cut ? [line, note(`${text.length - MAX_LENGTH} more characters`)] : [line];
}

/** A connection. Events: "state". */
class Session extends EventTarget {
  constructor() {
    super();
    this.state = "connecting";
    this._socket = new WebSocket(address());
    this._socket.binaryType = "arraybuffer";
    this._decoder = new TextDecoder();
    this._rest = "";
    this._screen = new Screen();
    this._socket.onopen = () => this._become("open");
    this._socket.onmessage = ({ data }) => this._receive(data);
    this._socket.onclose = (event) => this._end(event);
  }

  send(text) {
    this._socket.send(text);
    this._screen.show(); // earlier output stays above it
    log.add(text, "out");
  }

  /** Leave: a program of one's own ends with its connection. */
  end() {
    this._socket.close(1000, "");
  }

  _receive(data) {
    if (typeof data === "string") {
      this._screen.add(data);
      return;
    }
    // Binary framing: show lines when they end. Show a last one without an end when more
    // of it comes, or after a moment.
    const lines = (this._rest + this._decoder.decode(data, { stream: true })).split(/\r?\n/);
    this._rest = lines.pop();
    for (const each of lines) this._screen.add(each);
    clearTimeout(this._pending);
    if (this._rest) this._pending = setTimeout(() => this._flush(), 100);
  }

  _flush() {
    if (this._rest) this._screen.add(this._rest);
    this._rest = "";
  }

  _end({ code, reason }) {
    clearTimeout(this._pending);
    this._flush();
    this._screen.show();
    const why = reason || (code === 1006 ? "no connection to the server" : "");
    const text = `Closed with ${code}${why && `: ${why}`}`;
    log.add(text, code === 1000 ? "note" : "bad");
    this._become("closed");
  }

  _become(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

let session;

function open() {
  session = new Session();
  showState(session, element("state"));
  session.addEventListener("state", follow);
  follow();
}

/** Update the form for the session's state. */
function follow() {
  const { state } = session;
  element("send").disabled = line.disabled = state !== "open";
  element("send").hidden = element("end").hidden = state === "closed";
  element("end").disabled = state !== "open";
  element("again").hidden = state !== "closed";
  if (state === "open") line.focus();
  if (state === "closed") element("again").focus();
}

/** Lines that were sent, which the arrow keys recall. */
const history = [];
let at = 0;

element("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  if (session.state !== "open") return;
  session.send(line.value);
  if (line.value && line.value !== history.at(-1)) history.push(line.value);
  at = history.length;
  line.value = "";
});

line.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || !history.length || event.isComposing) return;
  event.preventDefault();
  at = Math.max(0, Math.min(history.length, at + step));
  line.value = history[at] ?? "";
});

element("again").addEventListener("click", open);
element("end").addEventListener("click", () => session.end());
element("clear").addEventListener("click", () => {
  log.clear();
  if (session.state === "open") line.focus();
});

/** Decode a path, if it can be decoded. */
function readable(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

const url = address();
const name = readable(url.pathname);
const place = name + url.search;

/** Show which program this is, and where. */
function entitle(program) {
  element("program").textContent = element("program").title = program;
  element("title").textContent = element("title").title = place === "/" ? "" : place;
  document.title = place === "/" ? program : `${place} – ${program}`;
}

/** Ask the server which program this is, and who ends it. */
async function ask() {
  const response = await fetch("program.json");
  if (!response.ok) return;
  const { title, mode } = await response.json();
  entitle(title);
  const end = element("end");
  const isOwn = mode === "client";
  end.textContent = isOwn ? "End" : "Leave";
  end.title = isOwn ? "End the program" : "Disconnect; the program goes on for others";
}

entitle("Program");
ask().catch(() => {}); // the program can be used without its name
open();
