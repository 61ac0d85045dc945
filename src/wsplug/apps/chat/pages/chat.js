/**
 * The chat's page: passes messages of the server to the rooms and lists, and the visitor's
 * actions to the server. docs/reference/chat.md has the wire format.
 */

import { Composer } from "./composer.js";
import { beginningOf, Conversation } from "./conversation.js";
import { DIRECT, Direct } from "./direct.js";
import { closeDrawers } from "./drawer.js";
import { mentions } from "./markdown.js";
import { Notifier } from "./notifier.js";
import { Outbox } from "./outbox.js";
import { Search } from "./search.js";
import { here, urlOf } from "./urls.js";
import { Session, wait } from "./session.js";
import { forGood, forNow, isWellFormed } from "./store.js";
import { Typing } from "./typing.js";
import { View } from "./view.js";
import { make } from "./-/page.js";

/** How many people are named in a notice about several. */
const NAMED = 3;

const named = (name) => make("bdi", {}, name);

class Chat {
  constructor() {
    /** @type {Map<string, Conversation>} by room, or by "@" and a person's id */
    this._conversations = new Map();
    this._current = null;
    /** The room that was open last. */
    this._room = "";
    this._id = "";
    this._offered = [];
    this._session = new Session({
      welcomed: (answer) => this._welcomed(answer),
      renamed: (names) => this._renamed(names),
      lost: () => this._lost(),
      changed: () => this._show(),
      noticed: (text) => this._noticed(text),
      refuseLargest: () => this._outbox.refuseLargest(),
      complain: (text) => this._view.complain(text),
    });
    this._direct = new Direct(this._conversations, (key, who) => this._make(key, who));
    this._view = new View({
      open: (key) => this._open(key),
      join: (name) => this._joinOther(name),
      leave: () => this._leave(),
      talkWith: (person) => this._talkWith(person),
      rename: () => this._askName(),
      retry: () => this._session.connection.retryNow(),
      seen: () => this._seen(),
    });
    this._composer = new Composer(document.querySelector("#entry"), {
      send: (text, context) => this._say(text, context),
      unedited: () => this._composer.write(this._current?.draft ?? ""),
      editLast: () => this._editLast(),
      typed: (text) => this._typed(text),
      escape: () => this._current?.log.showEnd(),
      names: () => this._namesIn(this._current).names,
    });
    this._notifier = new Notifier((key) => this._open(key));
    this._search = new Search(() => this._current?.log, () => this._composer.focus());
    this._typing = new Typing(document.querySelector("#typing"), (room) =>
      this._session.connection.send({ type: "typing", room }),
    );
    this._outbox = new Outbox({
      send: (item) => this._send(item),
      position: (key) => this._positionOf(key),
      sent: (item, answer) => this._sent(item, answer),
      changed: (key) => this._unsentChanged(key),
    });
    addEventListener("popstate", () => this._goHere());
    addEventListener("keydown", (event) => this._pressed(event));
    document.addEventListener("visibilitychange", () => this._seen());
    forGood.listen((key) => key === "read" && this._caughtUp());
  }

  get _all() {
    return [...this._conversations.values()];
  }

  start() {
    this._show();
    this._session.start();
    this._view.watch(this._session.connection);
    this._show();
  }

  // Joining and leaving

  _welcomed({ id, rooms, other_rooms: others, max_length: length }) {
    const isFirst = !this._id;
    this._id = id;
    this._offered = rooms;
    this._composer.limit = length;
    this._view.mayJoinOthers(others);
    if (isFirst) this._begin();
    this._show();
  }

  /** Hear what is said to the visitor alone. */
  _joinDirect() {
    const isThere = ({ key }) => key.startsWith(DIRECT);
    this._session.subscribe(DIRECT, {
      entered: (answer) => {
        this._direct.enter(answer);
        this._outbox.entered(isThere, answer, this._direct.wasReady);
        this._direct.wasReady = true;
      },
      message: (message) => this._heardDirect(message),
      gap: ({ count }) => this._missed(this._all.filter(isThere), count, isThere),
      error: async ({ code, message, answer }) => {
        if (code === "rate-limited") {
          await wait(answer.retry_after);
          this._joinDirect();
        } else this._view.complain(`Direct messages don’t work: ${message}.`);
      },
    });
  }

