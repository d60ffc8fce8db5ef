import { ACTIONS, perform } from "./actions.js";
import { h, icon, iconButton, setText } from "./dom.js";
import * as format from "./format.js";
import { Grid } from "./grid.js";
import { searchField } from "./parts.js";

/** @typedef {import("./protocol.js").Station} Station */
/** @typedef {import("./protocol.js").OcppKey} OcppKey */

/** The OCPP configuration keys: search and change. */
export class KeysTab {
  /**
   * @param {import("./session.js").Session} session
   * @param {() => import("./actions.js").Target} target
   * @param {() => void} changed
   */
  constructor(session, target, changed) {
    this.session = session;
    this.target = target;
    this.changed = changed;
    /** @type {OcppKey[]} */
    this.keys = [];
    this.wanted = "";
    const search = searchField("Search keys", (text) => {
      this.wanted = text.trim().toLowerCase();
      this.refresh();
    });
    this.search = search.input;
    this.count = h("span", { class: "count" });
    /** @type {Grid<OcppKey>} */
    this.grid = new Grid({
      label: "OCPP keys",
      rowHeight: 30,
      empty: "No key is like that.",
      idOf: ({ key }) => key,
      onopen: (key) => void this.change(key),
      columns: [
        { name: "key", label: "Key", width: "minmax(180px, 1fr)", align: "clip", draw: (cell, { key }) => {
          setText(cell, key);
          cell.title = key;
        } },
        { name: "value", label: "Value", width: "minmax(160px, 1.4fr)", align: "clip", draw: (cell, { value }) => {
          cell.className = value === undefined ? "clip quiet" : "clip mono";
          setText(cell, value ?? "not shown");
          cell.title = value ?? "";
        } },
        { name: "notes", label: "", width: "132px", draw: (cell, { readonly, reboot, visible }) => {
          cell.className = "quiet";
          setText(cell, [readonly ? "read only" : "", reboot ? "needs a reboot" : "", visible === false ? "hidden" : ""].filter(Boolean).join(", "));
        } },
        { name: "edit", label: "", width: "44px", draw: (cell, key) => {
          if (cell.dataset.mark === `${key.key}${key.readonly}`) return;
          cell.dataset.mark = `${key.key}${key.readonly}`;
          cell.replaceChildren(key.readonly ? "" : iconButton("edit", `Change ${key.key}`, () => void this.change(this.keys.find((one) => one.key === key.key) ?? key)));
        } },
      ],
    });
    this.grid.element.classList.add("flat");
    this.element = h("div", { class: "tab hidden", role: "tabpanel", "aria-label": "OCPP keys" },
      h("div", { class: "tools" }, search.element(icon("search")), this.count,
        h("button", { type: "button", class: "small", text: "Other key…", onclick: () => void this.act({}) })),
      this.grid.element);
  }

  destroy() {
    this.grid.destroy();
  }

  /** @param {OcppKey[]} keys */
  show(keys) {
    this.keys = [...keys].sort((a, b) => format.byName(a.key, b.key));
    this.refresh();
  }

  refresh() {
    const shown = this.keys.filter(({ key, value }) => this.wanted === "" || key.toLowerCase().includes(this.wanted) || (value ?? "").toLowerCase().includes(this.wanted));
    setText(this.count, shown.length === this.keys.length ? format.plural(shown.length, "key") : `${shown.length} of ${format.plural(this.keys.length, "key")}`);
    this.grid.setItems(shown);
  }

  /** @param {OcppKey} key */
  async change({ key, value, readonly }) {
    if (!readonly) await this.act({ key, value: value ?? "" });
  }

  /** @param {Record<string, any>} values */
  async act(values) {
    const outcome = await perform(this.session, ACTIONS.changeKey, { ...this.target(), values });
    if (outcome !== null) this.changed();
  }
}

