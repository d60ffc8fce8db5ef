import { ACTIONS, CONNECTOR_ACTIONS, perform } from "./actions.js";
import { Chart } from "./chart.js";
import { h, icon, iconButton, setText } from "./dom.js";
import * as format from "./format.js";
import { openMenu } from "./menu.js";
import { statusPill } from "./parts.js";

/** @typedef {import("./protocol.js").Connector} Connector */

/** Points that a curve keeps. */
const MOST_POINTS = 1800;
/** Milliseconds of the curve. */
const SPAN = 30 * 60_000;

const FREE = new Set(["Available", "Reserved", "Unavailable"]);

/** One connector of a station: status, transaction, curves, and what can be done to it. */
export class ConnectorCard {
  /**
   * @param {import("./session.js").Session} session
   * @param {number} id
   * @param {() => import("./actions.js").Target} target the station
   */
  constructor(session, id, target) {
    this.session = session;
    this.id = id;
    this.target = target;
    /** @type {Connector | null} */
    this.connector = null;
    /** @type {[number, number | null, number | null][]} time, W, percent */
    this.points = [];
    this.chart = new Chart({
      label: `Power and state of charge of connector ${id}`,
      series: [
        { label: "Power", color: "chart-1" },
        { label: "State of charge", color: "chart-2", scale: 100, format: (value) => `${value.toFixed(1)} %` },
      ],
      format: format.power,
      fill: true,
      window: 120,
      least: 1000,
    });

    this.status = h("span");
    this.locked = h("span", { class: "hidden", title: "The cable is locked", role: "img", "aria-label": "The cable is locked" }, icon("lock"));
    this.values = Object.fromEntries(["Power", "Charge", "Session", "Meter"].map((name) => [name, h("dd", { text: "–" })]));
    this.session_ = h("div", { class: "session" });
    const act = (/** @type {string} */ name) => () => void this.act(name);
    this.plug = h("button", { type: "button", class: "small", text: "Plug in" });
    this.plug.addEventListener("click", () => void this.act(this.plug.textContent === "Plug in" ? "plugIn" : "unplug"));
    this.transaction = h("button", { type: "button", class: "small", text: "Start transaction" });
    this.transaction.addEventListener("click", () => void this.act(this.connector?.transactionId === undefined ? "startTransaction" : "stopTransaction"));
    this.fault = h("button", { type: "button", class: "small", text: "Raise error" });
    this.fault.addEventListener("click", () => void this.act(this.connector?.status === "Faulted" ? "clearError" : "raiseError"));
    /** @type {HTMLButtonElement} */
    const more = iconButton("more", `More actions of connector ${id}`, () => openMenu(more, [
      { label: "Plug in", run: act("plugIn") },
      { label: "Unplug", run: act("unplug") },
      ...CONNECTOR_ACTIONS.map((name) => ({ label: ACTIONS[name].label, danger: ACTIONS[name].danger, run: act(name) })),
    ]));
    this.element = h("section", { class: "panel connector", "aria-label": `Connector ${id}`, "data-connector": id },
      h("div", { class: "top" }, h("h2", { text: `Connector ${id}` }), this.status, h("div", { class: "end" }, this.locked, more)),
      h("dl", { class: "values" }, Object.entries(this.values).map(([name, value]) => h("div", null, h("dt", { text: name === "Charge" ? "State of charge" : name }), value))),
      this.session_,
      this.chart.element,
      h("div", { class: "buttons" }, this.plug, h("button", { type: "button", class: "small", text: "Present tag", onclick: act("presentTag") }), this.transaction, this.fault));
  }

  destroy() {
    this.chart.destroy();
  }

  /** @param {string} name of an action */
  async act(name) {
    const values = { transactionId: this.connector?.transactionId };
    await perform(this.session, ACTIONS[name], { ...this.target(), connectorId: this.id, values });
  }

  /** @param {Connector} connector @param {number} time ms */
  show(connector, time) {
    this.connector = connector;
    const status = connector.status ?? "";
    if (this.status.textContent !== status) this.status.replaceChildren(statusPill(status));
    this.locked.classList.toggle("hidden", connector.locked !== true);
    const running = connector.transactionId !== undefined || connector.transactionPending === true;
    this.value("Power", connector.power === undefined ? ["–", ""] : format.scaled(connector.power, "W"));
    this.value("Charge", connector.soc === undefined ? ["–", ""] : [connector.soc.toFixed(1), "%"]);
    this.value("Session", running ? format.scaled(connector.transactionEnergyActiveImportRegisterValue ?? 0, "Wh") : ["–", ""]);
    this.value("Meter", format.scaled(connector.energyActiveImportRegisterValue ?? 0, "Wh"));
    this.drawSession();
    setText(this.plug, FREE.has(status) || (status === "Faulted" && !running) ? "Plug in" : "Unplug");
    setText(this.transaction, running ? "Stop transaction" : "Start transaction");
    this.transaction.disabled = connector.transactionPending === true && connector.transactionId === undefined;
    setText(this.fault, status === "Faulted" ? "Clear error" : "Raise error");
    this.add(time, connector.power ?? null, running ? connector.soc ?? null : null);
  }

