/**
 * Makes people's colours readable: adjusts the lightness of any colour for text on light
 * and dark backgrounds.
 */

/** The colours to choose from. */
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

/** The backgrounds with the least contrast: see wsplug.css. */
const GROUNDS = { light: [0xee, 0xf0, 0xf4], dark: [0x22, 0x28, 0x35] };

/** The contrast that WCAG 2 requires, with a margin for rounding. */
const CONTRAST = 4.55;

/**
 * Set a person's colour for an element and its children: `--of` in the style sheet.
 * @param id the person's id, from which a missing colour is derived
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

/** The tutorials' clients send hexadecimal digits without a #. */
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
 * Change the lightness until the contrast suffices.
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
