/**
 * The relay's page: shows every message, and sends what you type.
 *
 * @module relay
 */

import { Log, showState, socketURL } from "./-/page.js";
import { connect } from "./-/wsplug.js";

const find = (id) => document.getElementById(id);
const log = new Log(find("log"));
const text = find("text");

// Messages are shown as they are, even if they are JSON.
const connection = connect(socketURL(), { json: false });

connection.addEventListener("message", ({ detail }) => {
  const isText = typeof detail === "string";
  log.add(isText ? detail : `${detail.byteLength} bytes`, isText ? "in" : "note");
});
connection.addEventListener("close", ({ detail }) => {
  const reason = detail.reason ? `: ${detail.reason}` : "";
  log.add(`The connection has ended (${detail.code}${reason}).`, "note");
});
connection.addEventListener("state", changed);
showState(connection, find("state"));
changed();

function changed() {
  find("send").disabled = connection.state !== "open";
  find("again").hidden = connection.state !== "closed";
}

find("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  // The server sends it back, too, so the page needn't show it.
  if (connection.send(text.value)) text.value = "";
});
find("again").addEventListener("click", () => connection.retryNow());
