import { h } from "./dom.js";
import { ABSENT, TONES, statusTone } from "./stations.js";

/** @param {import("./stations.js").State} state */
export function statePill(state) {
  return h("span", { class: `pill tone-${TONES[state]}`, "data-state": state }, h("span", { class: ABSENT.has(state) ? "dot hollow" : "dot" }), state);
}

/** @param {string} status of a connector */
export function statusPill(status) {
  return h("span", { class: `pill tone-${statusTone(status)}` }, h("span", { class: "dot" }), status || "Unknown");
}

/**
 * A field to search with.
 * @param {string} label
 * @param {(text: string) => void} oninput
 * @param {string} [key] that leads to it
 */
export function searchField(label, oninput, key) {
  const input = h("input", { type: "search", placeholder: label, "aria-label": label, spellcheck: "false", autocomplete: "off", oninput: () => oninput(input.value) });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (input.value === "") input.blur();
    input.value = "";
    oninput("");
  });
  return { input, element: (/** @type {Node} */ mark) => h("div", { class: "search" }, mark, input, key ? h("kbd", { "aria-hidden": "true", text: key }) : null) };
}
