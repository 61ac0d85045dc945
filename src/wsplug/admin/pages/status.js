/**
 * The status page: what the server says each second, and what is asked of it.
 * docs/reference/status.md has the wire format.
 *
 * @module status
 */

import { make, showState, socketURL } from "./-/page.js";
import { connect } from "./-/wsplug.js";
import { Actions } from "./actions.js";
import { Chart } from "./chart.js";
import { bytes, count, plural, setAhead, span, timeOfDay } from "./format.js";
import { button, buttons, cell, change, Rows } from "./rows.js";

/** Samples that are shown. */
const KEPT = 300;

/** Disconnects and refusals that are shown one by one. */
const EVENTS = 200;

/** Milliseconds between two looks at who is connected. */
const LOOK = 2000;

const TOKEN = "wsplug-admin-token";

const find = (id) => document.getElementById(id);

const charts = [
  new Chart("Connections", [{ key: "connections", label: "open" }], count),
  new Chart("Messages a second", [
    { key: "received_messages", label: "in" },
    { key: "sent_messages", label: "out" },
  ], count),
  new Chart("Bytes a second", [
    { key: "received_bytes", label: "in" },
    { key: "sent_bytes", label: "out" },
  ], bytes, 1024),
  new Chart("Output that waits for slow clients", [{ key: "waiting", label: "waiting" }], bytes, 1024),
  new Chart("Clients that don’t keep up", [{ key: "stalled", label: "stalled now" }], count),
  new Chart("Coming and going, a second", [
    { key: "accepted", label: "came" },
    { key: "closed", label: "left" },
  ], count),
];
find("charts").append(...charts.map(({ element }) => element));

let samples = [];
let events = [];
let started = 0;
let numbered = 0;
/** What the server's clock is ahead of this one, in seconds. */
let ahead = 0;
let applications = new Map();

const connection = connect(socketURL(), { protocols: "wsplug.status.v1", check: { type: "ping" } });
const now = () => Date.now() / 1000 + ahead;

function say(text) {
  find("said").textContent = text;
}

const actions = new Actions(() => connection, say);

// Who

function askToken(problem = "") {
  find("auth").hidden = false;
  find("board").hidden = true;
  find("denied").textContent = problem;
  find("denied").hidden = !problem;
  find("token").focus();
}

let isDenied = false;

function authenticate() {
  const token = sessionStorage.getItem(TOKEN);
  if (!token) {
    askToken();
    return;
  }
  connection.request({ type: "auth", token }).then(welcome, (error) => {
    if (error.passes) return; // it will be tried again
    isDenied = true;
    sessionStorage.removeItem(TOKEN);
    const wait = error.answer.retry_after;
    askToken(wait ? `Too many wrong tokens: wait ${span(wait)}.` : "This token is wrong.");
  });
}

find("auth").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, find("token").value);
  find("token").value = "";
  find("denied").hidden = true;
  isDenied = false;
  if (connection.state === "open") authenticate();
  else connection.retryNow();
});

// What comes

function welcome(message) {
  find("auth").hidden = true;
  find("board").hidden = false;
  ({ started } = message);
  ahead = message.time - Date.now() / 1000;
  setAhead(message.today - message.time);
  samples = message.history.slice(-KEPT);
  applications = new Map(message.applications);
  events = [];
  addEvents(message);
  showSettings(message.settings);
  find("about").title = `${message.python}, Twisted ${message.twisted}, codec: ${message.codec}`;
  find("about").dataset.version = `wsplug ${message.version} (${message.codec})`;
  causes.show(message.causes);
  showBans(message.bans);
  showAbout(message.state);
  showSamples();
  look();
}

function receive(message) {
  const { type } = message;
  if (type === "auth-required") authenticate();
  else if (type === "welcome") welcome(message);
  else if (type === "sample") tick(message);
}

function tick({ sample, state, departures, refusals, causes: counts, bans }) {
  samples.push(sample);
  if (samples.length > KEPT) samples.shift();
  if (departures || refusals) addEvents({ departures, refusals });
  if (counts) causes.show(counts);
  if (bans) showBans(bans);
  else showLeft();
  showAbout(state);
  showSamples();
}

function showSamples() {
  const sample = samples.at(-1);
  if (sample) document.title = `${plural(sample.connections, "connection")} · Status`;
  if (document.hidden) return;
  for (const chart of charts) chart.show(samples, KEPT);
  byApplication.show(listApplications(sample?.applications ?? []));
}