  _begin() {
    this._joinDirect();
    const rooms = forGood.get("rooms", []).filter(isWellFormed);
    const waiting = [...this._outbox.keys];
    for (const room of rooms) if (!room.startsWith(DIRECT)) this._join(room);
    for (const key of waiting) {
      if (key.startsWith(DIRECT)) this._direct.with(key.slice(DIRECT.length));
      else if (!this._outbox.isStuck(key)) this._join(key);
      else if (!this._conversations.has(key)) this._make(key, { name: key }).isAway = true;
    }
    this._goHere();
  }

  _lost() {
    this._direct.isReady = false;
    for (const each of this._all) each.isReady = false;
  }

  /** A notice of the server's operator. */
  _noticed(text) {
    if (this._current) this._current.log.addNotice("operator", "From the operator: ", named(text));
    else this._view.complain(`From the operator: ${text}`);
  }

  _askName(error) {
    this._session.rename(error).then(() => this._composer.focus());
  }

  _renamed(names) {
    for (const [room, name] of Object.entries(names)) this._called(this._conversations.get(room), name);
    for (const { key, isDirect, isAway } of this._all) if (!isDirect && !isAway) this._join(key);
    this._show();
  }

  /** Set the visitor's name in a room. */
  _called(conversation, name) {
    if (!conversation || conversation.ownName === name) return;
    conversation.ownName = name;
    if (name !== this._session.identity.name) {
      conversation.log.addNotice("", "You are called ", named(name), " here, because somebody else has your name");
    }
  }

  // Rooms

  /** Open the room or person in the page's URL. */
  async _goHere() {
    const [first] = this._offered;
    const { room: name, person } = here(first);
    const { room = first, problem } = await this._find(name);
    this._room = room;
    if (!this._conversations.get(room)?.isAway) this._join(room);
    this._open(person ? this._direct.with(person).key : room, false);
    if (room !== name) history.replaceState(null, "", urlOf(room, first, person));
    if (problem) this._view.complain(problem);
  }

  async _joinOther(name) {
    const { room, problem } = await this._find(name);
    if (room) this._open(room);
    else this._view.complain(problem);
  }

  /** Ask the server for a room's canonical name, or why there is no such room. */
  async _find(name) {
    const isNone = !name.trim() || name.startsWith(DIRECT);
    if (!isNone && (this._conversations.has(name) || this._offered.includes(name))) return { room: name };
    if (!isWellFormed(name)) return { problem: "You can’t join this room: its name contains an invalid character." };
    try {
      return { room: (await this._session.connection.request({ type: "find", room: name })).room };
    } catch ({ passes, message }) {
      if (!isNone && passes) return { room: name };
      return { problem: `You can’t join this room: ${message}.` };
    }
  }

  _join(room) {
    const conversation = this._conversations.get(room) ?? this._make(room, { name: room });
    if (!conversation.subscription) {
      conversation.isAway = false;
      if (conversation === this._current) this._openComposer();
      conversation.subscription = this._session.subscribe(room, {
        entered: (answer) => this._entered(conversation, answer),
        message: (message) => this._heard(conversation, message),
        gap: ({ count }) => this._missed([conversation], count, ({ key }) => key === room),
        error: (error) => this._refused(conversation, error),
      });
      this._saveRooms();
    }
    return conversation;
  }

  _make(key, who) {
    const made = new Conversation(key, who, {
      again: (item) => {
        this._outbox.again(item);
        if (!made.isDirect) this._join(key);
      },
      edit: (item) => this._edit(made, item),
      discard: (item) => this._outbox.discard(item),
      done: () => this._composer.focus(true),
      names: () => this._namesIn(made),
      older: () => this._older(made),
      reply: (message) => this._composer.refer({ id: message.id, label: `Reply to ${message.name}` }),
      change: (message) => this._change(message),
      remove: (message) => this._remove(made, message),
    });
    made.draft = forNow.get("drafts", {})[key] ?? "";
    this._conversations.set(key, made);
    this._view.addLog(made.log);
    made.log.showUnsent(this._outbox.of(key));
    return made;
  }

  /** The names that can be mentioned in a conversation, and the visitor's own. */
  _namesIn(conversation) {
    const own = conversation?.ownName || this._session.identity.name;
    const others = [...(conversation?.people.values() ?? [])].map(({ name }) => name);
    if (conversation?.isDirect) others.push(conversation.name);
    return { names: [...new Set([...others, own])].filter(Boolean), own };
  }

