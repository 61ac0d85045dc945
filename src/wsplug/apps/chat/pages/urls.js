/**
 * URLs of rooms: `/kitchen` is the room `kitchen`, with `#@…` appended for the direct
 * messages with a person. The server decides which names a room can have.
 */

import { MOUNT } from "./-/page.js";

/** Segments that a URL can't have: empty ones, and those that lead out of the chat. */
const NO_NAMES = ["", ".", ".."];

/**
 * Make the URL of a room. `first` is the room at the chat's own path. A slash at the end
 * keeps names with a dot apart from the page's own files. Before the server has been asked,
 * a room may have the name that somebody has typed, as `/kitchen`.
 */
export function urlOf(room, first, person = "") {
  const names = room === first ? [] : room.split("/").filter((name) => !NO_NAMES.includes(name));
  const path = names.map(encodeURIComponent).join("/");
  const end = path.includes(".") ? "/" : "";
  return MOUNT.pathname + path + end + (person && `#@${encodeURIComponent(person)}`);
}

/** Read the room and the person from the page's URL; the first room by default. */
export function here(first) {
  const path = decode(location.pathname.slice(MOUNT.pathname.length));
  const person = location.hash.startsWith("#@") ? decode(location.hash.slice(2)) : "";
  return { room: path || first, person };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a bare per cent sign in the URL
  }
}
