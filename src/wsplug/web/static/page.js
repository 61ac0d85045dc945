/**
 * What wsplug's own pages share: the log, the form, and the connection's state.
 *
 * @module page
 */

/** Where the page's application is mounted, however deep below that the page is. */
export const MOUNT = new URL("..", import.meta.url);

/** How many lines a log keeps. */
const LINES = 2000;

/**
 * The WebSocket's address for the page that this runs in: the same host and path, with
 * something behind it.
 * @param {string} [rest] path and query behind the page's own
 * @returns {URL}
 */
export function socketURL(rest = "") {
  const url = new URL(rest, new URL(".", location.href));
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url;
}

/**
 * Make an element.
 * @param {string} tag
 * @param {object} [properties] of the element; `class` for its classes
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, { class: classes, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (classes) element.className = classes;
  element.append(...children);
  return element;
}

/** A list of lines that keeps to its end, unless its reader has scrolled up. */
export class Log {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this._follows = true;
    element.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = element;
      this._follows = scrollHeight - scrollTop - clientHeight < 40;
    });
    new ResizeObserver(() => this.follow()).observe(element);
  }

  /**
   * Add a line. Text is text, never HTML.
   * @param {string} text
   * @param {string} [kind] a class: "in", "out", "note" or "bad"
   * @returns {HTMLElement} the line
   */
  add(text, kind = "in") {
    return this.append(make("p", { class: `line ${kind}`, dir: "auto" }, text));
  }

  /**
   * Add an element for a line.
   * @param {HTMLElement} line
   * @returns {HTMLElement} the line
   */
  append(line) {
    this.element.append(line);
    while (this.element.children.length > LINES) this.element.firstChild.remove();
    this.follow();
    return line;
  }

  /** Show the end, unless the reader is elsewhere. */
  follow() {
    if (this._follows) this.element.scrollTop = this.element.scrollHeight;
  }

  clear() {
    this.element.replaceChildren();
    this._follows = true;
  }
}

const STATES = {
  connecting: "Connecting …",
  open: "Connected",
  waiting: "Connection lost; trying again …",
  closed: "Disconnected",
};

/**
 * Keep an element telling a connection's state, as text and as `data-state`.
 * @param {import("./wsplug.js").Connection} connection
 * @param {HTMLElement} element
 */
export function showState(connection, element) {
  const show = () => {
    element.dataset.state = connection.state;
    element.textContent = STATES[connection.state];
  };
  connection.addEventListener("state", show);
  show();
}
