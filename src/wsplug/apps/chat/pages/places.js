/**
 * Rooms as addresses: `/kitchen` is the room `kitchen`, and `#@…` behind it what is said
 * with one person alone. Which names a room can have, the server says.
 */

import { MOUNT } from "./-/page.js";

/**
 * `first` is the room at the chat's own path. With a slash at its end, no address is that
 * of one of the page's own files.
 */
export function addressOf(room, first, person = "") {
  const path = room === first ? "" : room.split("/").map(encodeURIComponent).join("/");
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
