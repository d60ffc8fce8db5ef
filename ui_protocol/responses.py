"""Answers of the procedures that tell something, and what the server tells unasked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ui_protocol.base import Response
from ui_protocol.stations import ChargingStationData


class ListChargingStationsResponse(Response, frozen=True, kw_only=True):
    """The stations, in the order in which they came to the fleet."""

    charging_stations: list[ChargingStationData]
    total: Annotated[int | None, Meta(description="How many there are without offset and limit")] = None


class TemplateStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The stations of one template."""

    configured: int
    provisioned: int
    added: int
    started: int
    indexes: list[int]


class SimulatorState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The simulator as a whole."""

    version: str
    started: Annotated[bool, Meta(description="Whether the fleet runs: `stopSimulator` ends it")]
    configuration: Annotated[dict[str, Any], Meta(description="The configuration, without secrets")]
    template_statistics: dict[str, TemplateStatistics]
    statistics: Annotated[dict[str, Any], Meta(description="Stations by state, calls, latency, energy of this run")]


class SimulatorStateResponse(Response, frozen=True, kw_only=True):
    """How the simulator is."""

    state: SimulatorState


class ListTemplatesResponse(Response, frozen=True, kw_only=True):
    """Templates that stations can be made of."""

    templates: list[str]


class PerformanceStatisticsResponse(Response, frozen=True, kw_only=True):
    """Performance records: `{id, name, uri, createdAt, updatedAt, statisticsData}`."""

    performance_statistics: list[dict[str, Any]]


class MessageFrame(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One frame of the OCPP wire; secrets in ``text`` are masked."""

    sequence: Annotated[int, Meta(description="Number of the frame, rising over all stations")]
    time: Annotated[float, Meta(description="POSIX seconds")]
    hash_id: str
    station_id: str
    direction: Annotated[Literal["sent", "received"], Meta(description="As the station sees it")]
    kind: Literal["call", "result", "error", "other"]
    text: str
    message_id: str | None = None
    action: str | None = None


class ListMessagesResponse(Response, frozen=True, kw_only=True):
    """Frames of the OCPP wire, oldest first."""

    messages: list[MessageFrame]


# -- told unasked ------------------------------------------------------------------------------------------------------


class StationsDelta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`["stations", StationsDelta]`: what has changed since the last one."""

    changed: list[ChargingStationData]
    removed: list[str]
    total: int


class MessagesDelta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`["messages", MessagesDelta]`: new frames. ``skipped``: there were more than could be told."""

    messages: list[MessageFrame]
    skipped: bool
