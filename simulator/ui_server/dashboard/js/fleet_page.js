import { ACTIONS, BULK_ACTIONS, perform, send } from "./actions.js";
import { addStations } from "./add_stations.js";
import { Chart } from "./chart.js";
import { h, icon, iconButton, setText } from "./dom.js";
import { askForm } from "./dialog.js";
import * as format from "./format.js";
import { Grid } from "./grid.js";
import { openMenu } from "./menu.js";
import { searchField, statePill } from "./parts.js";
import { STATES, TONES, ABSENT, statusTone } from "./stations.js";
import * as toasts from "./toasts.js";

/** @typedef {import("./stations.js").Row} Row */
/** @typedef {"name" | "template" | "state" | "connectors" | "power" | "energy" | "queued" | ""} SortName */

/** Milliseconds of history in the small lines above the table. */
const SPARK = 3 * 60_000;
/** Connectors that are shown one by one; of more, how many are in which status. */
const MOST_PLUGS = 3;

/** What the page remembers while another one is shown. */
const kept = {
  search: "",
  /** @type {Set<import("./stations.js").State>} */
  states: new Set(),
  /** @type {SortName} */
  sort: "",
  descending: false,
  /** @type {Set<string>} */
  chosen: new Set(),
  scroll: 0,
};

/** @type {Record<Exclude<SortName, "">, (a: Row, b: Row) => number>} */
const ORDERS = {
  name: (a, b) => format.byName(a.name, b.name),
  template: (a, b) => format.byName(a.template, b.template),
  state: (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state),
  connectors: (a, b) => a.connectors.length - b.connectors.length,
  power: (a, b) => a.power - b.power,
  energy: (a, b) => a.energy - b.energy,
  queued: (a, b) => a.queued - b.queued,
};

/** @param {HTMLElement} cell @param {Row} row */
function drawPlugs(cell, row) {
  const mark = row.connectors.map(({ id, status, soc }) => `${id}${status}${soc === undefined ? "" : Math.round(soc)}`).join();
  if (cell.dataset.mark === mark) return;
  cell.dataset.mark = mark;
  if (row.connectors.length <= MOST_PLUGS) {
    cell.replaceChildren(h("span", { class: "plugs" }, row.connectors.map(({ id, status, soc }) =>
      h("span", { class: "plug", title: `Connector ${id}: ${status}` }, h("b", { text: id }), h("span", { class: `dot tone-${statusTone(status)}` }),
        h("i", { text: status === "Charging" && soc !== undefined ? `${status} ${Math.round(soc)} %` : status })))));
    return;
  }
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { status } of row.connectors) counts.set(status, (counts.get(status) ?? 0) + 1);
  cell.replaceChildren(h("span", { class: "plugs" }, [...counts].map(([status, number]) =>
    h("span", { class: "plug" }, h("b", { text: number }), h("span", { class: `dot tone-${statusTone(status)}` }), h("i", { text: status })))));
}

/** @param {HTMLElement} cell @param {string} text */
function drawText(cell, text) {
  setText(cell, text);
  cell.title = text;
}

/** @type {import("./grid.js").Column<Row>[]} */
const COLUMNS = [
  { name: "name", label: "Station", width: "minmax(150px, 1.3fr)", sortable: true, draw: (cell, row) => {
    let link = cell.firstElementChild;
    if (!(link instanceof HTMLAnchorElement)) {
      link = h("a", { tabindex: "-1" });
      cell.replaceChildren(link);
    }
    if (link.getAttribute("href") !== `#/stations/${row.id}`) link.setAttribute("href", `#/stations/${row.id}`);
    setText(link, row.name);
  } },
  { name: "template", label: "Template", width: "minmax(110px, 1fr)", sortable: true, align: "clip", draw: (cell, row) => drawText(cell, row.template) },
  { name: "state", label: "State", width: "124px", sortable: true, draw: (cell, row) => {
    if (cell.dataset.mark === row.state) return;
    cell.dataset.mark = row.state;
    cell.replaceChildren(statePill(row.state));
  } },
  { name: "connectors", label: "Connectors", width: "minmax(220px, 2.2fr)", sortable: true, draw: drawPlugs },
  { name: "power", label: "Power", width: "92px", align: "right", sortable: true, draw: (cell, row) => setText(cell, row.power ? format.power(row.power) : "–") },
  { name: "energy", label: "Session", width: "92px", align: "right", sortable: true, draw: (cell, row) => setText(cell, row.energy ? format.energy(row.energy) : "–") },
  { name: "queued", label: "Queued", width: "84px", align: "right", sortable: true, draw: (cell, row) => setText(cell, row.queued ? format.count(row.queued) : "–") },
];

