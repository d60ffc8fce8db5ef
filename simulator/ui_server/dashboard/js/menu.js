import { h } from "./dom.js";

/** @typedef {{label: string, run: () => void, danger?: boolean} | {group: string}} MenuItem */

/** @type {(() => void) | null} */
let closeOpen = null;

/**
 * Open a menu under a button; arrows move, Escape closes, letters jump.
 * @param {HTMLElement} button
 * @param {readonly MenuItem[]} items
 */
export function openMenu(button, items) {
  const again = button.getAttribute("aria-expanded") === "true";
  closeOpen?.();
  if (again) return;
  const buttons = /** @type {HTMLButtonElement[]} */ ([]);
  const menu = h("div", { class: "menu", role: "menu", "aria-label": button.getAttribute("aria-label") ?? button.textContent }, items.map((item) => {
    if ("group" in item) return h("div", { class: "group", role: "presentation", text: item.group });
    const entry = h("button", { type: "button", role: "menuitem", tabindex: "-1", class: item.danger ? "danger" : "", text: item.label, onclick: () => {
      close();
      item.run();
    } });
    buttons.push(entry);
    return entry;
  }));

  function close() {
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    removeEventListener("resize", close);
    removeEventListener("hashchange", close);
    closeOpen = null;
  }
  /** @param {Event} event */
  function outside(event) {
    const target = /** @type {Node} */ (event.target);
    if (!menu.contains(target) && !button.contains(target)) close();
  }
  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const last = buttons.length - 1;
    let next = -1;
    if (event.key === "ArrowDown") next = at === last ? 0 : at + 1;
    else if (event.key === "ArrowUp") next = at <= 0 ? last : at - 1;
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = last;
    else if (event.key === "Escape" || event.key === "Tab") {
      close();
      button.focus();
    } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && event.key !== " ") {
      const letter = event.key.toLowerCase();
      const order = [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)];
      const found = order.find((entry) => entry.textContent?.toLowerCase().startsWith(letter));
      if (found) next = buttons.indexOf(found);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    buttons[next]?.focus();
  });
  document.body.append(menu);
  const place = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = place.bottom + 4 + height <= innerHeight;
  menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
  menu.style.top = `${below ? place.bottom + 4 : Math.max(8, place.top - height - 4)}px`;
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  addEventListener("resize", close);
  addEventListener("hashchange", close);
  closeOpen = close;
  buttons[0]?.focus();
}
