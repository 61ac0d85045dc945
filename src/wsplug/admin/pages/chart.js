/**
 * A chart of the last minutes: up to two lines, and what they are now, or where the
 * pointer is.
 *
 * @module chart
 */

import { make } from "./-/page.js";
import { minutesIn, timeOfDay } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 100;

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/**
 * The next number that is good for the end of an axis: 1, 2 or 5 and zeros.
 * @param {number} value
 * @param {number} step between two units: 1024 for bytes, 1 where there is but one
 */
function round(value, step) {
  let unit = 1;
  while (step > 1 && value >= 1000 * unit) unit *= step;
  const scaled = value / unit;
  if (scaled <= 5 && unit === 1) return 5;
  const power = 10 ** Math.floor(Math.log10(scaled));
  return [1, 2, 5, 10].find((each) => each * power >= scaled) * power * unit;
}

export class Chart {
  /**
   * @param {string} title
   * @param {{key: string, label: string}[]} lines
   * @param {(value: number) => string} format
   * @param {number} [step] between two units of it
   */
  constructor(title, lines, format, step = 1) {
    this._step = step;
    this._lines = lines;
    this._format = format;
    this._samples = [];
    this._at = null;
    this._top = make("span", { class: "top", ariaHidden: "true" });
    this._when = make("span", { class: "when", ariaHidden: "true" });
    this._values = lines.map(() => make("b", {}));
    const legend = make(
      "p",
      { class: "legend" },
      ...lines.map(({ label }, index) => make("span", { class: `line-${index}` }, this._values[index], ` ${label}`)),
    );
    this._svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this._shapes = lines.map((_, index) => {
      const area = draw("path", { class: `area line-${index}` });
      const line = draw("path", { class: `stroke line-${index}`, "vector-effect": "non-scaling-stroke" });
      this._svg.append(area, line);
      return { area, line };
    });
    this._mark = draw("path", { class: "mark", "vector-effect": "non-scaling-stroke" });
    this._svg.append(this._mark);
    const plot = make("div", { class: "plot" }, this._svg, this._top, this._when);
    plot.addEventListener("pointermove", ({ offsetX }) => this._point(offsetX / plot.clientWidth));
    plot.addEventListener("pointerleave", () => this._point(null));
    this._axis = draw("svg", { class: "axis", "aria-hidden": "true" });
    this.element = make("figure", { class: "chart" }, make("figcaption", {}, title), legend, plot, this._axis);
  }

  /** @param {object[]} samples the latest at the end @param {number} kept how many there can be */
  show(samples, kept) {
    this._samples = samples;
    this._kept = kept;
    const most = Math.max(0, ...this._lines.flatMap(({ key }) => samples.map((sample) => sample[key])));
    const top = round(most, this._step);
    this._top.textContent = this._format(top);
    const x = (index) => (WIDTH * (kept - samples.length + index)) / (kept - 1);
    const y = (value) => HEIGHT - (HEIGHT - 4) * (value / top);
    this._lines.forEach(({ key }, index) => {
      const points = samples.map((sample, place) => `${x(place).toFixed(2)} ${y(sample[key]).toFixed(2)}`);
      const path = points.length ? `M${points.join("L")}` : "";
      const { area, line } = this._shapes[index];
      line.setAttribute("d", path);
      area.setAttribute("d", path && `${path}L${WIDTH} ${HEIGHT}L${x(0).toFixed(2)} ${HEIGHT}Z`);
    });
    this._showAxis(kept);
    this._tell();
  }

  /** The whole minutes, each where its samples are. A sample comes each second. */
  _showAxis(kept) {
    const end = this._samples.at(-1)?.time ?? 0;
    const labels = end ? minutesIn(end - kept + 1, end) : [];
    while (this._axis.children.length > labels.length) this._axis.lastChild.remove();
    while (this._axis.children.length < labels.length) this._axis.append(draw("text", { y: 14 }));
    labels.forEach(({ time, text }, index) => {
      const label = this._axis.children[index];
      const place = 1 - (end - time) / (kept - 1);
      const shown = place < 0.88 ? `|${text}` : "|"; // there is no room for more
      if (label.textContent !== shown) label.textContent = shown;
      label.setAttribute("x", `${(100 * place).toFixed(2)}%`);
    });
  }

  _point(at) {
    this._at = at;
    this._tell();
  }

  _tell() {
    const samples = this._samples;
    let sample = samples.at(-1);
    let mark = "";
    if (this._at !== null) {
      const place = Math.round(this._at * (this._kept - 1)) - (this._kept - samples.length);
      if (samples[place]) {
        sample = samples[place];
        const x = this._at * WIDTH;
        mark = `M${x} 0V${HEIGHT}`;
      }
    }
    this._mark.setAttribute("d", mark);
    this._when.textContent = mark ? timeOfDay(sample.time) : "";
    this._lines.forEach(({ key }, index) => {
      this._values[index].textContent = sample ? this._format(sample[key]) : "–";
    });
  }
}
