import { Chart } from "./chart.js";
import { h } from "./dom.js";
import * as format from "./format.js";

const SPANS = /** @type {const} */ ([[5, "5 min"], [15, "15 min"], [60, "1 h"]]);
let minutes = 5;

/**
 * What the fleet did since the page was opened.
 * @param {import("./main.js").App} app
 * @returns {import("./main.js").Page}
 */
export function chartsPage({ history }) {
  /** @typedef {import("./history.js").Look} Look */
  const perSecond = (/** @type {number} */ value) => format.short(value);
  /** @type {{title: string, note?: string, chart: Chart, of: ((look: Look) => number | null)[], legend: HTMLElement}[]} */
  const cards = [
    card("Messages per second", [["sent", "chart-1"], ["received", "chart-2"]], perSecond, [(look) => look.sent, (look) => look.received], { least: 1, fill: true }),
    card("Latency of answers", [["p50", "chart-1"], ["p95", "chart-2"], ["p99", "chart-3"]], format.milliseconds,
      [(look) => look.p50, (look) => look.p95, (look) => look.p99], { least: 1 }),
    card("Power", [["delivered", "chart-1"]], format.power, [(look) => look.power], { least: 1000, fill: true }),
    card("Stations by state", [["charging", "good"], ["occupied", "info"], ["available", "line-strong"], ["faulted", "bad"], ["unavailable", "warn"], ["not there", "idle"]],
      format.count, [(look) => look.states.Charging, (look) => look.states.Occupied, (look) => look.states.Available, (look) => look.states.Faulted,
        (look) => look.states.Unavailable, (look) => look.states.Absent], { stacked: true, least: 1, whole: true }),
    card("Transactions running", [["running", "chart-4"]], format.count, [(look) => look.transactions], { least: 5, fill: true, whole: true }),
    card("Errors and missed answers per second", [["failed", "bad"]], perSecond, [(look) => look.failed], { least: 1, fill: true }),
  ];
  const spanButtons = SPANS.map(([value, label]) => h("button", { type: "button", class: "small", text: label, "aria-pressed": String(minutes === value), onclick: () => {
    minutes = value;
    spanButtons.forEach((button, number) => button.setAttribute("aria-pressed", String(SPANS[number][0] === minutes)));
    draw();
  } }));
  const rows = h("tbody");
  const element = h("div", { class: "charts page", tabindex: "0" },
    h("div", { class: "head" }, h("h1", { text: "Charts" }), h("span", { class: "quiet", text: "since this page was opened" }),
      h("div", { class: "end buttons", role: "group", "aria-label": "Time shown" }, spanButtons)),
    h("div", { class: "chart-grid" }, cards.map(({ title, chart, legend }) =>
      h("section", { class: "panel chart-card", "aria-label": title }, h("div", { class: "head" }, h("h2", { text: title }), legend), chart.element)),
      h("section", { class: "panel chart-card whole", "aria-label": "Latency by action" },
        h("div", { class: "head" }, h("h2", { text: "Latency by action" }), h("span", { class: "quiet", text: "of the whole run" })),
        h("table", { class: "plain" }, h("thead", null, h("tr", null, h("th", { text: "Action" }), h("th", { class: "right", text: "Answers" }),
          h("th", { class: "right", text: "Mean" }), h("th", { class: "right", text: "p50" }), h("th", { class: "right", text: "p95" }), h("th", { text: "" }))), rows))));

  function draw() {
    const look = history.looks.at(-1);
    if (look === undefined) return;
    for (const { chart, of, legend } of cards) {
      chart.setData(history.data(minutes * 60_000, of));
      chart.options.series.forEach((series, number) => {
        const value = of[number](look);
        const shown = legend.children[number]?.querySelector("b");
        if (shown) shown.textContent = value === null ? "–" : (series.format ?? chart.options.format)(value);
        legend.children[number]?.classList.toggle("hidden", chart.options.stacked === true && value === 0);
      });
    }
    const most = Math.max(...history.actions.map(({ p95 }) => p95), 1e-9);
    rows.replaceChildren(...history.actions.map(({ action, count, mean, p50, p95 }) => {
      const bar = h("span");
      bar.style.width = `${(100 * p95) / most}%`;
      return h("tr", null, h("td", { text: action }), h("td", { class: "right", text: format.count(count) }), h("td", { class: "right", text: format.milliseconds(mean * 1000) }),
        h("td", { class: "right", text: format.milliseconds(p50 * 1000) }), h("td", { class: "right", text: format.milliseconds(p95 * 1000) }), h("td", { class: "bar-cell" }, bar));
    }));
    if (history.actions.length === 0) rows.replaceChildren(h("tr", null, h("td", { colspan: 6, class: "quiet", text: "Nothing was measured yet, or metrics are switched off." })));
  }

  const stop = history.on("look", draw);
  draw();
  return {
    title: "Charts",
    element,
    keys: {},
    leave: () => {
      stop();
      for (const { chart } of cards) chart.destroy();
    },
  };
}

/**
 * @param {string} title
 * @param {[string, string][]} series labels and colours
 * @param {(value: number) => string} formatter
 * @param {((look: import("./history.js").Look) => number | null)[]} of
 * @param {Partial<import("./chart.js").ChartOptions>} options
 */
function card(title, series, formatter, of, options) {
  const chart = new Chart({ label: title, series: series.map(([label, color]) => ({ label, color })), format: formatter, ...options });
  const legend = h("div", { class: "legend" }, series.map(([label, color]) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = `var(--${color})`;
    return h("span", null, swatch, label, h("b", { text: "–" }));
  }));
  return { title, chart, of, legend };
}
