/** Converts messages to nodes: text and links, never HTML. */

import { make } from "./-/page.js";

/** Invisible and bidirectional characters end a link. */
const LINK = /\bhttps?:\/\/[^\s<>"'`\p{Cc}\p{Cf}]+/giu;

const EMOJI = /^(?:\p{RI}|\p{Emoji_Presentation}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|[\u200d\ufe0f\s])+$/u;

/** @returns whether the text is only a few emoji */
export function isEmoji(text) {
  return text.length <= 24 && EMOJI.test(text) && text.trim() !== "";
}

export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const shown = withoutTail(match[0]);
    const url = parse(shown);
    if (!url) continue;
    nodes.push(text.slice(end, match.index));
    nodes.push(
      make(
        "a",
        { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr" },
        shown,
      ),
    );
    // Show the real host if the link text doesn't, as with other scripts or numbers.
    const { protocol, host } = url;
    if (!shown.toLowerCase().startsWith(`${protocol}//${host}`)) nodes.push(make("small", {}, ` (${host})`));
    end = match.index + shown.length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

/** Leave out punctuation of the sentence: a full stop, a bracket that was opened before. */
function withoutTail(link) {
  let shown = link.replace(/[.,:;!?…]+$/u, "");
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
