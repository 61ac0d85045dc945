/** Everything around the messages: the lists, the header, the banners, the page's title. */

import { Drawer } from "./drawer.js";
import { ConversationList, PeopleList } from "./lists.js";
import { mark } from "./log.js";
import { make, showState } from "./-/page.js";

const find = (id) => document.getElementById(id);

const on = (id, listener, type = "click") => find(id).addEventListener(type, listener);

function write(element, text) {
  if (element.textContent !== text) element.textContent = text; // a live region announces each change
}

/** Tell how to open the platform's own picker for emoji, which a page can't. */
function emojiKeys() {
  const { platform } = navigator;
  if (/^Mac/.test(platform)) return " · emoji: ⌃⌘Space";
  return /^Win/.test(platform) ? " · emoji: ⊞ + ." : " · emoji: Ctrl + .";
}

export class View {
  constructor(actions) {
    this._actions = actions;
    this._rooms = new ConversationList(find("rooms"), actions.open);
    this._directs = new ConversationList(find("directs"), actions.open);
    this._people = new PeopleList(find("people"), find("more-people"), (person) => {
      this._peopleDrawer.close();
      actions.talkWith(person);
    });
    this._roomsDrawer = new Drawer(find("rooms-pane"), find("open-rooms"), "(max-width: 47.99rem)");
    this._peopleDrawer = new Drawer(find("people-pane"), find("open-people"), "(max-width: 67.99rem)");
    on("veil", () => {
      this._roomsDrawer.close();
      this._peopleDrawer.close();
    });
    on("leave", actions.leave);
    on("retry", actions.retry);
    on("trouble-done", () => this.clearComplaint());
    on("me", () => {
      this._roomsDrawer.close();
      actions.rename();
    });
    on("join", (event) => {
      event.preventDefault();
      actions.join(find("join-name").value);
      find("join-name").value = "";
    }, "submit");
    on("newest", () => {
      this._current?.log.showEnd();
      find("say").focus();
    });
    on("skip", (event) => {
      event.preventDefault();
      find("say").focus();
    });
    const code = (text) => make("code", {}, text);
    find("tips").append(code("**bold**"), " ", code("*italic*"), " ", code("`code`"), " ", code("@name"), emojiKeys());
    visualViewport?.addEventListener("resize", () => this._fit());
  }

  watch(connection) {
    showState(connection, find("state"));
    connection.addEventListener("state", () => {
      const { state } = connection;
      if (state === "open") find("lost").hidden = true;
      if (state === "waiting") this._lose("Connection lost; trying again … What you write is sent afterwards.", "Try now");
    });
    connection.addEventListener("close", ({ detail: { reason } }) => {
      if (connection.state === "closed") this._lose(`Disconnected${reason && `: ${reason}`}`, "Connect again");
    });
  }

  _lose(text, action) {
    write(find("lost-text"), text);
    write(find("retry"), action);
    find("lost").hidden = false;
  }

  complain(text) {
    find("trouble").hidden = false;
    write(find("trouble-text"), text);
  }

  clearComplaint() {
    find("trouble").hidden = true;
  }

  mayJoinOthers(may) {
    find("join").hidden = !may;
  }

  addLog(log) {
    find("logs").prepend(log.element);
    log.element.addEventListener("scroll", () => {
      if (this._current?.log !== log) return;
      this._showNewest();
      this._actions.seen();
    });
  }

  show({ entries, current, addressOf, own }) {
    this._current = current;
    const key = current?.key ?? "";
    const directs = entries.filter(({ id }) => id);
    this._rooms.show(entries.filter(({ id }) => !id), key, addressOf);
    this._directs.show(directs, key, addressOf);
    find("no-directs").hidden = directs.length > 0;
    find("nowhere").hidden = !own.id || current !== null;
    this._showHead(current);
    this._showPeople(current, own);
    this._showNewest();
    const unread = entries.reduce((sum, entry) => sum + entry.unread, 0);
    const elsewhere = unread - (current?.unread ?? 0);
    find("elsewhere").hidden = elsewhere === 0;
    write(find("elsewhere"), elsewhere > 99 ? "99+" : String(elsewhere));
    document.title = `${unread ? `(${unread}) ` : ""}${current ? `${current.name} · ` : ""}wsplug chat`;
    write(find("me-name"), own.name || "You");
    if (own.isFixed) write(find("me-change"), "Change colour");
    find("me-mark").replaceWith(Object.assign(mark(own.name || "?", own.color, own.id), { id: "me-mark" }));
  }

  _showHead(current) {
    write(find("title"), current?.name ?? "");
    find("find").hidden = !current;
    find("leave").hidden = !current?.subscription;
    find("leave").setAttribute("aria-label", `Leave ${current?.name ?? ""}`);
    const { isDirect = false, count = 0 } = current ?? {};
    write(find("count"), isDirect ? "only the two of you" : count ? `${count} here` : "");
  }

  _showPeople(current, own) {
    const people = current?.isDirect ? [own, current.entry] : [...(current?.people.values() ?? [])];
    this._people.show(people, current?.count ?? 0, own.id);
  }

  _showNewest() {
    find("newest").hidden = !this._current || this._current.log.isAtEnd;
  }

  /** In some browsers, the on-screen keyboard covers the page instead of resizing it. */
  _fit() {
    const { height, scale } = visualViewport;
    const isCovered = scale === 1 && innerHeight - height > 80;
    document.body.style.height = isCovered ? `${height}px` : "";
    if (isCovered) scrollTo(0, 0);
  }
}
