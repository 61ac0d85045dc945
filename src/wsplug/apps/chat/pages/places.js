/**
 * Rooms as addresses: `/kitchen` is the room `kitchen`, and `#@…` behind it what is said
 * with one person alone.
 */

import { MOUNT } from "./-/page.js";

/** Make a room's name what the server makes of it. */
export function cleanRoom(name) {
  return name
    .normalize("NFC")
    .replace(/\s/gu, " ")
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "")
    .replace(/^[/ ]+|[/ ]+$/g, "")
    .replace(/ +/g, " ");
}

/** `first` is the room at the chat's own path. */
export function addressOf(room, first, person = "") {
  const path = room === first ? "" : room.split("/").map(encodeURIComponent).join("/");
  return MOUNT.pathname + path + (person && `#@${encodeURIComponent(person)}`);
}

export function here(first) {
  const path = decode(location.pathname.slice(MOUNT.pathname.length));
  const person = location.hash.startsWith("#@") ? decode(location.hash.slice(2)) : "";
  return { room: cleanRoom(path) || first, person };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody has typed a per cent sign
  }
}
