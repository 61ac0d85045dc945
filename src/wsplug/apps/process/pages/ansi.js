/**
 * Terminal colours, as far as a page has them: the 16 colours of text and bold. Whatever
 * else a program says to its terminal is left out.
 *
 * @module ansi
 */

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** Control sequences (ECMA-48): CSI with its end, OSC with its end, others of two. */
const SEQUENCE = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;

/** Controls that have no look: all but the tab. */
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/g;

/**
 * Take a line apart.
 * @param {string} line
 * @returns {{text: string, classes: string}[]} pieces of the same look
 */
export function pieces(line) {
  const found = [];
  let colour = "";
  let bold = false;
  let last = 0;
  const add = (end) => {
    const text = line.slice(last, end).replace(CONTROLS, "");
    if (text) found.push({ text, classes: [colour, bold ? "bold" : ""].filter(Boolean).join(" ") });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    add(match.index);
    last = match.index + match[0].length;
    if (match[2] !== "m") continue;
    const codes = match[1].split(";").map(Number);
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i];
      if (code === 0) [colour, bold] = ["", false];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code >= 30 && code <= 37) colour = COLOURS[code - 30];
      else if (code >= 90 && code <= 97) colour = COLOURS[code - 90];
      else if (code === 39) colour = "";
      else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4; // of more colours
    }
  }
  add(line.length);
  return found;
}
