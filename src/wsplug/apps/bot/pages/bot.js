/**
 * The bot's page: a console, and the commands to press.
 *
 * @module bot
 */

import { Log, make, showState, socketURL } from "./-/page.js";
import { connect } from "./-/wsplug.js";

/** How many entered lines the arrow keys bring back. */
const REMEMBERED = 100;

/** Milliseconds that the bot may take to say bye. */
const PATIENCE = 2000;

const element = (id) => document.getElementById(id);
const log = new Log(element("log"));
const line = element("line");

let connection;

/** Connect, and show what comes: text as it is, be it JSON or not. */
function begin() {
  connection = connect(socketURL(), { json: false });
  connection.addEventListener("message", ({ detail }) => log.add(String(detail)));
  connection.addEventListener("close", ({ detail }) => {
    const reason = detail.reason ? `: ${detail.reason}` : "";
    log.add(`The connection has ended (${detail.code}${reason}).`, "note");
  });
  connection.addEventListener("state", changed);
  showState(connection, element("state"));
  changed();
}

function changed() {
  const { state } = connection;
  const ended = state === "closed";
  for (const id of ["line", "send", "quit"]) element(id).hidden = ended;
  element("again").hidden = !ended;
  for (const chip of element("commands").children) chip.disabled = state !== "open";
  element("send").disabled = element("quit").disabled = state !== "open";
  if (ended) element("again").focus();
  if (state === "open") log.add("You are connected. Type help, or press a command.", "note");
}

/**
 * Say something to the bot.
 * @param {string} text
 * @returns {boolean} whether it is on its way
 */
function say(text) {
  if (connection.send(text)) {
    log.add(text, "out");
    return true;
  }
  log.add("There is no connection. Try again in a moment.", "bad");
  return false;
}

/** Where there is a keyboard, it writes; a phone's would cover half of the page. */
function focusLine() {
  if (matchMedia("(pointer: fine)").matches) line.focus();
}

// What was entered, and where the arrow keys are in it: at its end is the draft.
const entered = [];
let place = 0;
let draft = "";

line.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || event.isComposing) return;
  event.preventDefault();
  const next = place + step;
  if (next < 0 || next > entered.length) return;
  if (place === entered.length) draft = line.value;
  place = next;
  line.value = place === entered.length ? draft : entered[place];
});

element("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = line.value;
  if (!text.trim() || !say(text)) return;
  if (entered.at(-1) !== text) entered.push(text);
  if (entered.length > REMEMBERED) entered.shift();
  place = entered.length;
  line.value = draft = "";
});

element("quit").addEventListener("click", () => {
  const ending = connection;
  say("bye");
  // While a command is at work, the bot doesn't hear it.
  setTimeout(() => ending.state !== "closed" && ending.close(), PATIENCE);
});

element("again").addEventListener("click", () => {
  begin();
  focusLine();
});

/** Have a button for each command that the server knows. */
async function showCommands() {
  const response = await fetch("commands.json");
  if (!response.ok) throw new Error(`commands.json: ${response.status}`);
  const { commands } = await response.json();
  const chips = commands.map(({ words, help }) => {
    const [word] = words;
    const chip = make("button", { class: "chip", type: "button", title: help }, word);
    chip.disabled = connection.state !== "open";
    chip.addEventListener("click", () => {
      say(word);
      focusLine();
    });
    return chip;
  });
  element("commands").replaceChildren(...chips);
  element("commands").hidden = chips.length === 0;
  log.follow();
}

begin();
focusLine();
showCommands().catch(() => log.add("The list of commands can't be had. Type help.", "note"));
