/**
 * A WebSocket that comes back: wsplug's client for browsers.
 *
 *     import { connect } from "/wsplug.js";
 *     const connection = connect("/");
 *     const news = connection.subscribe("news");
 *     news.addEventListener("message", (event) => show(event.detail));
 *     news.addEventListener("gap", (event) => say(`${event.detail.count} missed`));
 *
 * It connects again by itself, with growing and jittered delays, and each subscription
 * goes on from the last position that it knows.
 *
 * @module wsplug
 */

/** @typedef {"connecting" | "open" | "waiting" | "closed"} State */
/** @typedef {{offset: number, epoch: string}} Position */

/**
 * @typedef {object} Options
 * @property {string | string[]} [protocols] subprotocols to offer
 * @property {number} [minDelay] milliseconds before the first new attempt
 * @property {number} [maxDelay] milliseconds between attempts at most
 * @property {number} [timeout] milliseconds that a request waits for its answer
 * @property {boolean} [json] whether what is JSON comes as objects; else as text
 * @property {(event: CloseEvent) => boolean} [again] whether to connect again
 */

const DEFAULTS = { protocols: [], minDelay: 500, maxDelay: 30000, timeout: 10000, json: true };

/** Closings that are the end: the server is done, or refuses what this client does. */
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);

/** How long a connection has to last for the delays to begin small again. */
const STABLE = 5000;

/** An answer that says what is wrong, or that there is none. */
export class RequestError extends Error {
  /**
   * @param {string} code the server's word for it, "timeout" or "closed"
   * @param {string} message for people
   */
  constructor(code, message) {
    super(message);
    this.name = "RequestError";
    this.code = code;
  }
}

/**
 * What of a channel, a chat's room or the like comes in. Events: "entered" (each time,
 * with the server's answer), "message", "gap" ({count}, or {count: null} where what was
 * missed is lost), "error" (a RequestError: it isn't tried again).
 */
export class Subscription extends EventTarget {
  /**
   * @param {Connection} connection
   * @param {string} name
   * @param {{enter: string, entered: string, leave: string, key: string}} words
   * @param {object} extra what else is sent when it enters
   */
  constructor(connection, name, words, extra) {
    super();
    this.name = name;
    this.words = words;
    this.extra = extra;
    /** @type {Position | null} */
    this.position = null;
    this._connection = connection;
  }

  /** Leave, for good. */
  close() {
    this._connection._leave(this);
  }

  _enter() {
    const { enter, key } = this.words;
    const since = this.position ? { since: this.position } : {};
    const message = { type: enter, [key]: this.name, ...since, ...this.extra };
    this._connection.request(message).then(
      (answer) => this._entered(answer),
      (error) => {
        if (error.code !== "closed" && error.code !== "timeout") this._emit("error", error);
      },
    );
  }

  _entered(answer) {
    const lost = this.position !== null && answer.recovered === false;
    if (lost) this.position = null;
    this._emit("entered", answer);
    if (lost) this._emit("gap", { count: null });
    for (const message of answer.messages ?? []) this._receive(message);
    if (answer.position) this.position = answer.position;
  }

  _receive(message) {
    if (message.type === "gap") {
      this._emit("gap", { count: message.count });
      return;
    }
    const { offset } = message;
    if (typeof offset === "number" && this.position) {
      if (offset <= this.position.offset) return; // it has come already
      this.position = { ...this.position, offset };
    }
    this._emit("message", message);
  }

  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * The connection. Events: "state" (a State), "message" (what belongs to no request and
 * no subscription; objects where it is JSON), "close" (the CloseEvent).
 */
export class Connection extends EventTarget {
  /**
   * @param {string | URL} url absolute, or relative to the page
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    super();
    this.url = new URL(url, globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace(/^http/, "ws");
    this._options = { ...DEFAULTS, again: (event) => !FINAL.has(event.code), ...options };
    /** @type {State} */
    this.state = "connecting";
    /** @type {Set<Subscription>} */
    this._subscriptions = new Set();
    /** @type {Map<number, {resolve: Function, reject: Function, timer: any}>} */
    this._requests = new Map();
    this._nextRequest = 1;
    this._attempts = 0;
    this._online = () => this.state === "waiting" && this._open();
    globalThis.addEventListener?.("online", this._online);
    this._open();
  }