  _entered(conversation, answer) {
    if (answer.room !== conversation.key) {
      this._moved(conversation, answer.room);
      return;
    }
    conversation.meet(answer.people);
    conversation.count = answer.count;
    conversation.enter(answer.position);
    conversation.first = beginningOf(conversation.first, answer);
    conversation.log.hasOlder = conversation.first.offset > 1;
    conversation.isReady = true;
    this._called(conversation, answer.name);
    this._outbox.entered(({ key }) => key === conversation.key, answer, conversation.wasReady);
    conversation.wasReady = true;
    this._show();
  }

  /** The server has another name for a room than the visitor. */
  _moved(conversation, room) {
    const isCurrent = this._current === conversation;
    conversation.subscription.close();
    this._drop(conversation);
    this._outbox.move(conversation.key, room);
    if (isCurrent) this._open(room);
    else this._join(room);
  }

  async _refused(conversation, { code, message, answer }) {
    conversation.subscription = null;
    if (code === "rate-limited") {
      await wait(answer.retry_after);
      if (this._conversations.get(conversation.key) === conversation) this._join(conversation.key);
    } else if (code === "name-in-use") {
      conversation.log.addNotice("bad", `You aren’t in this room: ${message}.`);
      this._askName(message);
    } else {
      this._keepOut(conversation, message);
      this._view.complain(`You aren’t in ${conversation.name}: ${message}.`);
    }
  }

  /** A room can't be joined: keep it only if there are unsent messages or a draft for it. */
  _keepOut(conversation, reason) {
    const { key, draft } = conversation;
    if (draft.trim()) {
      this._saveDraft("", conversation);
      this._outbox.add(key, draft);
    }
    if (!this._outbox.refuse(conversation.key, reason)) {
      this._drop(conversation);
      return;
    }
    Object.assign(conversation, { isAway: true, count: 0, people: new Map() });
    this._saveRooms();
    if (conversation === this._current) this._openComposer();
    this._show();
  }

  _leave() {
    const { subscription, key } = this._current;
    subscription.close();
    this._outbox.discardAll(key);
    this._drop(this._current);
    this._composer.focus();
  }

  _drop(conversation) {
    conversation.log.element.remove();
    this._conversations.delete(conversation.key);
    this._saveRooms();
    if (this._current === conversation) {
      this._current = null;
      this._composer.open(null, "");
      const next = this._nextJoined;
      if (next) this._open(next.key);
    }
    this._show();
  }

  get _nextJoined() {
    return this._all.find((each) => each.subscription);
  }

  _saveRooms() {
    const rooms = this._all.filter(({ isDirect, isAway }) => !isDirect && !isAway);
    forGood.set("rooms", rooms.map(({ key }) => key));
  }

  /**
   * Show a room or direct messages, and change the URL.
   * @param [isNew] whether to add an entry to the browser's history, and to try again to
   *   join a room that couldn't be joined
   */
  _open(key, isNew = true) {
    const known = this._conversations.get(key);
    const stays = known && (known.isDirect || (known.isAway && !isNew));
    const conversation = stays ? known : this._join(key);
    const before = this._current;
    closeDrawers();
    if (conversation !== before) {
      this._search.close();
      before?.log.hide();
      before?.log.clearNew();
      this._current = conversation;
      if (!conversation.isDirect) this._room = key;
      this._view.clearComplaint();
      conversation.log.show();
      this._openComposer();
      this._typing.open(key);
      if (isNew) history.pushState(null, "", this._addressOf(key));
    }
    conversation.markRead();
    this._show();
    this._composer.focus();
  }

  _openComposer() {
    const { name, draft, isAway } = this._current;
    this._composer.open(isAway ? null : `Message to ${name}`, draft);
  }

  _talkWith(person) {
    if (person.id === this._id) {
      this._askName();
      return;
    }
    this._direct.with(person.id).call(person.name, person.color);
    this._open(DIRECT + person.id);
  }

  _addressOf(key) {
    const [first] = this._offered;
    return key.startsWith(DIRECT) ? urlOf(this._room, first, key.slice(1)) : urlOf(key, first);
  }

  _pressed(event) {
    const step = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const keys = this._entries().filter(({ hint }) => !hint).map(({ key }) => key);
    const next = keys.indexOf(this._current?.key) + step;
    if (keys.length) this._open(keys[(next + keys.length) % keys.length]);
  }

  // What comes

  _heard(conversation, message) {
    const { type } = message;
    if (type === "usermsg") this._said(conversation, message);
    else if (type === "edited" || type === "deleted") conversation.change(message, this._sees(conversation));
    else if (type === "presence") this._cameOrWent(conversation, { ...message, events: [message] });
    else if (type === "presences") this._cameOrWent(conversation, message);
    else if (type === "system") conversation.log.addNotice("", message.message);
    else if (type === "typing" && message.id !== this._id) this._typing.heard(conversation.key, message);
  }

