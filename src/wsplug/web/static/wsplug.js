/**
 * A WebSocket that comes back: wsplug's client for browsers (docs/reference/browser-client.md).
 *
 * @module wsplug
 */

/**
 * @typedef {"connecting" | "open" | "waiting" | "closed"} State
 * @typedef {{offset: number, epoch: string}} Position
 * @typedef {{code: number, reason: string, wasClean: boolean}} Closing
 * @typedef {ReturnType<typeof connect>} Connection
 * @typedef {{protocols?: string | string[], minDelay?: number, maxDelay?: number,
 *   timeout?: number, quiet?: number, check?: object | null, json?: boolean,
 *   token?: string | (() => string | Promise<string>),
 *   greet?: (connection: any) => unknown, again?: (closing: Closing) => boolean}} Options
 */

/** Closings to come back from. */
const AGAIN = [1001, 1005, 1006, 1011, 1012, 1013, 1014];

/** That of a login that is over: come back with another token, where there may be one. */
const EXPIRED = 3000;

/** An answer that says what is wrong: the server's, or that there is none. */
export class RequestError extends Error {
  constructor(/** @type {any} */ answer) {
    super(answer.message);
    this.name = "RequestError";
    this.code = answer.code;
    this.answer = answer;
  }

  /** Whether the next connection may have another answer. */
  get passes() {
    return /^(timeout|closed|unavailable)$/.test(this.code);
  }
}

/** @param {string} code @param {string} message */
const failure = (code, message) => ({ type: "error", code, message });

/** @param {EventTarget} target @param {string} type @param {any} detail */
const emit = (target, type, detail) => target.dispatchEvent(new CustomEvent(type, { detail }));

/**
 * Connect, and stay connected. Events: "state", "message" (what belongs to no request and
 * no subscription), "close" (a Closing), "error" (what `greet` or `token` failed with).
 * @param {string | URL} url @param {Options} [options]
 */