/** Members of `stationInfo` in words, in the order in which they are shown. */
const INFO = /** @type {const} */ ([
  ["chargingStationId", "Name"], ["hashId", "hashId"], ["templateName", "Template"], ["templateIndex", "Number within the template"], ["chargePointVendor", "Vendor"],
  ["chargePointModel", "Model"], ["firmwareVersion", "Firmware"], ["ocppVersion", "OCPP"], ["chargePointSerialNumber", "Serial number"], ["chargeBoxSerialNumber", "Serial number of the box"],
  ["meterType", "Meter"], ["meterSerialNumber", "Serial number of the meter"], ["iccid", "ICCID"], ["imsi", "IMSI"], ["currentOutType", "Current"], ["voltageOut", "Voltage"],
  ["numberOfPhases", "Phases"], ["maximumPower", "Maximum power"], ["maximumAmperage", "Maximum current"], ["numberOfConnectors", "Connectors"],
]);

/** Counters of the generator in words. */
const COUNTERS = /** @type {const} */ ([
  ["authorizeRequests", "acceptedAuthorizeRequests", "Authorize"], ["startTransactionRequests", "acceptedStartTransactionRequests", "StartTransaction"],
  ["stopTransactionRequests", "acceptedStopTransactionRequests", "StopTransaction"],
]);

/** Everything else about a station. */
export class DetailsTab {
  constructor() {
    this.list = h("div", { class: "facts-list", tabindex: "0", role: "region", "aria-label": "Details of the station" });
    this.element = h("div", { class: "tab hidden", role: "tabpanel", "aria-label": "Details" }, this.list);
    this.mark = "";
  }

  /** @param {Station} station */
  show(station) {
    const { stationInfo: info, automaticTransactionGenerator: generator, bootNotificationResponse: boot } = station;
    const mark = JSON.stringify([info, generator, boot, station.queuedMessages]);
    if (mark === this.mark) return;
    this.mark = mark;
    const units = /** @type {Record<string, (value: any) => string>} */ ({ maximumPower: format.power, maximumAmperage: (value) => `${value} A`, voltageOut: (value) => `${value} V` });
    /** @type {Set<string>} */
    const named = new Set(INFO.map(([name]) => name));
    const known = INFO.filter(([name]) => info[name] !== undefined && info[name] !== "").map(([name, label]) => /** @type {[string, string]} */ ([label, units[name]?.(info[name]) ?? String(info[name])]));
    const rest = Object.entries(info).filter(([name]) => !named.has(name) && name !== "templateHash")
      .map(([name, value]) => /** @type {[string, string]} */ ([name, typeof value === "object" ? JSON.stringify(value) : String(value)]));
    /** @type {[string, [string, string][]][]} */
    const sections = [["Station", known]];
    sections.push(["Registration", [
      ["Answer to BootNotification", boot?.status ?? "none yet"],
      ...(boot ? /** @type {[string, string][]} */ ([["Interval", `${boot.interval} s`], ["Time of the central system", boot.currentTime]]) : []),
      ["Transaction messages not answered yet", String(station.queuedMessages ?? 0)],
    ]]);
    if (generator) {
      for (const status of generator.automaticTransactionGeneratorStatuses) {
        sections.push([`Generator of connector ${status.connectorId}`, [
          ["Runs", status.start ? `yes, since ${status.startDate ? format.clock(Date.parse(status.startDate)) : "a while"}` : "no"],
          ...COUNTERS.map(([asked, accepted, label]) => /** @type {[string, string]} */ ([label, `${status[asked] ?? 0} sent, ${status[accepted] ?? 0} accepted`])),
          ["Passed over", String(status.skippedTransactions ?? 0)],
        ]]);
      }
      sections.push(["Generator", Object.entries(generator.automaticTransactionGenerator).map(([name, value]) => [name, String(value)])]);
    }
    sections.push(["Template", rest]);
    const top = this.list.scrollTop;
    this.list.replaceChildren(...sections.filter(([, facts]) => facts.length).flatMap(([title, facts]) => [
      h("h3", { text: title }), h("dl", null, facts.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]))]));
    this.list.scrollTop = top;
  }
}