function showAbout(state) {
  const about = find("about");
  about.textContent = `${about.dataset.version}, up ${span(now() - started)}`;
  const ready = find("ready");
  ready.hidden = false;
  if (ready.textContent !== state) ready.textContent = state;
  ready.dataset.state = state;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && samples.length) showSamples();
});

// By application

function listApplications(told) {
  const known = new Map(told.map((each) => [each.name, each]));
  const quiet = { connections: 0, received_messages: 0, sent_messages: 0, received_bytes: 0, sent_bytes: 0 };
  return [...new Set([...applications.keys(), ...known.keys()])].map((name) => ({ ...quiet, ...known.get(name), name }));
}

const RATES = [
  ["Connections", "connections", count],
  ["Messages in/s", "received_messages", count],
  ["Messages out/s", "sent_messages", count],
  ["Bytes in/s", "received_bytes", bytes],
  ["Bytes out/s", "sent_bytes", bytes],
];

const byApplication = new Rows(
  find("applications"),
  ({ name }) => name,
  (item) =>
    make(
      "tr",
      {},
      cell("Application", item.name, "first"),
      cell("Path", applications.get(item.name) ?? ""),
      ...RATES.map(([label, key, format]) => cell(label, format(item[key]), "number")),
      buttons(button("Notice …", `Notice to all clients of ${item.name}`, () =>
        actions.notice(`all clients of ${item.name}`, { application: item.name }))),
    ),
  (row, item) => RATES.forEach(([, key, format], index) => change(row.children[index + 2], format(item[key]))),
);

// Who is connected

const clients = new Rows(
  find("clients"),
  ({ id }) => id,
  (item) =>
    make(
      "tr",
      {},
      cell("Client", item.client, "first mono"),
      cell("Name", item.name ?? ""),
      cell("Application", item.application),
      cell("Path", item.path, "mono"),
      cell("For", span(now() - item.opened), "number"),
      cell("Waiting", bytes(item.waiting), "number"),
      buttons(button("Act …", `Act on ${item.client}`, () => actions.client(item))),
    ),
  (row, item) => {
    change(row.children[4], span(now() - item.opened));
    change(row.children[5], bytes(item.waiting));
    row.classList.toggle("slow", item.waiting > 0);
  },
);

let looking;

/** Ask who is connected; not while somebody points at the list, and would miss. */
async function look(isForced = false) {
  clearTimeout(looking);
  const number = ++numbered;
  const isPointedAt = matchMedia("(hover: hover)").matches && find("clients").matches(":hover");
  const rests = !isForced && (document.hidden || isPointedAt || actions.isOpen);
  if (!rests && connection.state === "open" && !find("board").hidden) {
    if (!find("channels").hidden && !find("listed").matches(":hover")) lookForChannels();
    try {
      const search = find("words").value;
      const answer = await connection.request({ type: "clients", sort: find("sort").value, search });
      if (number !== numbered) return;
      showClients(answer, search);
    } catch (error) {
      if (!error.passes) say(`The clients can’t be shown: ${error.message}.`);
    }
  }
  if (number === numbered) looking = setTimeout(look, LOOK);
}

function showClients({ clients: shown, found, total }, search) {
  clients.show(shown);
  const of = found < total ? ` of ${count(total)}` : "";
  find("found").textContent = shown.length < found
    ? `${count(shown.length)} shown, ${count(found)}${of} found`
    : `${count(found)}${of}`;
  const empty = find("no-clients");
  empty.hidden = shown.length > 0;
  empty.textContent = search && total ? "Nobody like that is connected." : "Nobody is connected.";
}

find("search").addEventListener("submit", (event) => event.preventDefault());
find("words").addEventListener("input", () => look(true));
find("sort").addEventListener("change", () => look(true));

// Channels

const channels = new Rows(
  find("listed"),
  ({ name }) => name,
  (item) =>
    make(
      "tr",
      {},
      cell("Channel", item.name, "first mono"),
      cell("Subscribers", count(item.subscribers), "number"),
      cell("Kept", count(item.kept), "number"),
      cell("Size", bytes(item.size), "number"),
      buttons(button("Publish …", `Publish in ${item.name}`, () => actions.publish(item.name))),
    ),
  (row, item) => {
    change(row.children[1], count(item.subscribers));
    change(row.children[2], count(item.kept));
    change(row.children[3], bytes(item.size));
  },
);

