/**
 * The UI protocol `ui0.0.1` as the dashboard uses it. Types only: this module has no code besides constants.
 *
 * @typedef {object} Connector one connector of a station
 * @property {number} connectorId 0 is the station itself
 * @property {"Operative" | "Inoperative"} [availability]
 * @property {string} [status]
 * @property {string} [errorCode]
 * @property {boolean} [locked]
 * @property {number} [maximumPower] W
 * @property {boolean} [transactionStarted]
 * @property {boolean} [transactionPending]
 * @property {boolean} [transactionRemoteStarted]
 * @property {number} [transactionId]
 * @property {string} [transactionIdTag]
 * @property {string} [transactionStart] RFC 3339
 * @property {number} [energyActiveImportRegisterValue] Wh
 * @property {number} [transactionEnergyActiveImportRegisterValue] Wh
 * @property {number} [power] W
 * @property {number} [soc] percent
 * @property {{id?: number, idTag?: string, expiryDate?: string}} [reservation]
 *
 * @typedef {object} OcppKey
 * @property {string} key
 * @property {boolean} readonly
 * @property {string} [value] absent where it is a secret
 * @property {boolean} [visible]
 * @property {boolean} [reboot]
 *
 * @typedef {{connectorId: number, start: boolean} & Record<string, any>} GeneratorStatus
 *
 * @typedef {object} Generator
 * @property {Record<string, any>} automaticTransactionGenerator its configuration
 * @property {GeneratorStatus[]} automaticTransactionGeneratorStatuses
 *
 * @typedef {object} Station one charging station; only the members that were asked for are there
 * @property {{hashId: string, chargingStationId?: string, templateName?: string} & Record<string, any>} stationInfo
 * @property {boolean} [started]
 * @property {boolean} [stopping]
 * @property {0 | 1 | 2 | 3} [wsState] connecting, open, closing, closed
 * @property {string} [supervisionUrl]
 * @property {number} [timestamp] milliseconds since 1970
 * @property {{status: string, currentTime: string, interval: number}} [bootNotificationResponse]
 * @property {number} [queuedMessages]
 * @property {{configurationKey: OcppKey[]}} [ocppConfiguration]
 * @property {Connector[]} [connectors]
 * @property {Generator} [automaticTransactionGenerator]
 *
 * @typedef {object} Message one frame of the OCPP wire
 * @property {number} sequence
 * @property {number} time POSIX seconds
 * @property {string} hashId
 * @property {string} stationId
 * @property {"sent" | "received"} direction as the station sees it
 * @property {"call" | "result" | "error" | "other"} kind
 * @property {string} text
 * @property {string} [messageId]
 * @property {string} [action]
 *
 * @typedef {object} FailedStation
 * @property {string} hashId
 * @property {string} [errorMessage]
 * @property {any} [commandResponse] what the central system answered
 *
 * @typedef {object} Answer
 * @property {"success" | "failure"} status
 * @property {string} [errorMessage]
 * @property {string[]} [hashIdsSucceeded]
 * @property {string[]} [hashIdsFailed]
 * @property {FailedStation[]} [responsesFailed]
 * @property {Station[]} [chargingStations]
 * @property {number} [total]
 * @property {string[]} [templates]
 * @property {Message[]} [messages]
 * @property {SimulatorState} [state]
 *
 * @typedef {object} SimulatorState
 * @property {string} version
 * @property {boolean} started
 * @property {Statistics} statistics
 *
 * @typedef {object} Statistics since the run began
 * @property {Record<string, number>} states
 * @property {{sent: number, answered: number, errors: number, timeouts: number}} calls
 * @property {{calls: number}} received
 * @property {{started: number, stopped: number}} transactions
 * @property {number} energyWh
 * @property {{p50: number | null, p95: number | null, p99: number | null, max: number | null}} latencyMs
 *
 * @typedef {object} StationsDelta
 * @property {Station[]} changed
 * @property {string[]} removed
 * @property {number} total
 *
 * @typedef {object} Subscription
 * @property {("stations" | "messages")[]} topics
 * @property {string[]} [fields]
 * @property {string[]} [hashIds]
 */

export const SUBPROTOCOL = "ui0.0.1";

/** Members of a station that the fleet page shows. */
export const FLEET_FIELDS = [
  "stationInfo.chargingStationId",
  "stationInfo.templateName",
  "started",
  "stopping",
  "wsState",
  "timestamp",
  "bootNotificationResponse",
  "queuedMessages",
  ...["connectorId", "status", "errorCode", "power", "soc", "transactionId", "transactionIdTag",
    "transactionEnergyActiveImportRegisterValue"].map((name) => `connectors.${name}`),
];

export const ERROR_CODES = ["ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature",
  "InternalError", "LocalListConflict", "OtherError", "OverCurrentFailure", "OverVoltage", "PowerMeterFailure",
  "PowerSwitchFailure", "ReaderFailure", "ResetFailure", "UnderVoltage", "WeakSignal"];

export const CONNECTOR_STATUSES = ["Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing",
  "Reserved", "Unavailable", "Faulted"];

export const STOP_REASONS = ["Local", "DeAuthorized", "EmergencyStop", "EVDisconnected", "HardReset", "Other",
  "PowerLoss", "Reboot", "Remote", "SoftReset", "UnlockCommand"];
