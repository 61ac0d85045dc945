/**
 * Numbers, sizes and times, as people read them.
 *
 * @module format
 */

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const count = (value) => (value < 100_000 ? whole.format(value) : short.format(value));

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let unit = -1;
  do {
    value /= 1024;
    unit++;
  } while (value >= 1000 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {number} seconds */
export function span(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

let ahead = 0;

/** @param {number} seconds by which the time of day is ahead of the server's times */
export const setAhead = (seconds) => {
  ahead = seconds;
};

/** @param {number} seconds by the server's clock, which began at 1970 */
export const timeOfDay = (seconds) => clock.format(new Date((seconds + ahead) * 1000));

const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/**
 * The whole minutes of the day in a time.
 * @returns {{time: number, text: string}[]} by the server's clock
 */
export function minutesIn(from, to) {
  const found = [];
  for (let at = Math.ceil((from + ahead) / 60) * 60; at <= to + ahead; at += 60) {
    found.push({ time: at - ahead, text: minute.format(new Date(at * 1000)) });
  }
  return found;
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
