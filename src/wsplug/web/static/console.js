/**
 * The console for applications that have no page of their own: a plain WebSocket, what
 * is sent and received, and how it ends.
 *
 * @module console
 */

import { Log, make, socketURL } from "./page.js";

/** How many characters of a text, and bytes of a binary message, are shown. */
const SHOWN = 4000;
const BYTES = 64;

/** What close codes mean (RFC 6455 section 7.4.1 and IANA's registry). */
const CODES = {
  1000: "normal",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no code",
  1006: "lost, or never opened; the server's log may say why",
  1007: "invalid data",
  1008: "policy violation",
  1009: "message too big",
  1010: "an extension is missing",
  1011: "internal error",
  1012: "service restart",
  1013: "try again later",
  1014: "bad gateway",
  1015: "TLS failed",
  3000: "unauthorized",
  3003: "forbidden",
};

const $ = (id) => document.getElementById(id);
const log = new Log($("log"));
const number = new Intl.NumberFormat("en");

/** @type {WebSocket | null} */
let socket = null;

$("path").value = location.pathname + location.search;

function count(many, what) {
  return `${number.format(many)} ${what}${many === 1 ? "" : "s"}`;
}

function shorten(text) {
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)} …`;
}

/** @returns {string} the text, indented if it is JSON and that is wanted */
function format(text) {
  if (!$("json").checked) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function dump(buffer) {
  const bytes = [...new Uint8Array(buffer, 0, Math.min(buffer.byteLength, BYTES))];
  const shown = bytes.map((each) => each.toString(16).padStart(2, "0")).join(" ");
  return buffer.byteLength > BYTES ? `${shown} …` : shown;
}

function add(shown, kind, direction) {
  log.add(shorten(shown), direction).append(make("span", { class: "kind", dir: "ltr" }, kind));
  log.follow();
}

function receive({ data }) {
  if (typeof data === "string") {
    add(format(data), `text, ${count(data.length, "character")}`, "in");
  } else {
    add(dump(data), `binary, ${count(data.byteLength, "byte")}`, "in");
  }
}

function show(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
  $("connect").textContent = state === "closed" ? "Connect" : "Disconnect";
  $("send").disabled = state !== "open";
}

function opened() {
  show("open", "Connected");
  const { protocol, extensions } = socket;
  const more = [
    protocol ? `subprotocol ${protocol}` : "no subprotocol",
    extensions && `extensions ${extensions}`,
  ];
  log.add(`Connected: ${more.filter(Boolean).join(", ")}`, "note");
  $("text").focus();
}

function closed({ code, reason, wasClean }) {
  socket = null;
  show("closed", "Disconnected");
  const name = CODES[code] ? ` (${CODES[code]})` : "";
  log.add(`Closed: ${code}${name}${reason && `: ${reason}`}`, wasClean ? "note" : "bad");
}

function connect() {
  const url = socketURL();
  const path = $("path").value.trim();
  const names = $("subprotocols").value.split(",").map((name) => name.trim());
  try {
    const target = new URL(path.startsWith("/") ? path : `/${path}`, `${url.protocol}//${url.host}`);
    if (target.host !== url.host) throw new Error("the path must be one on this server");
    socket = new WebSocket(target, names.filter(Boolean));
  } catch (error) {
    log.add(`Not connected: ${error.message}`, "bad");
    return;
  }
  socket.binaryType = "arraybuffer";
  show("connecting", "Connecting …");
  log.add(`Connecting to ${socket.url}`, "note");
  socket.addEventListener("open", opened);
  socket.addEventListener("message", receive);
  socket.addEventListener("close", closed);
}

$("target").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket) socket.close(1000);
  else connect();
});

function send() {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  let text = $("text").value;
  if ($("json").checked) {
    try {
      text = JSON.stringify(JSON.parse(text));
    } catch (error) {
      log.add(`Not sent, this isn't JSON: ${error.message}`, "bad");
      return;
    }
  }
  socket.send(text);
  add(text, `text, ${count(text.length, "character")}`, "out");
  $("text").value = "";
  $("text").focus();
}

$("message").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

// Enter sends, as in a chat; with Shift it begins a new line.
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});

$("clear").addEventListener("click", () => log.clear());

connect();
