/** Direct messages: a single room for the server, one conversation per person for the visitor. */

import { beginningOf } from "./conversation.js";

/** The room of direct messages; with an id appended, the key of a conversation. */
export const DIRECT = "@";

/** The name of a person of whom only the id is known. */
const NOBODY = "somebody";

export class Direct {
  constructor(conversations, make) {
    this._conversations = conversations;
    this._make = make;
    this.isReady = false;
    this.wasReady = false;
    this.position = { offset: 0, epoch: "" };
    this.first = null;
  }

  enter(answer) {
    const { position } = answer;
    this.first = beginningOf(this.first, answer);
    this.position = { ...position };
    this.isReady = true;
    for (const each of this.all) {
      each.enter(position, true);
      each.log.hasOlder = this.first.offset > 1;
    }
  }

  get all() {
    return [...this._conversations.values()].filter(({ isDirect }) => isDirect);
  }

  /** Find the conversation of a message that was edited or deleted. */
  ofChange({ id, offset }) {
    this.position.offset = Math.max(this.position.offset, offset ?? 0);
    return this.all.find(({ log }) => log.has(id));
  }

  /** Find the conversation of a message. */
  of({ from_id: from, name, color, to_id: to, to_name: toName, offset }, ownId) {
    this.position.offset = Math.max(this.position.offset, offset ?? 0);
    const isMine = from === ownId;
    const found = this.with(isMine ? to : from);
    if (!isMine) found.call(name, color);
    else if (found.name === NOBODY) found.call(toName, "");
    return found;
  }

  with(id) {
    const key = DIRECT + id;
    const found = this._conversations.get(key);
    if (found) return found;
    const made = this._make(key, this._personOf(id) ?? { id, name: NOBODY });
    if (this.isReady) made.enter(this.position, true);
    made.log.hasOlder = this.first !== null && this.first.offset > 1;
    return made;
  }

  _personOf(id) {
    for (const { people } of this._conversations.values()) if (people.has(id)) return people.get(id);
  }
}