  /** Once a second: how long the transaction lasts. */
  drawSession() {
    const connector = this.connector;
    if (connector === null) return;
    /** @type {[string, string][]} */
    const facts = [];
    if (connector.errorCode && connector.errorCode !== "NoError") facts.push(["fault", connector.errorCode]);
    if (connector.transactionId !== undefined) facts.push(["", `Transaction ${connector.transactionId}`]);
    else if (connector.transactionPending) facts.push(["", "Transaction begins"]);
    if (connector.transactionIdTag) facts.push(["mono", connector.transactionIdTag]);
    if (connector.transactionStart) {
      const began = Date.parse(connector.transactionStart);
      facts.push(["number", `since ${format.clock(began)}`]);
    }
    if (connector.transactionRemoteStarted) facts.push(["", "started remotely"]);
    if (connector.reservation) facts.push(["", `Reserved for ${connector.reservation.idTag ?? "somebody"}`]);
    if (connector.availability === "Inoperative") facts.push(["", "Out of order"]);
    if (facts.length === 0) facts.push(["quiet", "No transaction"]);
    const mark = facts.flat().join("|");
    if (this.session_.dataset.mark === mark) return;
    this.session_.dataset.mark = mark;
    this.session_.replaceChildren(...facts.map(([kind, text]) => h("span", { class: kind, text })));
  }

  /**
   * @param {string} name
   * @param {[string, string]} shown
   */
  value(name, [text, unit]) {
    const element = this.values[name];
    if (element.dataset.mark === text + unit) return;
    element.dataset.mark = text + unit;
    element.replaceChildren(text, unit ? h("small", { text: ` ${unit}` }) : "");
  }

  /**
   * Add a point to the curves; where it is earlier than the last one it finds its place.
   * @param {number} time
   * @param {number | null} power
   * @param {number | null} soc
   */
  add(time, power, soc) {
    let at = this.points.length;
    while (at > 0 && this.points[at - 1][0] > time) at -= 1;
    const before = this.points[at - 1];
    if (before !== undefined && before[0] === time) this.points[at - 1] = [time, power ?? before[1], soc ?? before[2]];
    else this.points.splice(at, 0, [time, power, soc]);
    while (this.points.length > MOST_POINTS || this.points[0][0] < (this.points.at(-1)?.[0] ?? 0) - SPAN) this.points.shift();
    this.chart.setData({ times: this.points.map(([when]) => when), values: [this.points.map(([, watts]) => watts), this.points.map(([, , percent]) => percent)] });
  }
}

/**
 * The readings of a MeterValues message: what the curves had shown if the page had been open.
 * @param {string} text of the frame
 * @returns {{connectorId: number, power: number | null, soc: number | null} | null}
 */
export function readMeterValues(text) {
  try {
    const [, , , payload] = JSON.parse(text);
    let power = null;
    let phases = null;
    let soc = null;
    for (const { measurand, unit, phase, value } of payload.meterValue.at(-1).sampledValue) {
      const number = Number(value);
      if (measurand === "SoC") soc = number;
      else if (measurand === "Power.Active.Import") {
        const watts = unit === "kW" ? number * 1000 : number;
        if (phase === undefined) power = watts;
        else if (/^L[123](-N)?$/.test(phase)) phases = (phases ?? 0) + watts;
      }
    }
    return { connectorId: payload.connectorId, power: power ?? phases, soc };
  } catch {
    return null;
  }
}

/**
 * What a StatusNotification tells of the curves: nothing flows when charging begins, nor while the connector has another status. Without
 * it one transaction's last reading would be joined to the first of the next.
 * @param {string} text of the frame
 * @returns {{connectorId: number, power: number | null, soc: number | null} | null}
 */
export function readStatus(text) {
  try {
    const [, , , { connectorId }] = JSON.parse(text);
    return { connectorId, power: 0, soc: null };
  } catch {
    return null;
  }
}
