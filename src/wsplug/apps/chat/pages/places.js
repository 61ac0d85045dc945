/**
 * Rooms as addresses: `/kitchen` is the room `kitchen`, and `#@…` behind it what is said
 * with one person alone. Which names a room can have, the server says.
 */

import { MOUNT } from "./-/page.js";

/** What leads nowhere in an address, or out of the chat. */
const NO_NAMES = ["", ".", ".."];

/**
 * `first` is the room at the chat's own path. With a slash at its end, no address is that
 * of one of the page's own files. Where the server hasn't been asked yet, the room may be
 * called as somebody has typed it: `/kitchen`.
 */
export function addressOf(room, first, person = "") {
  const names = room === first ? [] : room.split("/").filter((name) => !NO_NAMES.includes(name));
  const path = names.map(encodeURIComponent).join("/");
  const end = path.includes(".") ? "/" : "";
  return MOUNT.pathname + path + end + (person && `#@${encodeURIComponent(person)}`);
}

/** What the page's address says; the room's name as it stands there, or the first. */
export function here(first) {
  const path = decode(location.pathname.slice(MOUNT.pathname.length));
  const person = location.hash.startsWith("#@") ? decode(location.hash.slice(2)) : "";
  return { room: path || first, person };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody has typed a per cent sign
  }
}
