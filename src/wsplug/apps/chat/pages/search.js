/** The search in the messages that are loaded. */

const find = (id) => document.getElementById(id);

export class Search {
  /** @param log gives the log that is shown @param done is called at the end */
  constructor(log, done) {
    this._log = log;
    this._done = done;
    this._found = [];
    this._at = 0;
    find("find").addEventListener("click", () => (find("search").hidden ? this.open() : this.close()));
    find("search-words").addEventListener("input", () => this._search());
    find("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this._step(-1);
    });
    find("search-next").addEventListener("click", () => this._step(1));
    find("search-close").addEventListener("click", () => this.close());
    find("search").addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
  }

  open() {
    find("search").hidden = false;
    find("find").setAttribute("aria-expanded", "true");
    find("search-words").select();
  }

  close() {
    if (find("search").hidden) return;
    find("search").hidden = true;
    find("find").setAttribute("aria-expanded", "false");
    find("search-words").value = "";
    this._search();
    this._done();
  }

  _search() {
    for (const each of this._found) each.classList.remove("found", "current");
    const words = find("search-words").value.trim().toLowerCase();
    const bubbles = [...(this._log()?.element.querySelectorAll(".lines .bubble") ?? [])];
    this._found = words ? bubbles.filter(({ textContent }) => textContent.toLowerCase().includes(words)) : [];
    this._at = this._found.length - 1;
    for (const each of this._found) each.classList.add("found");
    this._show(words);
  }

  _step(by) {
    const { length } = this._found;
    if (!length) return;
    this._found[this._at].classList.remove("current");
    this._at = (this._at + by + length) % length;
    this._show(true);
  }

  _show(isAsked) {
    const { length } = this._found;
    find("search-count").textContent = !isAsked ? "" : length ? `${this._at + 1} of ${length}` : "none";
    if (!length) return;
    this._found[this._at].classList.add("current");
    this._log().reveal(this._found[this._at]);
  }
}
