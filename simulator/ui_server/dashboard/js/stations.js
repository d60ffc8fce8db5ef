/** What a station is, in one word, and the row that the fleet page shows of it. */

/** @typedef {import("./protocol.js").Station} Station */
/** @typedef {"good" | "info" | "warn" | "bad" | "idle"} Tone */

/**
 * @typedef {object} Row
 * @property {string} id hashId
 * @property {string} name
 * @property {string} template
 * @property {State} state
 * @property {boolean} started
 * @property {boolean} connected
 * @property {{id: number, status: string, power: number, soc: number | undefined, transactionId: number | undefined}[]} connectors
 * @property {number} power W
 * @property {number} energy Wh of the transactions that run
 * @property {number} queued
 * @property {number} timestamp
 * @property {number} position in the fleet
 */

/** States in the order in which they are listed; the first that is true of a station is its state. */
export const STATES = /** @type {const} */ ([
  "Faulted", "Charging", "Occupied", "Available", "Unavailable", "Pending", "Rejected", "Offline", "Stopping", "Stopped",
]);

/** @typedef {typeof STATES[number]} State */

/** @type {Record<State, Tone>} */
export const TONES = {
  Faulted: "bad",
  Charging: "good",
  Occupied: "info",
  Available: "idle",
  Unavailable: "warn",
  Pending: "warn",
  Rejected: "bad",
  Offline: "warn",
  Stopping: "idle",
  Stopped: "idle",
};

/** States of a station that is not there for anybody: shown by a hollow mark. */
export const ABSENT = new Set(["Offline", "Stopping", "Stopped"]);

/** @type {Record<string, Tone>} */
const STATUS_TONES = {
  Available: "idle",
  Preparing: "info",
  Charging: "good",
  SuspendedEV: "info",
  SuspendedEVSE: "info",
  Finishing: "info",
  Reserved: "info",
  Unavailable: "warn",
  Faulted: "bad",
};

/** @param {string | undefined} status of a connector */
export const statusTone = (status) => STATUS_TONES[status ?? ""] ?? "idle";

/** @param {Station} station @returns {State} */
export function stateOf(station) {
  if (!station.started) return "Stopped";
  if (station.stopping) return "Stopping";
  if (station.wsState !== 1) return "Offline";
  const registration = station.bootNotificationResponse?.status;
  if (registration === "Rejected") return "Rejected";
  if (registration !== "Accepted") return "Pending";
  const all = station.connectors ?? [];
  const statuses = all.filter(({ connectorId }) => connectorId > 0).map(({ status }) => status);
  if (all.some(({ status }) => status === "Faulted")) return "Faulted";
  if (statuses.includes("Charging")) return "Charging";
  if (statuses.some((status) => status !== "Available" && status !== "Unavailable")) return "Occupied";
  if (statuses.includes("Available")) return "Available";
  return "Unavailable";
}

/**
 * @param {Station} station
 * @param {number} position
 * @returns {Row}
 */
export function rowOf(station, position) {
  const connectors = (station.connectors ?? [])
    .filter(({ connectorId }) => connectorId > 0)
    .map((connector) => ({
      id: connector.connectorId,
      status: connector.status ?? "",
      power: connector.power ?? 0,
      soc: connector.soc,
      transactionId: connector.transactionId,
      energy: connector.transactionId === undefined ? 0 : connector.transactionEnergyActiveImportRegisterValue ?? 0,
    }));
  return {
    id: station.stationInfo.hashId,
    name: station.stationInfo.chargingStationId ?? station.stationInfo.hashId,
    template: station.stationInfo.templateName ?? "",
    state: stateOf(station),
    started: station.started === true,
    connected: station.wsState === 1,
    connectors,
    power: connectors.reduce((sum, connector) => sum + connector.power, 0),
    energy: connectors.reduce((sum, connector) => sum + connector.energy, 0),
    queued: station.queuedMessages ?? 0,
    timestamp: station.timestamp ?? 0,
    position,
  };
}