  _heardDirect(message) {
    const { type } = message;
    if (type === "usermsg") this._said(this._direct.of(message, this._id), message);
    else if (type === "edited" || type === "deleted") {
      const conversation = this._direct.ofChange(message);
      conversation?.change(message, this._sees(conversation));
    }
  }

  _said(conversation, message) {
    const isMine = message.from_id === this._id;
    if (isMine) this._outbox.arrived(message.ref);
    else this._typing.stopped(conversation.key, message.from_id);
    const isNews = conversation.receive(message, isMine, this._sees(conversation));
    const isForOne = conversation.isDirect || mentions(message.message, this._namesIn(conversation).own);
    if (isNews && isForOne) this._notifier.tell(conversation, message);
    this._show();
  }

  /** Several changes; or the people in the room, and how many have joined and left. */
  _cameOrWent(conversation, { count, events = [], people, joined = 0, left = 0 }) {
    conversation.count = count;
    if (people) conversation.meet(people);
    for (const each of events) this._changed(conversation, each);
    const isTold = ({ quiet, id }) => !quiet && id !== this._id;
    for (const [kind, more] of Object.entries({ joined, left })) {
      const names = events.filter((each) => each.event === kind && isTold(each)).map(({ name }) => name);
      this._tellNames(conversation, names, more, ` ${kind}`);
    }
    this._show();
  }

  _changed(conversation, { event, id, name, color, guest, was }) {
    if (event === "left") {
      conversation.people.delete(id);
      this._typing.stopped(conversation.key, id);
      return;
    }
    for (const each of conversation.people.values()) {
      if (each.name === name) conversation.people.delete(each.id); // the person has another id now
    }
    conversation.people.set(id, { id, name, color, guest });
    if (event !== "changed") return;
    this._conversations.get(DIRECT + id)?.call(name, color);
    if (was) conversation.log.addNotice("", named(was), " is now called ", named(name));
  }

  /** Name some people, and count the others. */
  _tellNames({ log }, names, more, ...words) {
    const shown = names.slice(0, NAMED);
    const others = more + names.length - shown.length;
    const nodes = shown.flatMap((name, i) => (i ? [", ", named(name)] : [named(name)]));
    if (others) nodes.push(`${shown.length ? " and " : ""}${others} ${shown.length ? "more" : others === 1 ? "person" : "people"}`);
    if (nodes.length) log.addNotice("", ...nodes, ...words);
  }

  /** Messages are missing, and won't come any more. */
  _missed(conversations, count, isThere) {
    const many = count === 1 ? "One message is" : `${count ?? "Some"} messages are`;
    for (const { log } of conversations) log.addNotice("gap", `${many} missing here`);
    this._outbox.missed(isThere);
  }

  // Sending

  _say(text, context) {
    const { key, log } = this._current;
    if (context?.isEdit) {
      this._composer.write(this._current.draft);
      this._ask(this._current, { type: "edit", id: context.id, message: text }, "edited");
      return;
    }
    this._saveDraft("");
    log.clearNew();
    log.showEnd();
    this._typing.sent();
    this._outbox.add(key, text, context?.id);
  }

  // What was sent before

  _change({ id, message }) {
    this._composer.write(message);
    this._composer.refer({ id, label: "Edit your message", isEdit: true });
  }

  _editLast() {
    const message = this._current?.log.lastOwn;
    if (message) this._change(message);
    return message !== undefined;
  }

  _remove(conversation, { id }) {
    this._ask(conversation, { type: "delete", id }, "deleted");
    this._composer.focus();
  }

  async _ask({ key }, message, what) {
    const room = key.startsWith(DIRECT) ? DIRECT : key;
    try {
      await this._session.connection.request({ ...message, room });
    } catch (error) {
      this._view.complain(`Your message wasn’t ${what}: ${error.message}.`);
      if (message.message && this._current?.key === key) this._change(message);
    }
  }

