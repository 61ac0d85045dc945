/**
 * The echo's page: shows what you send, what comes back, and the round-trip time.
 *
 * @module echo
 */

import { Log, make, showState, socketURL } from "./-/page.js";
import { connect } from "./-/wsplug.js";

/** How many characters of a text are shown. */
const SHOWN = 2000;

const $ = (id) => document.getElementById(id);
const log = new Log($("log"));
const connection = connect(socketURL(location.search), { json: false });

/** Messages without an answer. Answers come in the order of sending. */
let waiting = [];

const number = new Intl.NumberFormat("en");

function describe(text) {
  if (text.length <= SHOWN) return text;
  return `${text.slice(0, SHOWN)} … (${number.format(text.length)} characters)`;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  const [unit, name] = bytes < 1024 ** 2 ? [1024, "KiB"] : [1024 ** 2, "MiB"];
  return `${(bytes / unit).toFixed(1)} ${name}`;
}

function took(milliseconds) {
  const time = milliseconds < 100 ? milliseconds.toFixed(1) : Math.round(milliseconds);
  return make("span", { class: "took", dir: "ltr", title: "round-trip time" }, `${time} ms`);
}

function same(one, other) {
  const [left, right] = [new Uint8Array(one), new Uint8Array(other)];
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** @returns {boolean} whether it was sent */
function send(message, shown) {
  const at = performance.now();
  if (!connection.send(message)) {
    log.add("Not sent: there is no connection.", "bad");
    return false;
  }
  waiting.push({ message, at });
  log.add(shown, "out");
  return true;
}

function receive(answer) {
  const now = performance.now();
  const sent = waiting.shift();
  let shown = answer;
  if (typeof answer === "string") {
    shown = describe(answer);
  } else {
    const equal = sent && typeof sent.message !== "string" && same(sent.message, answer);
    shown = `${size(answer.byteLength)}, ${equal ? "unchanged" : "not what was sent"}`;
  }
  const line = log.add(shown, "in");
  if (sent) line.append(took(now - sent.at));
  log.follow();
}

showState(connection, $("state"));
connection.addEventListener("message", ({ detail }) => receive(detail));
connection.addEventListener("state", ({ detail }) => {
  $("again").hidden = detail !== "closed" && detail !== "waiting";
});
connection.addEventListener("close", ({ detail }) => {
  const { code, reason } = detail;
  const lost = waiting.length ? `; ${number.format(waiting.length)} without an answer` : "";
  log.add(`Connection lost: ${code}${reason && ` ${reason}`}${lost}`, "bad");
  waiting = [];
});

$("again").addEventListener("click", () => connection.retryNow());

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = $("text");
  if (send(input.value, describe(input.value))) input.value = "";
  input.focus();
});

$("choose").addEventListener("click", () => $("file").click());

$("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  try {
    send(await file.arrayBuffer(), `${file.name} (${size(file.size)})`);
  } catch {
    log.add(`${file.name} can't be read.`, "bad");
  }
  target.value = "";
});
