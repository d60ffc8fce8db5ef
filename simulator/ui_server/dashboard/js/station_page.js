import { ACTIONS, SEND_ACTIONS, STATION_ACTIONS, perform } from "./actions.js";
import { ConnectorCard, readMeterValues, readStatus } from "./connector_card.js";
import { h, icon, setText } from "./dom.js";
import { openMenu } from "./menu.js";
import { MessagesTab } from "./messages_tab.js";
import { statePill } from "./parts.js";
import { Session } from "./session.js";
import { DetailsTab, KeysTab } from "./station_tabs.js";
import { stateOf } from "./stations.js";

/** @typedef {import("./protocol.js").Station} Station */

/** Milliseconds between two looks at a station where something flows. */
const LOOK_EVERY = 2_000;
/** Messages of the past that are asked for. */
const PAST = 500;

/**
 * One station. It has a session of its own, which follows this station only and knows everything about it.
 * @param {import("./main.js").App} app
 * @param {string} hashId
 * @returns {import("./main.js").Page}
 */
export function stationPage({ session: main, store }, hashId) {
  const session = new Session();
  // Once the simulator is back nothing may still wait for it.
  const unheard = main.on("open", session.wake);
  /** @type {Station | null} */
  let station = null;
  /** @type {Map<number, ConnectorCard>} */
  const cards = new Map();

  const name = () => station?.stationInfo.chargingStationId ?? store.rows.get(hashId)?.name ?? `${hashId.slice(0, 12)}…`;
  const target = () => ({
    hashIds: [hashId],
    nameOf: name,
    connectorIds: (station?.connectors ?? []).map(({ connectorId }) => connectorId).filter((id) => id > 0),
  });
  const act = async (/** @type {string} */ id) => {
    const outcome = await perform(session, ACTIONS[id], { ...target(), values: id === "setUrl" ? { url: baseUrl() } : {} });
    if (id === "remove" && outcome?.failed.length === 0) location.hash = "#/";
    else if (outcome !== null) void look();
  };
  const baseUrl = () => station?.supervisionUrl?.replace(/\/[^/]*$/, "") ?? "";

  // -- what is shown

  const title = h("h1", { text: name() });
  const pill = h("span");
  const facts = h("div", { class: "facts" });
  const power = h("button", { type: "button" });
  power.addEventListener("click", () => void act(station?.started ? "stop" : "start"));
  const line = h("button", { type: "button" });
  line.addEventListener("click", () => void act(station?.wsState === 1 || station?.wsState === 0 ? "close" : "open"));
  const sendButton = h("button", { type: "button", onclick: () => openMenu(sendButton, SEND_ACTIONS.map((id) => ({ label: ACTIONS[id].label, run: () => void act(id) }))) }, "Send", icon("down"));
  const actionsButton = h("button", { type: "button", onclick: () => openMenu(actionsButton, STATION_ACTIONS.map((id) => ({ label: ACTIONS[id].label, danger: ACTIONS[id].danger, run: () => void act(id) }))) }, "Actions", icon("down"));
  const head = h("div", { class: "station-head" },
    h("a", { class: "back", href: "#/", "aria-label": "Back to the fleet", title: "Back to the fleet (Esc)" }, icon("left")),
    h("div", null, h("div", { class: "title" }, title, pill), facts),
    h("div", { class: "buttons" }, power, line, sendButton, actionsButton));

  const messages = new MessagesTab();
  const keys = new KeysTab(session, target, () => void look());
  const details = new DetailsTab();
  const tabs = /** @type {const} */ ([["Messages", messages.element], ["OCPP keys", keys.element], ["Details", details.element]]);
  const tabButtons = tabs.map(([label, panel], number) => {
    panel.id = `panel-${number}`;
    return h("button", { type: "button", role: "tab", id: `tab-${number}`, "aria-controls": panel.id, "aria-selected": String(number === 0), tabindex: number === 0 ? "0" : "-1", text: label, onclick: () => openTab(number) });
  });
  const tabList = h("div", { class: "tabs", role: "tablist", "aria-label": "About the station" }, tabButtons);
  tabList.addEventListener("keydown", ({ key }) => {
    const at = tabButtons.findIndex((button) => button === document.activeElement);
    const next = key === "ArrowRight" ? at + 1 : key === "ArrowLeft" ? at - 1 : at;
    if (next === at) return;
    openTab((next + tabs.length) % tabs.length);
    tabButtons[(next + tabs.length) % tabs.length].focus();
  });
  const openTab = (/** @type {number} */ number) => tabs.forEach(([, panel], one) => {
    panel.classList.toggle("hidden", one !== number);
    tabButtons[one].setAttribute("aria-selected", String(one === number));
    tabButtons[one].tabIndex = one === number ? 0 : -1;
  });

  const connectors = h("div", { class: "connectors", role: "region", "aria-label": "Connectors" }, h("p", { class: "quiet", text: "Loading…" }));
  const element = h("div", { class: "page" }, head,
    h("div", { class: "station-body" }, connectors, h("div", { class: "side" }, h("div", { class: "panel" }, tabList, tabs.map(([, panel]) => panel)))));

  // -- news

  /** @param {Station} fresh */
  function show(fresh) {
    if (station?.timestamp !== undefined && fresh.timestamp !== undefined && fresh.timestamp < station.timestamp) return;
    station = { ...station, ...fresh };
    // Members that are absent are gone, not unchanged.
    if (fresh.connectors !== undefined && fresh.started !== undefined) station = fresh;
    const state = stateOf(station);
    const info = station.stationInfo;
    setText(title, name());
    document.title = `${name()} – Charging station simulator`;
    if (pill.textContent !== state) pill.replaceChildren(statePill(state));
    const shown = [`${info.chargePointVendor ?? ""} ${info.chargePointModel ?? ""}`.trim(), info.templateName ?? "", info.firmwareVersion ? `Firmware ${info.firmwareVersion}` : "",
      station.supervisionUrl ?? "", station.queuedMessages ? `${station.queuedMessages} queued` : ""].filter(Boolean);
    if (facts.dataset.mark !== shown.join()) {
      facts.dataset.mark = shown.join();
      facts.replaceChildren(...shown.map((text) => h("span", { text, title: text })));
    }
    setText(power, station.started ? "Stop" : "Start");
    power.className = station.started ? "" : "primary";
    const online = station.wsState === 1 || station.wsState === 0;
    setText(line, online ? "Disconnect" : "Connect");
    line.disabled = !station.started;
    const time = station.timestamp ?? Date.now();
    const numbers = new Set();
    for (const connector of station.connectors ?? []) {
      if (connector.connectorId === 0) continue;
      numbers.add(connector.connectorId);
      cardOf(connector.connectorId).show(connector, time);
    }
    for (const [number, card] of cards) {
      if (numbers.has(number)) continue;
      card.destroy();
      card.element.remove();
      cards.delete(number);
    }
    if (station.ocppConfiguration) keys.show(station.ocppConfiguration.configurationKey);
    details.show(station);
  }

  /** @param {number} id */
  function cardOf(id) {
    let card = cards.get(id);
    if (card === undefined) {
      card = new ConnectorCard(session, id, target);
      if (cards.size === 0) connectors.replaceChildren();
      cards.set(id, card);
      connectors.append(card.element);
    }
    return card;
  }

  /** @param {import("./protocol.js").Message[]} list */
  function curves(list) {
    for (const { action, kind, text, time } of list) {
      if (kind !== "call") continue;
      const reading = action === "MeterValues" ? readMeterValues(text) : action === "StatusNotification" ? readStatus(text) : null;
      if (reading !== null && reading.connectorId > 0 && (reading.power !== null || reading.soc !== null)) cardOf(reading.connectorId).add(time * 1000, reading.power, reading.soc);
    }
  }

  async function look() {
    try {
      const answer = await session.call("listChargingStations", { hashIds: [hashId] });
      const found = answer.chargingStations?.[0];
      if (found) show(found);
      else gone();
    } catch {
      // the link is lost: the next opening looks again
    }
  }

  function gone() {
    connectors.replaceChildren(h("p", null, "This station is not there (any more). ", h("a", { href: "#/", text: "Back to the fleet" })));
    for (const card of cards.values()) card.destroy();
    cards.clear();
    for (const button of [power, line, sendButton, actionsButton]) button.disabled = true;
  }

  async function begin() {
    await look();
    try {
      const answer = await session.call("listMessages", { hashIds: [hashId], limit: PAST });
      messages.reset(answer.messages ?? []);
      curves(answer.messages ?? []);
    } catch {
      // likewise
    }
  }

  session.follow({ topics: ["stations", "messages"], hashIds: [hashId] });
  session.on("open", () => void begin());
  session.on("stations", (delta) => {
    const fresh = delta.changed.find(({ stationInfo }) => stationInfo.hashId === hashId);
    if (fresh) show(fresh);
    else if (delta.removed.includes(hashId)) gone();
  });
  session.on("messages", ({ messages: fresh }) => {
    messages.add(fresh);
    curves(fresh);
  });
  session.on("refresh", () => {
    if (!session.subscribed) void look();
  });
  const timer = setInterval(() => {
    const flows = station?.connectors?.some(({ transactionId, transactionPending }) => transactionId !== undefined || transactionPending);
    if (flows && !document.hidden && session.state === "open") void look();
  }, LOOK_EVERY);

  return {
    title: name(),
    element,
    shown: () => messages.grid.draw(),
    keys: {
      p: () => messages.pause(!messages.paused),
      1: () => openTab(0),
      2: () => openTab(1),
      3: () => openTab(2),
      "/": () => {
        const open = tabButtons.findIndex((button) => button.getAttribute("aria-selected") === "true");
        (open === 1 ? keys.search : messages.search).focus();
      },
      Escape: () => {
        location.hash = "#/";
      },
    },
    leave: () => {
      clearInterval(timer);
      unheard();
      session.close();
      messages.destroy();
      keys.destroy();
      for (const card of cards.values()) card.destroy();
    },
  };
}