  /** Read older messages of a room; of direct messages, until there are some of this person. */
  async _older(conversation) {
    const { isDirect, key, log } = conversation;
    const of = isDirect ? this._direct : conversation;
    if (of.isLoading || !of.first || this._session.connection.state !== "open") return;
    of.isLoading = true;
    try {
      for (let found = false, more = true; more && !found; ) {
        const offset = Math.min((!isDirect && log.firstOffset) || Infinity, of.first.offset);
        const before = { ...of.first, offset };
        const answer = await this._session.connection.request({ type: "history", room: isDirect ? DIRECT : key, before });
        const { messages } = answer;
        ({ more } = answer);
        // There may be changes only, and no message: the server says where to go on.
        of.first.offset = answer.before?.offset ?? messages[0]?.offset ?? offset;
        more &&= of.first.offset < offset;
        this._addOlder(conversation, messages);
        found = (!isDirect && messages.length > 0) || messages.some((each) => this._direct.of(each, this._id) === conversation);
        for (const each of isDirect ? this._direct.all : [conversation]) each.log.hasOlder = more;
      }
    } catch ({ code }) {
      if (code === "unknown-type") log.hasOlder = false; // an older server
    }
    of.isLoading = false;
    this._show(); // others may be among those who have written
  }

  _addOlder(conversation, messages) {
    const isMine = ({ from_id: from }) => from === this._id;
    if (!conversation.isDirect) {
      conversation.log.addOlder(messages, isMine);
      return;
    }
    const sorted = new Map();
    for (const each of messages) {
      const of = this._direct.of(each, this._id);
      sorted.set(of, [...(sorted.get(of) ?? []), each]);
    }
    for (const [of, its] of sorted) of.log.addOlder(its, isMine);
  }

  /** Edit an unsent message; in another room, if its room can't be joined. */
  _edit({ name, isAway }, item) {
    if (isAway) this._open(this._nextJoined?.key ?? this._offered[0]);
    this._outbox.discard(item);
    this._composer.write([item.text, this._composer.text].filter(Boolean).join("\n"));
    this._saveDraft(this._composer.text);
    if (isAway) this._view.complain(`You aren’t in ${name}: this will be sent to ${this._current.name}.`);
  }

  _unsentChanged(key) {
    const conversation = this._conversations.get(key);
    const items = this._outbox.of(key);
    conversation?.log.showUnsent(items);
    if (conversation?.isAway && !items.length) this._drop(conversation);
  }

  _typed(text) {
    const { key, isDirect } = this._current;
    this._saveDraft(text);
    if (!isDirect && text.trim()) this._typing.typed(key);
  }

  _saveDraft(text, conversation = this._current) {
    const { key } = conversation;
    conversation.draft = text;
    const { [key]: _, ...drafts } = forNow.get("drafts", {});
    forNow.set("drafts", text ? { ...drafts, [key]: text } : drafts);
  }

  _send({ key, text: message, ref, replyTo }) {
    const where = key.startsWith(DIRECT) ? { to_id: key.slice(DIRECT.length) } : { room: key };
    return this._session.connection.request({ type: "usermsg", ...where, message, ref, reply_to: replyTo });
  }

  _positionOf(key) {
    const of = key.startsWith(DIRECT) ? this._direct : this._conversations.get(key);
    return of?.isReady ? of.position : null;
  }

  /** The server has a message: show it, even if it doesn't come back. */
  _sent({ key, text: message, ref, replyTo }, { id, time }) {
    const conversation = this._conversations.get(key);
    if (!conversation) return;
    const { name, color } = this._session.identity;
    const own = { from_id: this._id, name: conversation.ownName || name, color };
    conversation.receive({ id, time, message, ref, reply_to: replyTo, ...own }, true, this._sees(conversation));
  }

  // Reading

  _sees(conversation) {
    return conversation === this._current && !document.hidden && conversation.log.isAtEnd;
  }

  _seen() {
    if (!this._current?.unread || !this._sees(this._current)) return;
    this._current.markRead();
    this._show();
  }

  /** Another tab has read messages. */
  _caughtUp() {
    for (const each of this._all) each.catchUp();
    this._show();
  }

  _entries() {
    const all = this._all;
    const keys = new Set([...this._offered, ...all.filter((each) => !each.isDirect).map((each) => each.key)]);
    const rooms = [...keys].map((key) => this._conversations.get(key)?.entry ?? { key, name: key, unread: 0, hint: "join" });
    return [...rooms, ...all.filter((each) => each.isDirect).map((each) => each.entry)];
  }

  /** Show all changes at once, at the end of this task. */
  _show() {
    if (this._isShowing) return;
    this._isShowing = true;
    queueMicrotask(() => {
      this._isShowing = false;
      const { name, color, isFixed } = this._session.identity;
      this._view.show({
        entries: this._entries(),
        current: this._current,
        addressOf: (key) => this._addressOf(key),
        own: { id: this._id, name, color, isFixed },
      });
    });
  }
}

new Chat().start();
