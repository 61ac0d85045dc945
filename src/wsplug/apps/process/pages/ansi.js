/**
 * Terminal colours: the 16 text colours and bold. Other control sequences are removed.
 *
 * @module ansi
 */

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** Control sequences (ECMA-48): CSI, OSC, and others. */
const SEQUENCE = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;

/** Control characters, except for the tab. */
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/g;

/**
 * Split a line by its colours.
 * @param {string} line
 * @returns {{text: string, classes: string}[]} pieces with the same style
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
      else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4; // 256 or true colours
    }
  }
  add(line.length);
  return found;
}
