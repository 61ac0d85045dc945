/**
 * Shows the ticker's messages, and ends it.
 *
 * @module ticker
 */

import { connect } from "./-/wsplug.js";
import { Log, make, showState, socketURL } from "./-/page.js";

const find = (id) => document.getElementById(id);
const log = new Log(find("log"));
const quit = find("quit");
const again = find("again");
let connection;

function time() {
  return new Date().toLocaleTimeString([], { hour12: false });
}

function add(text, kind) {
  const line = log.add("", kind);
  line.append(make("span", { class: "time" }, `${time()}  `), text);
}

function start() {
  connection = connect(socketURL());
  showState(connection, find("state"));
  connection.addEventListener("message", (event) => add(String(event.detail), "in"));
  connection.addEventListener("state", update);
  update();
}

function update() {
  const ended = connection.state === "closed";
  if (ended && !again.hidden) return;
  quit.disabled = connection.state !== "open";
  quit.hidden = ended;
  again.hidden = !ended;
  if (ended) {
    add("The server has closed the connection.", "note");
    again.focus();
  }
}

quit.addEventListener("click", () => {
  if (connection.send("quit")) add("quit", "out");
});
again.addEventListener("click", () => {
  start();
  quit.focus();
});
find("clear").addEventListener("click", () => log.clear());
start();
