"""The procedures: name, parameters, answer, and what they do in one line."""

from __future__ import annotations

from typing import Literal

import msgspec

from ui_protocol import base, requests, responses

Group = Literal["Simulator", "Fleet", "Stations", "Connectors", "Generator", "OCPP", "OCPP 2.x", "Hands on", "Session"]


class Procedure(msgspec.Struct, frozen=True):
    """One procedure of the protocol."""

    name: str
    group: Group
    does: str
    request: type[base.Request]
    response: type[base.Response] = base.StationsResponse

    @property
    def of_stations(self) -> bool:
        """Whether every station meant carries it out for itself."""
        return self.response is base.StationsResponse and issubclass(self.request, base.StationsRequest)


_TABLE = (
    Procedure(
        "startSimulator",
        "Simulator",
        "Start every station, except those with `autoStart: false`; with a `worker.startRate` they follow",
        requests.NoParameters,
        base.Response,
    ),
    Procedure(
        "stopSimulator",
        "Simulator",
        "End every station in order; this server goes on",
        requests.NoParameters,
        base.Response,
    ),
    Procedure(
        "simulatorState",
        "Simulator",
        "Version, configuration, counts by template, statistics",
        requests.NoParameters,
        responses.SimulatorStateResponse,
    ),
    Procedure(
        "listChargingStations",
        "Fleet",
        "The stations and everything about them",
        requests.ListChargingStations,
        responses.ListChargingStationsResponse,
    ),
    Procedure(
        "listTemplates",
        "Fleet",
        "The templates that stations can be made of",
        requests.NoParameters,
        responses.ListTemplatesResponse,
    ),
    Procedure("addChargingStations", "Fleet", "Make stations of a template", requests.AddChargingStations),
    Procedure("deleteChargingStations", "Fleet", "Stop stations and forget them", requests.DeleteChargingStations),
    Procedure(
        "performanceStatistics",
        "Fleet",
        "Counts and response times by station and action",
        requests.PerformanceStatistics,
        responses.PerformanceStatisticsResponse,
    ),
    Procedure(
        "listMessages",
        "Fleet",
        "The latest frames of the OCPP wire",
        requests.ListMessages,
        responses.ListMessagesResponse,
    ),
    Procedure("startChargingStation", "Stations", "Start the station", base.StationsRequest),
    Procedure("stopChargingStation", "Stations", "End the station in order", base.StationsRequest),
    Procedure("openConnection", "Stations", "Connect to the central system, and stay connected", base.StationsRequest),
    Procedure("closeConnection", "Stations", "Disconnect until openConnection", base.StationsRequest),
    Procedure("setSupervisionUrl", "Stations", "Move to another central system", requests.SetSupervisionUrl),
    Procedure(
        "changeConfiguration",
        "Stations",
        "Write an OCPP configuration key; Accepted and RebootRequired are success",
        requests.ChangeConfiguration,
    ),
    Procedure("lockConnector", "Connectors", "Lock the cable", base.ConnectorRequest),
    Procedure("unlockConnector", "Connectors", "Release the cable", base.ConnectorRequest),
    Procedure("startAutomaticTransactionGenerator", "Generator", "Make transactions on their own", requests.Generator),
    Procedure("stopAutomaticTransactionGenerator", "Generator", "End that, and its transactions", requests.Generator),
    Procedure("authorize", "OCPP", "Send Authorize; Accepted is success", requests.Authorize),
    Procedure("bootNotification", "OCPP", "Send BootNotification; Accepted is success", requests.BootNotification),
    Procedure("heartbeat", "OCPP", "Send Heartbeat", base.StationsRequest),
    Procedure("meterValues", "OCPP", "Send MeterValues", requests.MeterValues),
    Procedure("startTransaction", "OCPP", "Begin a transaction; Accepted is success", requests.StartTransaction),
    Procedure("statusNotification", "OCPP", "Send StatusNotification", requests.StatusNotification),
    Procedure("stopTransaction", "OCPP", "End a transaction", requests.StopTransaction),
    Procedure("dataTransfer", "OCPP", "Send DataTransfer; Accepted is success", requests.DataTransfer),
    Procedure(
        "diagnosticsStatusNotification",
        "OCPP",
        "Send DiagnosticsStatusNotification",
        requests.DiagnosticsStatusNotification,
    ),
    Procedure(
        "firmwareStatusNotification", "OCPP", "Send FirmwareStatusNotification", requests.FirmwareStatusNotification
    ),
    Procedure("logStatusNotification", "OCPP", "Send LogStatusNotification", requests.LogStatusNotification),
    Procedure(
        "securityEventNotification", "OCPP", "Send SecurityEventNotification", requests.SecurityEventNotification
    ),
    Procedure("signCertificate", "OCPP", "Send SignCertificate; Accepted is success", requests.SignCertificate),
    Procedure("get15118EVCertificate", "OCPP 2.x", "Fails: no station speaks OCPP 2.x", base.StationsRequest),
    Procedure("getCertificateStatus", "OCPP 2.x", "Fails: no station speaks OCPP 2.x", base.StationsRequest),
    Procedure("notifyCustomerInformation", "OCPP 2.x", "Fails: no station speaks OCPP 2.x", base.StationsRequest),
    Procedure("notifyReport", "OCPP 2.x", "Fails: no station speaks OCPP 2.x", base.StationsRequest),
    Procedure("transactionEvent", "OCPP 2.x", "Fails: no station speaks OCPP 2.x", base.StationsRequest),
    Procedure("plugIn", "Hands on", "A vehicle plugs in", requests.PlugIn),
    Procedure("unplug", "Hands on", "The vehicle leaves", base.ConnectorRequest),
    Procedure(
        "presentIdTag", "Hands on", "A driver holds a tag to the reader: to begin or to end", requests.PresentIdTag
    ),
    Procedure("raiseError", "Hands on", "A fault occurs", requests.RaiseError),
    Procedure("clearError", "Hands on", "The fault is gone", requests.ClearError),
    Procedure("powerCycle", "Hands on", "The station loses power and comes back", base.StationsRequest),
    Procedure(
        "subscribe",
        "Session",
        "Be told what changes, over this WebSocket",
        requests.Subscribe,
        base.Response,
    ),
)

#: By name.
PROCEDURES: dict[str, Procedure] = {procedure.name: procedure for procedure in _TABLE}

#: Other names that clients use.
ALIASES = {"StatusNotification": "statusNotification", "Heartbeat": "heartbeat"}


def find_procedure(name: str) -> Procedure | None:
    """The procedure of that name or alias."""
    return PROCEDURES.get(ALIASES.get(name, name))
