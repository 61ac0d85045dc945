/**
 * Shows what is published in channels, and publishes. The URL has the channels:
 * `?channel=news&channel=weather`.
 *
 * @module push
 */

import { connect } from "./-/wsplug.js";
import { Log, make, showState, socketURL } from "./-/page.js";

/** How many messages of the past are shown for a channel. */
const PAST = 20;

const find = (id) => document.getElementById(id);
const log = new Log(find("log"));
const connection = connect(socketURL());
/** @type {Map<string, import("./-/wsplug.js").Subscription>} */
const subscriptions = new Map();

showState(connection, find("state"));
connection.addEventListener("message", ({ detail }) => {
  if (detail.type === "notice") log.add(`From the operator: ${detail.message}`, "note");
});

// Subscribing

function subscribe(name) {
  if (subscriptions.has(name)) return;
  const subscription = connection.subscribe(name, { limit: PAST });
  subscriptions.set(name, subscription);
  subscription.addEventListener("message", (event) => show(event.detail));
  subscription.addEventListener("gap", (event) => note(name, gapText(event.detail.count)));
  subscription.addEventListener("error", (event) => {
    warn(`${name}: ${event.detail.message}`);
    unsubscribe(name);
  });
  showChannels();
}

function unsubscribe(name) {
  subscriptions.get(name)?.close();
  subscriptions.delete(name);
  showChannels();
}

function showChannels() {
  const buttons = [...subscriptions.keys()].map((name) => {
    const button = make("button", { class: "chip", type: "button", title: `Unsubscribe from ${name}`, ariaLabel: `Unsubscribe from ${name}` }, name);
    button.addEventListener("click", () => {
      unsubscribe(name);
      find("channel").focus();
    });
    return make("li", {}, button);
  });
  find("channels").replaceChildren(...buttons);
  const query = new URLSearchParams([...subscriptions.keys()].map((name) => ["channel", name]));
  history.replaceState(null, "", subscriptions.size ? `?${query}` : location.pathname);
}

function warn(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

find("subscribing").addEventListener("submit", (event) => {
  event.preventDefault();
  warn("");
  const name = find("channel").value.trim();
  if (!name) return;
  subscribe(name);
  find("channel").value = "";
  find("target").value = name;
  showCommand();
});

// Publications

function gapText(count) {
  if (count === null) return "some messages are missing";
  return count === 1 ? "1 message missed" : `${count} messages missed`;
}

function note(channel, text) {
  log.add(`${channel}: ${text}`, "note");
}

function show({ channel, offset, time, data, data64 }) {
  const at = new Date(time * 1000);
  const shown = data64 === undefined ? showData(data) : `${data64}`;
  const about = make(
    "div",
    { class: "about" },
    make("span", { class: "channel" }, channel),
    make("span", { class: "offset" }, offset === undefined ? "not stored" : `#${offset}`),
    make("time", { dateTime: at.toISOString(), title: at.toLocaleString() }, at.toLocaleTimeString([], { hour12: false })),
    ...(data64 === undefined ? [] : [make("span", {}, "base64")]),
  );
  log.append(make("article", { class: "publication" }, about, make("pre", { dir: "auto" }, shown)));
}

function showData(data) {
  return typeof data === "string" ? data : JSON.stringify(data, null, 2);
}

find("clear").addEventListener("click", () => log.clear());

// Publishing

function publishURL(channel) {
  const url = new URL("publish", new URL(".", location.href));
  // These characters of names needn't be escaped in a query.
  url.search = `?channel=${encodeURIComponent(channel).replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%40", "@")}`;
  return url;
}

function showCommand() {
  const url = publishURL(find("target").value || "news");
  find("command").textContent =
    `curl -H "Authorization: Bearer $TOKEN" --data-binary 'Hello' '${url.href.replaceAll("'", "%27")}'`;
}

function say(text, kind) {
  find("result").textContent = text;
  find("result").dataset.kind = kind;
}

async function publish() {
  const url = publishURL(find("target").value.trim());
  if (!find("store").checked) url.searchParams.set("store", "no");
  // Tokens and headers have no other characters.
  const token = find("token").value.replace(/[^\x21-\x7e]/g, "");
  const response = await fetch(url, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "text/plain; charset=utf-8" },
    body: find("message").value,
    credentials: "omit",
    cache: "no-store",
  });
  const text = await response.text();
  let answer = {};
  try {
    answer = JSON.parse(text);
  } catch {
    // An answer that isn't the application's own is plain text.
  }
  if (!response.ok) throw new Error(answer.message ?? text.trim());
  return answer.published[0];
}

find("publishing").addEventListener("submit", async (event) => {
  event.preventDefault();
  say("Publishing …", "");
  try {
    const { subscribers, position } = await publish();
    const where = position ? ` as #${position.offset}` : "";
    say(`Published${where}, to ${subscribers} ${subscribers === 1 ? "subscriber" : "subscribers"}.`, "good");
    find("message").value = "";
    find("message").focus();
  } catch (error) {
    say(`Not published: ${error.message}.`, "bad");
  }
});

find("target").addEventListener("input", showCommand);
find("copy").addEventListener("click", async () => {
  const button = find("copy");
  try {
    await navigator.clipboard.writeText(find("command").textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(find("command")); // to copy it by hand
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
});

// Start

const wanted = new URLSearchParams(location.search).getAll("channel");
for (const name of wanted.length ? wanted : ["news"]) subscribe(name);
find("target").value = subscriptions.keys().next().value;
find("publish").open = innerWidth >= 900;
showCommand();