/**
 * The whole fleet: figures, search, states, the table, actions on many stations.
 * @param {import("./main.js").App} app
 * @returns {import("./main.js").Page}
 */
export function fleetPage({ session, store, history }) {
  // -- figures
  /** @type {{label: string, value: HTMLElement, chart: Chart | null, read: (look: import("./history.js").Look) => (string | [string, string]), of: ((look: import("./history.js").Look) => number | null) | null}[]} */
  const figures = [
    figure("Stations", null, () => format.count(Math.max(store.total, store.rows.size))),
    figure("Charging", ({ charging }) => charging, ({ charging }) => format.count(charging)),
    figure("Power", ({ power }) => power, ({ power }) => format.scaled(power, "W")),
    figure("Messages", (look) => (look.sent === null || look.received === null ? null : look.sent + look.received),
      (look) => (look.sent === null || look.received === null ? "–" : [format.short(look.sent + look.received), "/s"])),
    figure("Latency p95", ({ p95 }) => p95, ({ p95 }) => /** @type {[string, string]} */ (format.milliseconds(p95).split(" "))),
    figure("Faulted or offline", ({ trouble }) => trouble, ({ trouble }) => format.count(trouble)),
  ];
  const figureBar = h("section", { class: "figures", "aria-label": "Fleet now" }, figures.map(({ label, value, chart }) =>
    h("div", { class: "figure" }, h("div", { class: "name", text: label }), value, chart?.element)));
  const drawFigures = () => {
    const look = history.looks.at(-1);
    if (look === undefined) return;
    for (const { value, chart, read, of } of figures) {
      const shown = read(look);
      const [text, unit] = typeof shown === "string" ? [shown, ""] : shown;
      if (value.dataset.mark !== text + unit) {
        value.dataset.mark = text + unit;
        value.replaceChildren(text, unit ? h("small", { text: unit }) : "");
      }
      if (chart && of) chart.setData(history.data(SPARK, [of]));
    }
  };

  // -- an outage of the central system: most stations without their connection
  const outageText = h("span");
  const outage = h("div", { class: "notice hidden", role: "status" }, outageText,
    h("button", { type: "button", class: "small", text: "Show them", onclick: () => {
      const chip = chipOf.get("Offline");
      if (chip && !kept.states.has("Offline")) chip.click();
    } }));
  const drawOutage = () => {
    let running = 0;
    let offline = 0;
    for (const { state } of store.rows.values()) {
      if (state !== "Stopped" && state !== "Stopping") running += 1;
      if (state === "Offline") offline += 1;
    }
    const shown = offline > 0 && offline * 2 >= running;
    outage.classList.toggle("hidden", !shown);
    if (!shown) return;
    const who = offline === running ? (running === 1 ? "The station has" : `All ${format.count(running)} stations have`) : `${format.count(offline)} of ${format.plural(running, "station")} have`;
    setText(outageText, `${who} no connection to the central system.`);
  };

  // -- tools
  const search = searchField("Search stations", (text) => {
    kept.search = text;
    fromTop();
  }, "/");
  search.input.value = kept.search;
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filter by state" });
  /** @type {Map<import("./stations.js").State, HTMLButtonElement>} */
  const chipOf = new Map();
  for (const state of STATES) {
    const chip = h("button", { type: "button", "aria-pressed": String(kept.states.has(state)), onclick: () => {
      if (!kept.states.delete(state)) kept.states.add(state);
      chip.setAttribute("aria-pressed", String(kept.states.has(state)));
      fromTop();
    } }, h("span", { class: `dot tone-${TONES[state]}${ABSENT.has(state) ? " hollow" : ""}` }), state, h("span", { class: "number" }));
    chipOf.set(state, chip);
    chips.append(chip);
  }
  const shownCount = h("span", { class: "count", role: "status" });
  const addButton = h("button", { type: "button", class: "primary", onclick: () => void addStations(session) }, icon("plus"), "Add stations");
  const fleetButton = iconButton("more", "More actions of the simulator", () => openMenu(fleetButton, [
    { label: "Start all stations", run: () => void wholeFleet("startSimulator", "Every station starts") },
    { label: "Stop all stations", danger: true, run: () => void stopAll() },
  ]));

  // -- choice
  const chosenCount = h("strong");
  const bulkButton = (/** @type {string} */ id) => h("button", { type: "button", class: "small", text: ACTIONS[id].label.replace("…", ""), onclick: () => void bulk(id) });
  const moreButton = h("button", { type: "button", class: "small", onclick: () => openMenu(moreButton, bulkMenu()) }, "More", icon("down"));
  const selection = h("div", { class: "selection hidden", role: "region", "aria-label": "Actions on chosen stations" },
    chosenCount,
    ["start", "stop", "open", "close"].map(bulkButton),
    moreButton,
    h("button", { type: "button", class: "small danger", text: "Delete", onclick: () => void bulk("remove") }),
    iconButton("close", "Choose none", () => choose([]), { class: "plain square small" }));

  const chooseAll = h("input", { type: "checkbox", "aria-label": "Choose all shown", onclick: () => choose(chooseAll.checked ? grid.items.map(({ id }) => id) : []) });
  /** @type {import("./grid.js").Column<Row>} */
  const boxes = { name: "choice", label: "", width: "38px", draw: (cell, row) => {
    let box = cell.firstElementChild;
    if (!(box instanceof HTMLInputElement)) {
      box = h("input", { type: "checkbox", tabindex: "-1" });
      cell.replaceChildren(box);
    }
    /** @type {HTMLInputElement} */ (box).checked = kept.chosen.has(row.id);
    box.setAttribute("aria-label", `Choose ${row.name}`);
  } };

  /** @type {Grid<Row>} */
  const grid = new Grid({
    label: "Charging stations",
    columns: [boxes, ...COLUMNS],
    idOf: (row) => row.id,
    chosen: kept.chosen,
    onchoose: () => drawChoice(),
    onopen: (row) => {
      location.hash = `#/stations/${row.id}`;
    },
    onsort: (name) => {
      if (kept.sort !== name) [kept.sort, kept.descending] = [/** @type {SortName} */ (name), name === "power" || name === "energy" || name === "queued"];
      else if (kept.descending === (name === "power" || name === "energy" || name === "queued")) kept.descending = !kept.descending;
      else kept.sort = "";
      fromTop();
    },
  });
  grid.heads.get("choice")?.replaceChildren(chooseAll);

  const element = h("div", { class: "fleet page" },
    h("h1", { class: "sr-only", text: "Fleet" }),
    figureBar,
    outage,
    h("div", { class: "tools" }, search.element(icon("search")), chips, selection, h("div", { class: "end" }, shownCount, addButton, fleetButton)),
    grid.element);

  // -- doing

  /** @param {string} id */
  function nameOf(id) {
    return store.rows.get(id)?.name ?? `${id.slice(0, 10)}…`;
  }

  /** @param {string} id of an action */
  async function bulk(id) {
    const hashIds = [...kept.chosen].filter((hashId) => store.rows.has(hashId));
    if (hashIds.length) await perform(session, ACTIONS[id], { hashIds, nameOf });
  }

  function bulkMenu() {
    /** @type {import("./menu.js").MenuItem[]} */
    const items = [];
    let group = "";
    for (const id of BULK_ACTIONS) {
      const action = ACTIONS[id];
      if (action.group !== group) items.push({ group: group = action.group });
      items.push({ label: action.label, danger: action.danger, run: () => void bulk(id) });
      if (id === "startTransaction") items.push({ label: "Stop transactions", run: () => void stopTransactions() });
    }
    return items;
  }

  /** Every transaction that runs at the chosen stations has a number of its own. */
  async function stopTransactions() {
    const running = [...kept.chosen].flatMap((hashId) => (store.rows.get(hashId)?.connectors ?? [])
      .filter(({ transactionId }) => transactionId !== undefined).map(({ transactionId }) => ({ hashId, transactionId })));
    if (running.length === 0) {
      toasts.failure("Stop transactions", "No transaction runs at the chosen stations.");
      return;
    }
    const outcomes = await Promise.all(running.map(({ hashId, transactionId }) => send(session, "stopTransaction", { transactionId }, [hashId])));
    const failed = outcomes.flatMap((outcome) => outcome.failed);
    if (failed.length === 0) toasts.success(format.plural(running.length, "transaction"), "Stopped");
    else toasts.failure(`${failed.length} of ${format.plural(running.length, "transaction")} not stopped`, `${nameOf(failed[0].hashId)}: ${failed[0].reason}`);
  }

  async function stopAll() {
    const sure = await askForm({ title: "Stop all stations", text: "Every station ends its transactions and disconnects. The simulator itself goes on.", fields: [], submit: "Stop all", danger: true });
    if (sure) await wholeFleet("stopSimulator", "Every station was stopped");
  }

  /** @param {string} procedure @param {string} done */
  async function wholeFleet(procedure, done) {
    try {
      const answer = await session.call(procedure);
      if (answer.status === "success") toasts.success(done);
      else toasts.failure("Not done", answer.errorMessage ?? "The simulator does not say why");
    } catch (error) {
      toasts.failure("Not done", /** @type {Error} */ (error).message);
    }
  }

  /** @param {string[]} ids */
  function choose(ids) {
    kept.chosen.clear();
    for (const id of ids) kept.chosen.add(id);
    grid.draw();
    drawChoice();
  }

  function drawChoice() {
    const number = kept.chosen.size;
    setText(chosenCount, `${format.count(number)} chosen`);
    selection.classList.toggle("hidden", number === 0);
    chips.classList.toggle("hidden", number > 0);
    chooseAll.checked = number > 0 && grid.items.length > 0 && grid.items.every(({ id }) => kept.chosen.has(id));
    chooseAll.indeterminate = number > 0 && !chooseAll.checked;
  }

  /** Other rows, or another order: what was scrolled to is no longer there. */
  function fromTop() {
    refresh();
    grid.body.scrollTop = 0;
  }

  function refresh() {
    const wanted = kept.search.trim().toLowerCase();
    /** @type {Map<string, number>} */
    const counts = new Map();
    /** @type {Row[]} */
    const rows = [];
    for (const row of store.rows.values()) {
      if (wanted && !row.name.toLowerCase().includes(wanted) && !row.template.toLowerCase().includes(wanted)) continue;
      counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
      if (kept.states.size === 0 || kept.states.has(row.state)) rows.push(row);
    }
    for (const [state, chip] of chipOf) {
      const number = counts.get(state) ?? 0;
      chip.classList.toggle("hidden", number === 0 && !kept.states.has(state));
      setText(/** @type {Element} */ (chip.lastElementChild), format.count(number));
    }
    const order = kept.sort === "" ? null : ORDERS[kept.sort];
    rows.sort((a, b) => (order === null ? 0 : order(a, b) * (kept.descending ? -1 : 1)) || a.position - b.position);
    for (const id of kept.chosen) if (store.loaded && !store.rows.has(id)) kept.chosen.delete(id);
    setText(grid.note, store.loaded ? (store.rows.size ? "No station is like that." : "There are no stations yet. Add some.") : "Loading…");
    grid.setSort(kept.sort, kept.descending);
    grid.setItems(rows);
    setText(shownCount, rows.length === store.rows.size ? format.plural(rows.length, "station") : `${format.count(rows.length)} of ${format.plural(store.rows.size, "station")}`);
    drawChoice();
    drawOutage();
  }

  const stops = [store.on("change", refresh), history.on("look", drawFigures)];
  refresh();
  drawFigures();

  return {
    title: "Fleet",
    element,
    shown: () => {
      grid.body.scrollTop = kept.scroll;
      grid.draw();
    },
    keys: {
      "/": () => search.input.focus(),
      n: () => void addStations(session),
      Escape: () => choose([]),
      j: () => grid.element.focus(),
    },
    leave: () => {
      kept.scroll = grid.body.scrollTop;
      for (const stop of stops) stop();
      grid.destroy();
      for (const { chart } of figures) chart?.destroy();
    },
  };
}

/**
 * @param {string} label
 * @param {((look: import("./history.js").Look) => number | null) | null} of
 * @param {(look: import("./history.js").Look) => (string | [string, string])} read
 */
function figure(label, of, read) {
  const chart = of === null ? null : new Chart({ label, series: [{ label, color: "chart-1" }], format: String, bare: true, fill: true, window: 40 });
  return { label, value: h("div", { class: "value", text: "–" }), chart, read, of };
}
