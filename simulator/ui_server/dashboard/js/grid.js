import { h, icon } from "./dom.js";

/**
 * @template Item
 * @typedef {object} Column
 * @property {string} name
 * @property {string} label shown in the head; empty: none
 * @property {string} width of a grid track
 * @property {"right" | "clip"} [align] right for numbers, clip for text that is cut
 * @property {boolean} [sortable]
 * @property {(cell: HTMLElement, item: Item) => void} draw fill the cell; it may hold another item's content
 */

/** Rows that are drawn above and below what can be seen. */
const MARGIN = 8;

/**
 * A table of any length: only the rows that can be seen exist. One stop in the focus order; arrows, Home, End and the page keys
 * move, Enter opens, Space chooses, with Shift a range.
 * @template Item
 */
export class Grid {
  /**
   * @param {object} options
   * @param {string} options.label
   * @param {Column<Item>[]} options.columns
   * @param {(item: Item) => string} options.idOf
   * @param {(item: Item) => void} [options.onopen] Enter or double click
   * @param {(item: Item) => void} [options.onmove] the active row is another one
   * @param {(name: string) => void} [options.onsort]
   * @param {Set<string>} [options.chosen] ids of chosen items, kept by the page; absent: rows cannot be chosen
   * @param {() => void} [options.onchoose]
   * @param {number} [options.rowHeight] px
   * @param {string} [options.empty]
   */
  constructor({ label, columns, idOf, onopen, onmove, onsort, chosen, onchoose, rowHeight = 34, empty = "" }) {
    this.columns = columns;
    this.idOf = idOf;
    this.onopen = onopen;
    this.onmove = onmove;
    this.chosen = chosen;
    this.onchoose = onchoose;
    this.rowHeight = rowHeight;
    /** @type {readonly Item[]} */
    this.items = [];
    /** Index of the active row, -1: none. */
    this.active = -1;
    this.activeId = "";
    /** Id of the row where a range begins. */
    this.anchorId = "";
    /** @type {{element: HTMLElement, cells: HTMLElement[]}[]} */
    this.pool = [];
    this.prefix = `grid-${Math.random().toString(36).slice(2, 8)}`;

    /** @type {Map<string, HTMLElement>} */
    this.heads = new Map();
    const head = h("div", { class: "grid-head", role: "row", "aria-rowindex": "1" }, columns.map((column) => {
      const content = column.sortable && onsort
        ? h("button", { type: "button", onclick: () => onsort(column.name) }, column.label, icon("up"))
        : column.label;
      const cell = h("div", { role: "columnheader", class: column.align === "right" ? "right" : "" }, content);
      this.heads.set(column.name, cell);
      return cell;
    }));
    this.space = h("div", { class: "grid-space", role: "rowgroup" });
    this.body = h("div", { class: "grid-body", role: "presentation" }, this.space);
    this.note = h("div", { class: "grid-empty hidden", text: empty });
    this.element = h("div", { class: "grid", role: "grid", tabindex: "0", "aria-label": label, "aria-multiselectable": chosen ? "true" : null }, head, this.body, this.note);
    this.element.style.setProperty("--columns", columns.map(({ width }) => width).join(" "));
    this.element.style.setProperty("--row", `${rowHeight}px`);

    this.body.addEventListener("scroll", () => this.draw(), { passive: true });
    this.element.addEventListener("keydown", (event) => {
      if (event.target === this.element) this.key(event);
    });
    this.space.addEventListener("click", (event) => this.click(event));
    this.space.addEventListener("dblclick", (event) => {
      const index = this.indexAt(event);
      if (index >= 0) this.onopen?.(this.items[index]);
    });
    this.resize = new ResizeObserver(() => {
      this.element.style.setProperty("--gutter", `${this.body.offsetWidth - this.body.clientWidth}px`);
      this.draw();
    });
    this.resize.observe(this.body);
  }

  destroy() {
    this.resize.disconnect();
  }

  /**
   * Show other items; the active row stays with its item.
   * @param {readonly Item[]} items
   */
  setItems(items) {
    this.items = items;
    this.active = this.activeId === "" ? -1 : items.findIndex((item) => this.idOf(item) === this.activeId);
    this.space.style.height = `${items.length * this.rowHeight}px`;
    this.element.setAttribute("aria-rowcount", String(items.length + 1));
    this.note.classList.toggle("hidden", items.length > 0);
    this.draw();
  }

