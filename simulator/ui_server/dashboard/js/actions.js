import { askForm, openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { plural } from "./format.js";
import { CONNECTOR_STATUSES, ERROR_CODES, STOP_REASONS } from "./protocol.js";
import { LinkLost } from "./session.js";
import * as toasts from "./toasts.js";

/** @typedef {import("./dialog.js").Field} Field */

/**
 * @typedef {object} Action something that stations can be told to do
 * @property {string} procedure
 * @property {string} label
 * @property {string} done what happened, for the message: "3 stations: started"
 * @property {string} group in menus
 * @property {"none" | "optional" | "required" | "station"} connector whether a connector is named; station: 0 is one as well
 * @property {Field[]} [fields]
 * @property {boolean} [danger]
 * @property {string} [confirm] asked before
 * @property {string} [text] in the form
 * @property {boolean} [list] the connector goes into a list, connectorIds
 *
 * @typedef {object} Target stations and, where the page knows it, the connector
 * @property {string[]} hashIds
 * @property {(hashId: string) => string} nameOf
 * @property {number} [connectorId]
 * @property {number[]} [connectorIds] those that there are
 * @property {Record<string, any>} [values] what fields hold at first
 *
 * @typedef {{succeeded: string[], failed: {hashId: string, reason: string}[]}} Outcome
 */

const TAGS = "simulator.idTags";

/** @returns {string[]} tags that were used on this page before */
function usedTags() {
  try {
    return JSON.parse(sessionStorage.getItem(TAGS) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {string} tag */
function rememberTag(tag) {
  try {
    sessionStorage.setItem(TAGS, JSON.stringify([tag, ...usedTags().filter((used) => used !== tag)].slice(0, 8)));
  } catch {
    // storage may be forbidden
  }
}

/** @type {(required: boolean) => Field} */
const idTag = (required) => ({ name: "idTag", label: "Tag", required, maxLength: 20, value: usedTags()[0] ?? "", proposals: usedTags(),
  hint: required ? undefined : "Empty: 00000000" });

/** @type {Record<string, Action>} */
export const ACTIONS = {
  start: { procedure: "startChargingStation", label: "Start", done: "started", group: "Station", connector: "none" },
  stop: { procedure: "stopChargingStation", label: "Stop", done: "stopped", group: "Station", connector: "none", danger: true },
  open: { procedure: "openConnection", label: "Connect", done: "connected", group: "Station", connector: "none" },
  close: { procedure: "closeConnection", label: "Disconnect", done: "disconnected", group: "Station", connector: "none" },
  powerCycle: { procedure: "powerCycle", label: "Power cycle", done: "power taken away and given back", group: "Station", connector: "none",
    confirm: "The station loses power without a warning and boots again." },
  setUrl: { procedure: "setSupervisionUrl", label: "Set supervision URL…", done: "moved to another central system", group: "Station", connector: "none",
    fields: [
      { name: "url", label: "URL of the central system", required: true, placeholder: "wss://central.example/ocpp", hint: "Without the name of the station." },
      { name: "supervisionUser", label: "User" },
      { name: "supervisionPassword", label: "Password", type: "password" },
    ] },
  changeKey: { procedure: "changeConfiguration", label: "Change OCPP key…", done: "key written", group: "Station", connector: "none",
    fields: [
      { name: "key", label: "Key", required: true, maxLength: 50, proposals: ["HeartbeatInterval", "MeterValueSampleInterval",
        "MeterValuesSampledData", "ConnectionTimeOut", "WebSocketPingInterval", "AuthorizeRemoteTxRequests"] },
      { name: "value", label: "Value", maxLength: 500 },
    ] },

  plugIn: { procedure: "plugIn", label: "Plug in", done: "vehicle plugged in", group: "At the station", connector: "required" },
  unplug: { procedure: "unplug", label: "Unplug", done: "vehicle unplugged", group: "At the station", connector: "required" },
  presentTag: { procedure: "presentIdTag", label: "Present tag…", done: "tag presented", group: "At the station", connector: "optional", fields: [idTag(true)] },
  lock: { procedure: "lockConnector", label: "Lock connector", done: "connector locked", group: "At the station", connector: "required" },
  unlock: { procedure: "unlockConnector", label: "Unlock connector", done: "connector unlocked", group: "At the station", connector: "required" },
  raiseError: { procedure: "raiseError", label: "Raise error…", done: "error raised", group: "At the station", connector: "station", danger: true,
    fields: [
      { name: "errorCode", label: "Error", type: "select", options: ERROR_CODES, value: "OtherError" },
      { name: "info", label: "Info", maxLength: 50 },
    ] },
  clearError: { procedure: "clearError", label: "Clear error", done: "error cleared", group: "At the station", connector: "station" },

  startTransaction: { procedure: "startTransaction", label: "Start transaction…", done: "transaction started", group: "Transactions", connector: "required",
    fields: [idTag(false)] },
  stopTransaction: { procedure: "stopTransaction", label: "Stop transaction…", done: "transaction stopped", group: "Transactions", connector: "none",
    fields: [
      { name: "transactionId", label: "Transaction", type: "number", required: true },
      { name: "reason", label: "Reason", type: "select", options: STOP_REASONS, value: "Local" },
    ] },
  startGenerator: { procedure: "startAutomaticTransactionGenerator", label: "Start generator", done: "generator started", group: "Transactions", connector: "optional", list: true },
  stopGenerator: { procedure: "stopAutomaticTransactionGenerator", label: "Stop generator", done: "generator stopped", group: "Transactions", connector: "optional", list: true },

  heartbeat: { procedure: "heartbeat", label: "Heartbeat", done: "Heartbeat answered", group: "Send", connector: "none" },
  bootNotification: { procedure: "bootNotification", label: "BootNotification", done: "accepted by the central system", group: "Send", connector: "none" },
  authorize: { procedure: "authorize", label: "Authorize…", done: "tag accepted", group: "Send", connector: "none", fields: [idTag(false)] },
  statusNotification: { procedure: "statusNotification", label: "StatusNotification…", done: "StatusNotification answered", group: "Send", connector: "station",
    text: "Sends the message only: the connector itself stays as it is.",
    fields: [
      { name: "status", label: "Status", type: "select", options: CONNECTOR_STATUSES, required: true },
      { name: "errorCode", label: "Error", type: "select", options: ["NoError", ...ERROR_CODES], value: "NoError" },
      { name: "info", label: "Info", maxLength: 50, more: true },
      { name: "vendorId", label: "Vendor", maxLength: 255, more: true },
      { name: "vendorErrorCode", label: "Vendor's error code", maxLength: 50, more: true },
    ] },
  meterValues: { procedure: "meterValues", label: "MeterValues", done: "MeterValues answered", group: "Send", connector: "required" },
  dataTransfer: { procedure: "dataTransfer", label: "DataTransfer…", done: "DataTransfer accepted", group: "Send", connector: "none",
    fields: [
      { name: "vendorId", label: "Vendor", required: true, maxLength: 255, placeholder: "com.example" },
      { name: "messageId", label: "Message", maxLength: 50 },
      { name: "data", label: "Data", type: "textarea" },
    ] },
  firmwareStatus: { procedure: "firmwareStatusNotification", label: "FirmwareStatusNotification…", done: "FirmwareStatusNotification answered", group: "Send", connector: "none",
    fields: [{ name: "status", label: "Status", type: "select", options: ["Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"] }] },
  diagnosticsStatus: { procedure: "diagnosticsStatusNotification", label: "DiagnosticsStatusNotification…", done: "DiagnosticsStatusNotification answered", group: "Send", connector: "none",
    fields: [{ name: "status", label: "Status", type: "select", options: ["Idle", "Uploaded", "UploadFailed", "Uploading"] }] },
  logStatus: { procedure: "logStatusNotification", label: "LogStatusNotification…", done: "LogStatusNotification answered", group: "Send", connector: "none",
    fields: [
      { name: "status", label: "Status", type: "select", options: ["Idle", "Uploaded", "UploadFailure", "Uploading", "BadMessage", "NotSupportedOperation", "PermissionDenied"] },
      { name: "requestId", label: "Request", type: "number" },
    ] },
  securityEvent: { procedure: "securityEventNotification", label: "SecurityEventNotification…", done: "SecurityEventNotification answered", group: "Send", connector: "none",
    fields: [
      { name: "type", label: "Type", required: true, maxLength: 50, value: "SettingSystemTime", proposals: ["FirmwareUpdated", "SettingSystemTime",
        "StartupOfTheDevice", "ResetOrReboot", "SecurityLogWasCleared", "MemoryExhaustion", "TamperDetectionActivated", "InvalidMessages"] },
      { name: "techInfo", label: "Technical information", maxLength: 255 },
    ] },
  signCertificate: { procedure: "signCertificate", label: "SignCertificate…", done: "certificate asked for", group: "Send", connector: "none",
    fields: [{ name: "csr", label: "Certificate signing request (PEM)", type: "textarea", required: true }] },

  remove: { procedure: "deleteChargingStations", label: "Delete…", done: "deleted", group: "Fleet", connector: "none", danger: true,
    confirm: "Stopped in order, and taken out of the fleet.",
    fields: [{ name: "deleteConfiguration", label: "Delete what is kept of them on disk as well", type: "check" }] },
};

/** Actions that tell which connector they mean, in menus of a connector. */
export const CONNECTOR_ACTIONS = ["raiseError", "clearError", "lock", "unlock", "startGenerator", "stopGenerator", "statusNotification", "meterValues"];
export const STATION_ACTIONS = ["powerCycle", "setUrl", "changeKey", "raiseError", "clearError", "startGenerator", "stopGenerator", "remove"];
export const SEND_ACTIONS = ["heartbeat", "bootNotification", "authorize", "statusNotification", "meterValues", "dataTransfer", "firmwareStatus",
  "diagnosticsStatus", "logStatus", "securityEvent", "signCertificate"];
export const BULK_ACTIONS = ["powerCycle", "setUrl", "changeKey", "plugIn", "unplug", "presentTag", "lock", "unlock", "raiseError", "clearError", "startTransaction",
  "startGenerator", "stopGenerator", ...SEND_ACTIONS];

/** Identities in one request: it stays well below what the server takes. */
const MOST_AT_ONCE = 5_000;

/**
 * Ask for what is missing, do it, and tell how it went; resolves with the outcome, null if it was given up.
 * @param {import("./session.js").Session} session
 * @param {Action} action
 * @param {Target} target
 * @returns {Promise<Outcome | null>}
 */
export async function perform(session, action, target) {
  const payload = await complete(action, target);
  if (payload === null) return null;
  if (typeof payload.idTag === "string") rememberTag(payload.idTag);
  const outcome = await send(session, action.procedure, payload, target.hashIds);
  report(action, target, outcome);
  return outcome;
}

/**
 * @param {Action} action
 * @param {Target} target
 * @returns {Promise<Record<string, any> | null>}
 */
async function complete(action, target) {
  /** @type {Field[]} */
  const fields = (action.fields ?? []).map((field) => {
    const value = target.values?.[field.name];
    const known = field.name === "idTag" ? { value: usedTags()[0] ?? "", proposals: usedTags() } : {};
    return { ...field, ...known, ...(value === undefined ? {} : { value }) };
  });
  if (action.connector !== "none" && target.connectorId === undefined) {
    const ids = target.connectorIds ?? [];
    const from = action.connector === "station" ? 0 : 1;
    if (ids.length) {
      const options = ids.map((id) => /** @type {[string, string]} */ ([String(id), `Connector ${id}`]));
      if (action.connector === "optional") options.unshift(["", action.list ? "All connectors" : "Any"]);
      if (action.connector === "station") options.unshift(["0", "The station"]);
      if (options.length > 1) fields.unshift({ name: "connectorId", label: "Connector", type: "select", options });
      else target = { ...target, connectorId: ids[0] };
    } else {
      fields.unshift({ name: "connectorId", label: "Connector", type: "number", min: from, max: 1000, required: action.connector !== "optional",
        value: action.connector === "optional" ? "" : 1, hint: action.connector === "station" ? "0 is the station itself." : action.connector === "optional" ? "Empty: all or any of them." : undefined });
    }
  }
  const many = target.hashIds.length > 1;
  /** @type {Record<string, any>} */
  let payload = {};
  if (fields.length || action.confirm || (action.danger && many)) {
    const who = many ? plural(target.hashIds.length, "station") : target.nameOf(target.hashIds[0]);
    const answer = await askForm({
      title: `${action.label.replace("…", "")}: ${who}${target.connectorId ? `, connector ${target.connectorId}` : ""}`,
      text: [action.confirm, action.text].filter(Boolean).join(" ") || undefined,
      fields,
      submit: action.group === "Send" ? "Send" : action.label.replace("…", ""),
      danger: action.danger,
    });
    if (answer === null) return null;
    payload = answer;
  }
  if (action.procedure === "changeConfiguration") payload.value ??= "";
  const connectorId = payload.connectorId === undefined ? target.connectorId : Number(payload.connectorId);
  delete payload.connectorId;
  if (action.connector !== "none" && connectorId !== undefined) {
    if (action.list) payload.connectorIds = [connectorId];
    else payload.connectorId = connectorId;
  }
  return payload;
}

/**
 * Call a procedure of stations, in parts where there are very many; every station is accounted for.
 * @param {import("./session.js").Session} session
 * @param {string} procedure
 * @param {object} payload
 * @param {string[]} hashIds
 * @returns {Promise<Outcome>}
 */
export async function send(session, procedure, payload, hashIds) {
  /** @type {Outcome} */
  const outcome = { succeeded: [], failed: [] };
  for (let begin = 0; begin < hashIds.length; begin += MOST_AT_ONCE) {
    const part = hashIds.slice(begin, begin + MOST_AT_ONCE);
    /** @type {string | undefined} */
    let general;
    try {
      const answer = await session.call(procedure, { ...payload, hashIds: part });
      general = answer.errorMessage;
      outcome.succeeded.push(...(answer.hashIdsSucceeded ?? (answer.status === "success" ? part : [])));
      for (const failed of answer.responsesFailed ?? []) outcome.failed.push({ hashId: failed.hashId, reason: reasonOf(failed) });
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      general = error.message;
    }
    const known = new Set([...outcome.succeeded, ...outcome.failed.map(({ hashId }) => hashId)]);
    for (const hashId of part) if (!known.has(hashId)) outcome.failed.push({ hashId, reason: general ?? "the simulator does not say why" });
  }
  return outcome;
}

/** @param {import("./protocol.js").FailedStation} failed */
function reasonOf({ errorMessage, commandResponse }) {
  if (commandResponse === undefined || commandResponse === null) return errorMessage ?? "the simulator does not say why";
  const status = commandResponse.idTagInfo?.status ?? commandResponse.status;
  const answered = typeof status === "string" ? `answered ${status}` : `answered ${JSON.stringify(commandResponse)}`;
  return errorMessage ? `${errorMessage}; ${answered}` : answered;
}

/**
 * @param {Action} action
 * @param {Target} target
 * @param {Outcome} outcome
 */
function report(action, target, { succeeded, failed }) {
  const all = succeeded.length + failed.length;
  if (failed.length === 0) {
    toasts.success(all === 1 ? target.nameOf(succeeded[0]) : plural(all, "station"), capital(action.done));
    return;
  }
  const what = action.label.replace("…", "");
  if (all === 1) {
    toasts.failure(`${what} failed: ${target.nameOf(failed[0].hashId)}`, capital(failed[0].reason));
    return;
  }
  const reasons = new Set(failed.map(({ reason }) => reason));
  const text = reasons.size === 1 ? capital(failed[0].reason) : `${capital(failed[0].reason)}, and ${plural(reasons.size - 1, "other reason")}`;
  toasts.failure(`${what}: ${failed.length} of ${plural(all, "station")} failed`, text,
    { label: "Show each station", run: () => showOutcome(what, target, { succeeded, failed }) });
}

/**
 * The result of every station.
 * @param {string} what
 * @param {Target} target
 * @param {Outcome} outcome
 */
function showOutcome(what, target, { succeeded, failed }) {
  const dialog = openDialog({
    title: `${what}: results`,
    text: `${succeeded.length} succeeded, ${failed.length} failed`,
    wide: true,
    content: [h("div", { class: "reasons", tabindex: "0", role: "region", "aria-label": "Results" }, h("table", { class: "plain" },
      h("thead", null, h("tr", null, h("th", { text: "Station" }), h("th", { text: "Result" }))),
      h("tbody", null,
        failed.slice(0, 1000).map(({ hashId, reason }) => h("tr", null,
          h("td", null, h("a", { href: `#/stations/${hashId}`, text: target.nameOf(hashId), onclick: () => dialog.close() })),
          h("td", { class: "tone-bad", text: capital(reason) }))),
        succeeded.slice(0, 1000).map((hashId) => h("tr", null, h("td", { text: target.nameOf(hashId) }), h("td", { class: "quiet", text: capital("done") }))))))],
    footer: [h("button", { type: "button", class: "primary", text: "Close", onclick: () => dialog.close() })],
  });
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