  /**
   * Send an object as JSON, or text or bytes as they are.
   * @param {object | string | ArrayBuffer | ArrayBufferView | Blob} message
   * @returns {boolean} whether there is a connection to send it on
   */
  send(message) {
    if (this.state !== "open") return false;
    const raw =
      typeof message === "string" ||
      message instanceof ArrayBuffer ||
      ArrayBuffer.isView(message) ||
      message instanceof Blob;
    this._socket.send(raw ? message : JSON.stringify(message));
    return true;
  }

  /**
   * Send an object, and wait for its answer: what comes with the same `request`.
   * @param {object} message
   * @param {{timeout?: number}} [options] milliseconds
   * @returns {Promise<object>} fails with a RequestError
   */
  request(message, { timeout = this._options.timeout } = {}) {
    return new Promise((resolve, reject) => {
      const request = this._nextRequest++;
      if (!this.send({ ...message, request })) {
        reject(new RequestError("closed", "there is no connection"));
        return;
      }
      const timer = setTimeout(() => {
        this._requests.delete(request);
        reject(new RequestError("timeout", `no answer in ${timeout} ms`));
      }, timeout);
      this._requests.set(request, { resolve, reject, timer });
    });
  }

  /**
   * Have what comes in a channel, now and after each time of connecting again.
   * @param {string} name
   * @param {object} [options] what else the server wants to know; `words` for a server
   *     that calls it otherwise
   * @returns {Subscription}
   */
  subscribe(name, { words, ...extra } = {}) {
    const all = { enter: "subscribe", entered: "subscribed", leave: "unsubscribe", key: "channel" };
    const subscription = new Subscription(this, name, { ...all, ...words }, extra);
    this._subscriptions.add(subscription);
    if (this.state === "open") subscription._enter();
    return subscription;
  }

  /**
   * Close, for good.
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code = 1000, reason = "") {
    clearTimeout(this._timer);
    globalThis.removeEventListener?.("online", this._online);
    this._setState("closed");
    this._failRequests();
    this._socket?.close(code, reason);
  }

  _open() {
    clearTimeout(this._timer);
    this._setState("connecting");
    const socket = new WebSocket(this.url, this._options.protocols);
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    let opened = 0;
    socket.onopen = () => {
      if (this.state === "closed") return;
      opened = Date.now();
      this._setState("open");
      for (const subscription of this._subscriptions) subscription._enter();
    };
    socket.onmessage = (event) => this._receive(event.data);
    socket.onclose = (event) => {
      if (opened && Date.now() - opened > STABLE) this._attempts = 0;
      this._failRequests();
      if (this.state !== "closed") this._wait(event);
      this.dispatchEvent(new CustomEvent("close", { detail: event }));
    };
  }

  _wait(event) {
    if (!this._options.again(event)) {
      this.close();
      return;
    }
    const { minDelay, maxDelay } = this._options;
    const delay = Math.min(maxDelay, minDelay * 2 ** this._attempts++);
    this._setState("waiting");
    this._timer = setTimeout(() => this._open(), delay * (0.5 + Math.random() / 2));
  }

  _receive(data) {
    let message = data;
    if (typeof data === "string" && this._options.json) {
      try {
        message = JSON.parse(data);
      } catch {
        // A text of no kind that is known here: the application's own.
      }
    }
    const waiting = this._requests.get(message?.request);
    if (waiting) {
      clearTimeout(waiting.timer);
      this._requests.delete(message.request);
      if (message.type === "error") waiting.reject(new RequestError(message.code, message.message));
      else waiting.resolve(message);
      return;
    }
    for (const subscription of this._subscriptions) {
      const name = message?.[subscription.words.key];
      if (name === subscription.name) {
        subscription._receive(message);
        return;
      }
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  _leave(subscription) {
    const { leave, key } = subscription.words;
    this._subscriptions.delete(subscription);
    this.send({ type: leave, [key]: subscription.name });
  }

  _failRequests() {
    for (const { reject, timer } of this._requests.values()) {
      clearTimeout(timer);
      reject(new RequestError("closed", "the connection was lost"));
    }
    this._requests.clear();
  }

  _setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

/**
 * @param {string | URL} url
 * @param {Options} [options]
 * @returns {Connection}
 */
export function connect(url, options) {
  return new Connection(url, options);
}