export function connect(url, options = {}) {
  const { minDelay = 1000, maxDelay = 30000, timeout = 10000, quiet = 30000 } = options;
  const fetchToken = typeof options.token === "function" && options.token;
  const requests = new Map();
  const subscriptions = new Set();
  let socket = /** @type {any} */ (null);
  let timer = /** @type {any} */ (null);
  let count = 0, attempts = 0, opened = 0, heard = 0;
  const target = new URL(url, globalThis.location?.href);
  target.protocol = target.protocol.replace("http", "ws");
  target.hash = "";
  const connection = Object.assign(new EventTarget(), {
    url: target,
    state: /** @type {State} */ ("connecting"),
    send, request, subscribe, close,
    /** Connect now, whether waiting for that or closed. */
    retryNow: () => socket || open(),
  });

  /**
   * Send an object as JSON, or text or bytes as they are.
   * @param {any} message
   * @returns {boolean} whether there is a connection to send it on
   */
  function send(message) {
    if (socket?.readyState !== 1) return false;
    const bytes = [ArrayBuffer, Blob].some((kind) => message instanceof kind);
    const raw = typeof message === "string" || bytes || ArrayBuffer.isView(message);
    socket.send(raw ? message : JSON.stringify(message));
    return true;
  }

  /**
   * Send an object, and wait for its answer: what comes with the same `request`.
   * @param {object} message @param {{timeout?: number}} [options]
   * @returns {Promise<any>} fails with a RequestError
   */
  function request(message, { timeout: patience = timeout } = {}) {
    return new Promise((resolve, reject) => {
      const id = ++count;
      const settle = (/** @type {any} */ answer) => {
        clearTimeout(late);
        requests.delete(id);
        if (answer.type === "error") reject(new RequestError(answer));
        else resolve(answer);
      };
      const late = setTimeout(settle, patience, failure("timeout", `no answer in ${patience} ms`));
      requests.set(id, settle);
      if (!send({ ...message, request: id })) settle(failure("closed", "there is no connection"));
    });
  }

  /**
   * Have what comes in a channel, from now on and after each reconnect. Events: "entered"
   * (each time: the server's answer), "message", "gap" ({count}; null where nobody knows),
   * "error" (it is over).
   * @param {string} name
   * @param {{words?: {enter?: string, leave?: string, key?: string},
   *   since?: Position | null, [more: string]: any}} [options]
   */
  function subscribe(name, { words, since = null, ...extra } = {}) {
    const all = { enter: "subscribe", leave: "unsubscribe", key: "channel", ...words };
    const own = { [all.key]: name };
    if (find(own)) throw new Error(`${name} is subscribed to already`);
    let held = /** @type {any} */ (null); // what comes before the answer
    const entry = { name, key: all.key, enter, receive };
    const self = Object.assign(new EventTarget(), {
      name,
      position: since,

      /** Leave, for good. */
      close() {
        if (subscriptions.delete(entry)) request({ type: all.leave, ...own }).catch(() => {});
      },
    });

    function enter() {
      const here = socket;
      held = [];
      const from = self.position && { since: self.position };
      request({ ...extra, type: all.enter, ...own, ...from }).then(entered, (error) => {
        if (error.passes) return drop(here, error.message);
        tell("error", error);
        subscriptions.delete(entry);
      });
    }

    function entered(/** @type {any} */ answer) {
      const waiting = held;
      held = null;
      const lost = self.position && answer.recovered === false;
      if (lost) self.position = null;
      const { position, messages = [] } = answer;
      if (position && !self.position) { // for who stores it with each event
        self.position = { ...position, offset: (messages[0]?.offset ?? position.offset + 1) - 1 };
      }
      tell("entered", answer);
      if (lost) tell("gap", { count: null });
      messages.forEach(receive);
      self.position = position ?? self.position;
      waiting.forEach(receive);
    }

    function receive(/** @type {any} */ message) {
      if (held) return held.push(message);
      const { type, offset } = message;
      if (offset !== undefined && self.position) {
        if (offset <= self.position.offset) return; // it has come already
        self.position = { ...self.position, offset };
      }
      tell(type === "gap" ? type : "message", message);
    }

    /** @param {string} type @param {any} detail */
    function tell(type, detail) {
      if (subscriptions.has(entry)) emit(self, type, detail);
    }

    subscriptions.add(entry);
    if (connection.state === "open") enter();
    return self;
  }

  /** Close, for good. @param {number} [code] @param {string} [reason] */
  function close(code = 1000, reason = "") {
    if (socket) {
      socket.close(code, reason); // may throw: then nothing has changed
      socket.onclose = (/** @type {Closing} */ closing) => emit(connection, "close", closing);
    }
    end(false);
  }

  function open() {
    const made = (socket = new WebSocket(target, options.protocols));
    made.binaryType = "arraybuffer";
    made.onopen = () => start(made);
    made.onmessage = ({ data }) => receive(data);
    made.onclose = lose;
    opened = Infinity;
    clearTimeout(timer);
    timer = setTimeout(drop, timeout, made, "no connection in time");
    listen("addEventListener");
    become("connecting");
  }

  async function start(/** @type {any} */ made) {
    clearTimeout(timer);
    opened = heard = Date.now();
    try {
      const token = fetchToken ? await fetchToken() : options.token;
      if (made !== socket) return;
      if (token) await request({ type: "auth", token });
      await options.greet?.(connection);
    } catch (error) {
      if (made !== socket) return;
      emit(connection, "error", error);
      if (error instanceof RequestError && !error.passes) close();
      drop(made, "the greeting failed");
    }
    if (made !== socket) return;
    watch();
    for (const each of subscriptions) each.enter();
    become("open");
  }

  /** The server's pings don't show here: where nothing comes, ask. */
  function watch() {
    timer = setTimeout(() => {
      if (Date.now() - heard >= quiet) check();
      watch();
    }, quiet);
  }

  function check() {
    const { check: message = subscriptions.size ? { type: "ping" } : null } = options;
    if (connection.state !== "open" || !message) return;
    const [before, asked] = [heard, socket];
    request(message).catch((error) => {
      if (error.code === "timeout" && heard === before) drop(asked, error.message);
    });
  }

  function look() {
    if (globalThis.document?.hidden) return;
    if (connection.state === "waiting") open();
    check();
  }

  /** Give up one that doesn't answer. @param {any} made @param {string} reason */
  function drop(made, reason) {
    if (made !== socket) return;
    made.onclose = null;
    made.close(); // nothing comes from it any more
    lose({ code: 1006, reason, wasClean: false });
  }

  function lose(/** @type {Closing} */ closing) {
    if (Date.now() - opened > 5000) attempts = 0; // it has lasted
    let again = AGAIN.includes(closing.code) || (closing.code === EXPIRED && !!fetchToken);
    try {
      again = options.again?.(closing) ?? again;
    } finally {
      end(again);
      emit(connection, "close", closing);
    }
  }

  function end(/** @type {boolean} */ again) {
    socket = null;
    clearTimeout(timer);
    if (again) {
      const delay = Math.min(maxDelay, minDelay * 2 ** attempts++);
      timer = setTimeout(open, delay * (0.5 + Math.random() / 2));
    } else listen("removeEventListener");
    for (const settle of requests.values()) settle(failure("closed", "the connection was lost"));
    become(again ? "waiting" : "closed");
  }

  function receive(/** @type {any} */ data) {
    heard = Date.now();
    let message = data;
    if (options.json !== false && data[0] === "{") {
      try { message = JSON.parse(data); } catch {} // it only looks like it
    }
    const settle = requests.get(message.request);
    if (settle) return settle(message);
    // An answer that comes too late is no news of a channel.
    const found = message.request === undefined && find(message);
    if (found) found.receive(message);
    else emit(connection, "message", message);
  }

  function find(/** @type {any} */ message) {
    return [...subscriptions].find(({ key, name }) => message[key] === name);
  }

  function listen(/** @type {"addEventListener" | "removeEventListener"} */ verb) {
    for (const type of ["online", "visibilitychange"]) globalThis[verb]?.(type, look);
  }

  function become(/** @type {State} */ state) {
    if (state === connection.state) return;
    connection.state = state;
    emit(connection, "state", state);
  }

  open();
  return connection;
}
