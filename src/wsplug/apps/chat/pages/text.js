/** Links in messages, and messages of emoji alone. */

import { make } from "./-/page.js";

/** Invisible and bidirectional characters end a link. */
export const LINK = /\bhttps?:\/\/[^\s<>"'`\p{Cc}\p{Cf}]+/giu;

const EMOJI = /^(?:\p{RI}|\p{Emoji_Presentation}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|[\u200d\ufe0f\s])+$/u;

/** What a link leads to, by the end of its path. Nothing is loaded before somebody follows it. */
const KINDS = [
  ["image", /\.(?:avif|bmp|gif|heic|jpe?g|png|svg|webp)$/i],
  ["video", /\.(?:m4v|mkv|mov|mp4|webm)$/i],
  ["audio", /\.(?:flac|m4a|mp3|ogg|opus|wav)$/i],
  ["file", /\.(?:7z|apk|bz2|csv|deb|dmg|docx?|exe|gz|iso|jar|msi|od[pst]|pdf|pptx?|rar|rpm|tar|tgz|txt|whl|xlsx?|xz|zip)$/i],
];

/** @returns whether the text is only a few emoji */
export function isEmoji(text) {
  return text.length <= 24 && EMOJI.test(text) && text.trim() !== "";
}

/**
 * Make the nodes of a link.
 * @returns the nodes, none if it is no link, and the length of its text
 */
export function linkOf(text) {
  const shown = withoutTail(text);
  const url = parse(shown);
  if (!url) return [[], 0];
  const [kind] = KINDS.find(([, pattern]) => pattern.test(url.pathname)) ?? [];
  const nodes = [
    make(
      "a",
      { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr" },
      shown,
    ),
  ];
  // Show the real host if the link text doesn't, as with other scripts or numbers.
  const { protocol, host } = url;
  if (!shown.toLowerCase().startsWith(`${protocol}//${host}`)) nodes.push(make("small", {}, ` (${host})`));
  if (kind) nodes.push(make("small", { class: "kind" }, kind));
  return [nodes, shown.length];
}

/** Leave out punctuation of the sentence: a full stop, a bracket that was opened before. */
function withoutTail(link) {
  let shown = link.replace(/[.,:;!?…*_~]+$/u, "");
  for (const [open, close] of ["()", "[]", "{}"]) {
    while (shown.endsWith(close) && shown.split(close).length > shown.split(open).length) {
      shown = shown.slice(0, -1).replace(/[.,:;!?…]+$/u, "");
    }
  }
  return shown;
}

/** Return no URL if the link would lead elsewhere than it seems. */
function parse(link) {
  try {
    const url = new URL(link);
    const plain = /^https?:$/.test(url.protocol) && !url.username && !url.password;
    return plain ? url : null;
  } catch {
    return null;
  }
}