  /**
   * @param {string} name
   * @param {boolean} descending
   */
  setSort(name, descending) {
    for (const [column, head] of this.heads) {
      if (column === name) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  draw() {
    const { scrollTop, clientHeight } = this.body;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - MARGIN);
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + MARGIN);
    const wanted = Math.max(0, last - first);
    while (this.pool.length < wanted) this.pool.push(this.makeRow());
    for (let number = wanted; number < this.pool.length; number++) this.pool[number].element.remove();
    this.pool.length = wanted;
    // In the order of the document, for those who hear the table.
    for (let index = first; index < last; index++) this.drawRow(this.pool[index - first], index);
    if (this.active >= first && this.active < last) this.element.setAttribute("aria-activedescendant", `${this.prefix}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  makeRow() {
    const cells = this.columns.map((column) => h("div", { role: "gridcell", class: column.align ?? "" }));
    const element = h("div", { class: "grid-row", role: "row" }, cells);
    this.space.append(element);
    return { element, cells };
  }

  /**
   * @param {{element: HTMLElement, cells: HTMLElement[]}} row
   * @param {number} index
   */
  drawRow({ element, cells }, index) {
    const item = this.items[index];
    const id = this.idOf(item);
    element.style.transform = `translateY(${index * this.rowHeight}px)`;
    element.dataset.index = String(index);
    element.dataset.id = id;
    element.id = `${this.prefix}-${index}`;
    element.setAttribute("aria-rowindex", String(index + 2));
    const chosen = this.chosen?.has(id) ?? false;
    if (this.chosen) element.setAttribute("aria-selected", String(chosen));
    element.classList.toggle("chosen", chosen);
    element.classList.toggle("active", index === this.active);
    this.columns.forEach((column, number) => column.draw(cells[number], item));
  }

  /** @param {Event} event */
  indexAt(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest(".grid-row");
    return row instanceof HTMLElement ? Number(row.dataset.index) : -1;
  }

  /** @param {MouseEvent} event */
  click(event) {
    const index = this.indexAt(event);
    if (index < 0 || /** @type {HTMLElement} */ (event.target).closest("a")) return;
    const onBox = event.target instanceof HTMLInputElement;
    if (this.chosen && (onBox || event.ctrlKey || event.metaKey || event.shiftKey)) {
      if (event.shiftKey) this.chooseRange(index);
      else this.toggle(index);
      getSelection()?.removeAllRanges();
    }
    this.move(index, false);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const last = this.items.length - 1;
    const page = Math.max(1, Math.floor(this.body.clientHeight / this.rowHeight) - 1);
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: Math.min(last, this.active + 1),
      ArrowUp: Math.max(0, this.active - 1),
      PageDown: Math.min(last, this.active + page),
      PageUp: Math.max(0, this.active - page),
      Home: 0,
      End: last,
    };
    if (event.key in moves && last >= 0 && !event.altKey) {
      if (event.shiftKey && this.chosen) this.chooseRange(moves[event.key]);
      this.move(moves[event.key], true);
    } else if (event.key === " " && this.chosen && this.active >= 0) {
      if (event.shiftKey) this.chooseRange(this.active);
      else this.toggle(this.active);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey) && this.chosen) {
      for (const item of this.items) this.chosen.add(this.idOf(item));
      this.afterChoice();
    } else if (event.key === "Enter" && this.active >= 0) {
      this.onopen?.(this.items[this.active]);
    } else return;
    event.preventDefault();
  }

  /**
   * @param {number} index
   * @param {boolean} scroll
   */
  move(index, scroll) {
    this.active = index;
    this.activeId = this.idOf(this.items[index]);
    if (scroll) {
      const top = index * this.rowHeight;
      const { scrollTop, clientHeight } = this.body;
      if (top < scrollTop) this.body.scrollTop = top;
      else if (top + this.rowHeight > scrollTop + clientHeight) this.body.scrollTop = top + this.rowHeight - clientHeight;
    }
    this.draw();
    this.onmove?.(this.items[index]);
  }

  /** @param {number} index */
  toggle(index) {
    const id = this.idOf(this.items[index]);
    if (!this.chosen?.delete(id)) this.chosen?.add(id);
    this.anchorId = id;
    this.afterChoice();
  }

  /** @param {number} index */
  chooseRange(index) {
    const from = this.items.findIndex((item) => this.idOf(item) === (this.anchorId || this.activeId));
    const begin = from < 0 ? index : Math.min(from, index);
    const end = from < 0 ? index : Math.max(from, index);
    if (this.anchorId === "" && from >= 0) this.anchorId = this.activeId;
    for (let number = begin; number <= end; number++) this.chosen?.add(this.idOf(this.items[number]));
    this.afterChoice();
  }

  afterChoice() {
    this.draw();
    this.onchoose?.();
  }
}
