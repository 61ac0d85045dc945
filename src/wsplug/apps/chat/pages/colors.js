/**
 * People's colours, made readable: whatever colour comes, it gets the lightness that text
 * has to have in the light and in the dark.
 */

/** Those to choose from. */
export const PALETTE = [
  ["Blue", "#2456d6"],
  ["Teal", "#0b7a83"],
  ["Green", "#1a7f45"],
  ["Olive", "#667000"],
  ["Amber", "#9a5b00"],
  ["Brown", "#8a4b2a"],
  ["Red", "#b3261e"],
  ["Pink", "#b8296b"],
  ["Violet", "#7a3ec8"],
  ["Slate", "#4d5b75"],
];

/** The ground that is worst for it of all that it is shown on: see wsplug.css. */
const GROUNDS = { light: [0xee, 0xf0, 0xf4], dark: [0x22, 0x28, 0x35] };

/** What WCAG 2 asks for, and a little for rounding. */
const CONTRAST = 4.55;

/**
 * Have an element and what is in it know somebody's colour: `--of` in the style sheet.
 * @param id whose: it decides where there is no colour
 */
export function tint(element, color, id) {
  const { light, dark } = shades(color, id);
  element.classList.add("tinted");
  element.style.setProperty("--in-light", light);
  element.style.setProperty("--in-dark", dark);
  return element;
}

function shades(color, id) {
  const rgb = parse(color) ?? parse(ofId(id));
  return { light: adapt(rgb, GROUNDS.light, -1), dark: adapt(rgb, GROUNDS.dark, 1) };
}

function ofId(id) {
  let hash = 0;
  for (const character of String(id)) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return PALETTE[hash % PALETTE.length][1];
}

/** Tutorials' clients send hexadecimal digits alone. */
function parse(color) {
  const hex = /^#?([0-9a-f]{6}|[0-9a-f]{3})$/i.exec(color)?.[1];
  if (hex) {
    const step = hex.length / 3;
    return [0, 1, 2].map((i) => {
      const digits = hex.slice(i * step, (i + 1) * step);
      return Number.parseInt(digits.length === 1 ? digits + digits : digits, 16);
    });
  }
  if (!color || !CSS.supports("color", color)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/**
 * Go away from the ground until it can be read.
 * @param way 1 for lighter, -1 for darker
 */
function adapt(rgb, ground, way) {
  const end = way > 0 ? 255 : 0;
  for (let part = 0; ; part += 0.04) {
    const mixed = rgb.map((value) => Math.round(value + (end - value) * Math.min(part, 1)));
    if (part >= 1 || contrast(mixed, ground) >= CONTRAST) {
      return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
    }
  }
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
