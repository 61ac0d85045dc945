/**
 * The bot's page: a console, and a button for each command.
 *
 * @module bot
 */

import { Log, make, showState, socketURL } from "./-/page.js";
import { connect } from "./-/wsplug.js";

/** How many entered lines the arrow keys recall. */
const REMEMBERED = 100;

/** Milliseconds to wait for the bot to close after "bye". */
const BYE_TIMEOUT = 2000;

const element = (id) => document.getElementById(id);
const log = new Log(element("log"));
const line = element("line");

let connection;

/** Connect, and show messages as plain text, even if they are JSON. */
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
 * Send a line to the bot.
 * @param {string} text
 * @returns {boolean} whether it was sent
 */
function say(text) {
  if (connection.send(text)) {
    log.add(text, "out");
    return true;
  }
  log.add("There is no connection. Try again in a moment.", "bad");
  return false;
}

/** Focus the field, except on phones, where the keyboard would cover half of the page. */
function focusLine() {
  if (matchMedia("(pointer: fine)").matches) line.focus();
}

// The entered lines, and the index of the one that is shown. After the last one comes the draft.
const entered = [];
let shown = 0;
let draft = "";

line.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || event.isComposing) return;
  event.preventDefault();
  const next = shown + step;
  if (next < 0 || next > entered.length) return;
  if (shown === entered.length) draft = line.value;
  shown = next;
  line.value = shown === entered.length ? draft : entered[shown];
});

element("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = line.value;
  if (!text.trim() || !say(text)) return;
  if (entered.at(-1) !== text) entered.push(text);
  if (entered.length > REMEMBERED) entered.shift();
  shown = entered.length;
  line.value = draft = "";
});

element("quit").addEventListener("click", () => {
  const ending = connection;
  say("bye");
  // The bot doesn't read "bye" while a command is running.
  setTimeout(() => ending.state !== "closed" && ending.close(), BYE_TIMEOUT);
});

element("again").addEventListener("click", () => {
  begin();
  focusLine();
});

/** Make a button for each command that the server knows. */
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
showCommands().catch(() => log.add("The list of commands isn't available. Type help.", "note"));
