/**
 * A pane beside the others. On narrow screens, it slides over them.
 */

const drawers = new Set();

export class Drawer {
  /** @param narrow the media query for narrow screens */
  constructor(pane, button, narrow) {
    this._pane = pane;
    this._button = button;
    this._query = matchMedia(narrow);
    this._isOpen = false;
    button.addEventListener("click", () => this.open());
    pane.querySelector(".close").addEventListener("click", () => this.close());
    addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this._isOpen) this.close();
    });
    this._query.addEventListener("change", () => this.close(false));
    drawers.add(this);
    this._show();
  }

  open() {
    this._isOpen = true;
    this._show();
    (this._pane.querySelector("[aria-current]") ?? this._pane.querySelector("button, a")).focus();
  }

  /** @param [goesBack] whether to restore the focus */
  close(goesBack = true) {
    const wasOpen = this._isOpen;
    this._isOpen = false;
    this._show();
    if (wasOpen && goesBack && this._query.matches) this._button.focus();
  }

  _show() {
    const isDrawer = this._query.matches;
    this._pane.classList.toggle("drawer", isDrawer);
    this._pane.classList.toggle("open", isDrawer && this._isOpen);
    this._pane.inert = isDrawer && !this._isOpen;
    this._button.setAttribute("aria-expanded", String(this._isOpen));
    const isOver = [...drawers].some((each) => each._isOpen && each._query.matches);
    document.querySelector("main").inert = isOver;
    document.querySelector("#veil").hidden = !isOver;
  }
}

/** Close all drawers. */
export function closeDrawers() {
  for (const drawer of drawers) drawer.close(false);
}
