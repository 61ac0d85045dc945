/**
 * What the tests of wsplug.js call: it keeps what a connection has told.
 */

import { RequestError, connect } from "./-/wsplug.js";

/** What has been told so far, for tests to look at. */
window.told = { states: [], messages: [], closings: [], errors: [], failures: [] };

window.addEventListener("error", (event) => {
  window.told.failures.push(event.message);
  event.preventDefault();
});

/** Connect, and keep what comes. Short delays, unless the options say otherwise. */
window.start = (options = {}, url = "") => {
  const { told } = window;
  const connection = connect(url, { minDelay: 20, maxDelay: 200, ...options });
  told.states.push(connection.state);
  connection.addEventListener("state", ({ detail }) => told.states.push(detail));
  connection.addEventListener("message", ({ detail }) => told.messages.push(detail));
  connection.addEventListener("close", ({ detail }) => {
    const { code, reason, wasClean } = detail;
    told.closings.push({ code, reason, wasClean });
  });
  connection.addEventListener("error", ({ detail }) => told.errors.push(String(detail)));
  window.connection = connection;
};

/** Subscribe, and keep what comes: messages' data, and the rest by its name. */
window.follow = (name, options) => {
  const got = [];
  const subscription = window.connection.subscribe(name, options);
  subscription.addEventListener("entered", ({ detail }) => got.push(["entered", detail.recovered]));
  subscription.addEventListener("message", ({ detail }) => got.push(detail.data ?? detail.type));
  subscription.addEventListener("gap", ({ detail }) => got.push(["gap", detail.count]));
  subscription.addEventListener("error", ({ detail }) => got.push(["error", detail.code]));
  window.got = { ...window.got, [name]: got };
  window.followed = { ...window.followed, [name]: subscription };
};

/** Have a request answered; a failure is given, not raised. */
window.ask = async (message, options) => {
  try {
    return await window.connection.request(message, options);
  } catch (error) {
    const { code, message: text, answer } = error;
    return { failed: error instanceof RequestError, code, text, answer };
  }
};

window.ready = true;
