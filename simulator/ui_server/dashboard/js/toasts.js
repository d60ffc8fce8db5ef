import { h, icon, iconButton } from "./dom.js";

/** Milliseconds that a success is shown; failures stay until they are read. */
const SHOWN_FOR = 4_000;
const MOST = 6;

/** @param {HTMLElement} toast */
function show(toast) {
  const region = /** @type {HTMLElement} */ (document.getElementById("toasts"));
  region.append(toast);
  // Only what goes by itself makes room: a failure must be read.
  const passing = [...region.querySelectorAll(".toast.passing")];
  if (region.childElementCount > MOST) passing[0]?.remove();
}

/**
 * @param {string} title
 * @param {string} [text]
 */
export function success(title, text) {
  const toast = h("div", { class: "toast passing", role: "status" },
    h("span", { class: "tone-good" }, icon("done")),
    h("div", null, h("div", { class: "title", text: title }), text ? h("div", { class: "text", text }) : null),
    iconButton("close", "Close", () => toast.remove()));
  let timer = setTimeout(() => toast.remove(), SHOWN_FOR);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => {
    timer = setTimeout(() => toast.remove(), SHOWN_FOR);
  });
  show(toast);
}

/**
 * @param {string} title
 * @param {string} text
 * @param {{label: string, run: () => void}} [more] a way to see more of it
 */
export function failure(title, text, more) {
  const close = () => toast.remove();
  const toast = h("div", { class: "toast failed", role: "alert" },
    h("span", { class: "tone-bad" }, icon("warn")),
    h("div", null,
      h("div", { class: "title", text: title }),
      h("div", { class: "text", text }),
      more ? h("div", { class: "buttons" }, h("button", { type: "button", class: "small", text: more.label, onclick: () => {
        close();
        more.run();
      } })) : null),
    iconButton("close", "Close", close));
  show(toast);
}
