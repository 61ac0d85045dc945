/**
 * The part of Markdown that messages may have: code, bold, italic, struck, and quotes; and
 * links and names. It makes nodes of text, never HTML, and takes time in proportion to the
 * text's length.
 */

import { linkOf, LINK } from "./text.js";
import { make } from "./-/page.js";

const FENCE = /^```([\w+#.-]{0,20})[ \t]*$/;

const END = /^```[ \t]*$/;

/** No pattern can pass its own delimiter, so that none is searched twice. */
const INLINE = new RegExp(
  [
    /`(?<code>[^`\n]+)`/u,
    /\*\*(?![\s*])(?<strong>[^*\n]+)(?<!\s)\*\*/u,
    /(?<![\p{L}\p{N}*])\*(?![\s*])(?<em>[^*\n]+)(?<!\s)\*(?![\p{L}\p{N}*])/u,
    /(?<![\p{L}\p{N}_])_(?![\s_])(?<em2>[^_\n]+)(?<!\s)_(?![\p{L}\p{N}_])/u,
    /~~(?![\s~])(?<s>[^~\n]+)(?<!\s)~~/u,
    new RegExp(`(?<link>${LINK.source})`, "iu"),
  ]
    .map(({ source }) => source)
    .join("|"),
  "giu",
);

const WORD = /[\p{L}\p{N}_]/u;

/**
 * Make the nodes of a message.
 * @param {string} text
 * @param {string[]} names whose mentions are marked
 * @param {string} own the visitor's name among them
 */
export function formatted(text, names = [], own = "") {
  const known = names.map((name) => name.toLowerCase()).sort((a, b) => b.length - a.length);
  const context = { known, own: own.toLowerCase() };
  const lines = text.split("\n");
  const ends = lines.flatMap((line, at) => (END.test(line) ? [at] : []));
  const nodes = [];
  let plain = [];
  const flush = () => {
    if (plain.length) nodes.push(...quoted(plain, context));
    plain = [];
  };
  for (let at = 0; at < lines.length; at++) {
    const fence = FENCE.exec(lines[at]);
    while (fence && ends.length && ends[0] <= at) ends.shift();
    if (!fence || !ends.length) {
      plain.push(lines[at]);
      continue;
    }
    flush();
    const code = make("code", { dir: "ltr" }, lines.slice(at + 1, ends[0]).join("\n"));
    nodes.push(make("pre", { tabIndex: 0, ariaLabel: fence[1] ? `Code: ${fence[1]}` : "Code", role: "group" }, code));
    at = ends[0];
  }
  flush();
  return nodes;
}

/** Whether a text mentions somebody. */
export function mentions(text, name) {
  return name !== "" && splitNames(text, [name.toLowerCase()]).length > 1;
}

/** Make quotes of the lines that begin with `>`. */
function quoted(lines, context) {
  const nodes = [];
  let block = [];
  const isQuote = (line) => /^> ?\S/.test(line);
  const flush = () => {
    if (!block.length) return;
    if (isQuote(block[0])) {
      const text = block.map((line) => line.replace(/^> ?/, "")).join("\n");
      nodes.push(make("blockquote", {}, ...inline(text, context)));
    } else {
      nodes.push(...inline(block.join("\n"), context));
    }
    block = [];
  };
  for (const line of lines) {
    if (block.length && isQuote(line) !== isQuote(block[0])) flush();
    block.push(line);
  }
  flush();
  return nodes;
}

function inline(text, context) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const { code, strong, em, em2, s, link } = match.groups;
    let [made, length] = [[], match[0].length];
    if (code !== undefined) made = [make("code", { dir: "ltr" }, code)];
    else if (strong !== undefined) made = [make("strong", {}, ...inline(strong, context))];
    else if (em ?? em2) made = [make("em", {}, ...inline(em ?? em2, context))];
    else if (s !== undefined) made = [make("s", {}, ...inline(s, context))];
    else [made, length] = linkOf(link);
    if (!made.length) continue;
    nodes.push(...named(text.slice(end, match.index), context), ...made);
    end = match.index + length;
  }
  nodes.push(...named(text.slice(end), context));
  return nodes;
}

/** Mark the names that are mentioned. */
function named(text, { known, own }) {
  return splitNames(text, known).map((part, index) => {
    if (index % 2 === 0) return part;
    const isOwn = part.slice(1).toLowerCase() === own;
    return make("bdi", { class: isOwn ? "mention me" : "mention" }, part);
  });
}

/** Split a text at mentions, which have the odd places. */
function splitNames(text, known) {
  const parts = [];
  let end = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (at < end || (at && WORD.test(text[at - 1]))) continue;
    const rest = text.slice(at + 1, at + 90).toLowerCase();
    const name = known.find((each) => rest.startsWith(each) && !WORD.test(rest.slice(each.length, each.length + 1)));
    if (!name) continue;
    parts.push(text.slice(end, at), text.slice(at, at + 1 + name.length));
    end = at + 1 + name.length;
  }
  return [...parts, text.slice(end)];
}