let lookedForChannels = 0;

async function lookForChannels() {
  const number = ++lookedForChannels;
  const search = find("channel-words").value;
  try {
    const { channels: listed } = await connection.request({ type: "channels", search });
    if (number !== lookedForChannels) return;
    channels.show(listed);
    find("no-channels").hidden = listed.length > 0;
    find("no-channels").textContent = search ? "There is no channel like that." : "There are no channels.";
  } catch (error) {
    if (error.passes || error.code === "closed") return;
    find("channels").hidden = true; // this broker lists none
  }
}

find("channel-search").addEventListener("submit", (event) => event.preventDefault());
find("channel-words").addEventListener("input", lookForChannels);
find("publish-other").addEventListener("click", () => actions.publish(""));

// Why they left

function codeOf({ kind, code, status }) {
  return kind === "refused" || status ? `${status ?? code} (refused)` : `${code}`;
}

const causes = new Rows(
  find("causes"),
  ({ kind, application, code, side, setting }) => JSON.stringify([kind, application, code, side, setting]),
  (item) => {
    find("no-causes").hidden = true;
    return make(
      "tr",
      {},
      cell("How many", count(item.count), "number first"),
      cell("Code", codeOf(item)),
      cell("Side", item.side),
      cell("Setting", item.setting, "mono"),
      cell("Application", item.application),
    );
  },
  (row, item) => change(row.children[0], count(item.count)),
);

const eventRows = new Rows(
  find("events"),
  ({ number }) => number,
  (item) =>
    make(
      "tr",
      {},
      cell("Time", timeOfDay(item.time), "first"),
      cell("Client", item.client, "mono"),
      cell("Code and reason", item.reason ? `${codeOf(item)} ${item.reason}` : codeOf(item)),
      cell("Side", item.side ?? "server"),
      cell("Setting", item.setting ?? "", "mono"),
      cell("Application", item.application),
    ),
);

let eventNumber = 0;

function addEvents({ departures = [], refusals = [] }) {
  const news = [...departures, ...refusals].sort((one, other) => one.time - other.time);
  for (const each of news) events.unshift({ ...each, number: ++eventNumber });
  events = events.slice(0, EVENTS);
  find("no-events").hidden = events.length > 0;
  eventRows.show(events);
}

// Bans

let banned = [];

const banRows = new Rows(
  find("banned"),
  ({ address }) => address,
  (item) =>
    make(
      "tr",
      {},
      cell("Address", item.address, "first mono"),
      cell("Note", item.note),
      cell("Left", span(item.until - now()), "number"),
      buttons(button("Lift …", `Lift the ban of ${item.address}`, () => actions.lift(item.address))),
    ),
  (row, item) => change(row.children[2], span(item.until - now())),
);

function showBans(bans = []) {
  banned = bans;
  find("no-bans").hidden = bans.length > 0;
  showLeft();
}

function showLeft() {
  banRows.show(banned);
}

// Settings

function showSettings(settings) {
  find("set").replaceChildren(
    ...settings.map(({ name, value, help }) =>
      make("div", { title: help }, make("dt", {}, name), make("dd", {}, make("bdi", {}, value)))),
  );
}

// The connection

showState(connection, find("state"));
connection.addEventListener("message", ({ detail }) => receive(detail));
connection.addEventListener("state", ({ detail }) => {
  const isGone = detail === "waiting" || detail === "closed";
  find("board").classList.toggle("gone", isGone);
  find("ready").hidden = isGone || !started;
  find("again").hidden = !isGone || !find("auth").hidden;
  if (isGone && started) document.title = "Not connected · Status";
  if (detail === "open") say("");
});
connection.addEventListener("close", ({ detail: { code, reason } }) => {
  // While the form is there, the server doesn't wait for ever: it is asked again then.
  if (isDenied || !find("auth").hidden) return;
  say(`The server is gone: ${code}${reason && ` ${reason}`}. What is shown is how it was.`);
});
find("again").addEventListener("click", () => connection.retryNow());

find("notice-all").addEventListener("click", () => actions.notice("everybody"));
find("drain").addEventListener("click", () => actions.drain());
find("ban-other").addEventListener("click", () => actions.banOther());
