"""From an incoming CALL to its answer: checks, the handler, the answer on the wire, and then the effect.

Handlers are plain functions of the request: they decide from what the station knows and answer at once. What takes
time is an *effect*: a coroutine that starts as a task of the station after the answer has left (OCPP 1.6 §5: the
response comes first).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from simulator.events import CallReceived, OddFrameReceived
from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.frames import Call, Malformed, encode_error, encode_result
from simulator.ocpp.v16.enums import RegistrationStatus
from simulator.ocpp.v16.messages import (
    CENTRAL_SYSTEM_ACTIONS,
    REQUESTS,
    Request,
    Response,
    profile_of,
    read_request,
    to_payload,
)
from simulator.station.security_events import Kind

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

Effect: TypeAlias = Callable[[], Awaitable[None]]


class Answer(msgspec.Struct, frozen=True):
    """The response to a request, and what follows once it is sent."""

    response: Response
    effect: Effect | None = None


Handler: TypeAlias = Callable[[Any], Answer]


class Dispatcher:
    """The incoming CALLs of one station."""

    __slots__ = ("_handlers", "_station")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        #: Made when the first CALL comes: most stations of a large fleet never get one.
        self._handlers: dict[str, Handler] | None = None

    def handlers(self) -> dict[str, Handler]:
        """Who answers which action."""
        if self._handlers is None:
            self._handlers = self._make_handlers()
        return self._handlers

    def _make_handlers(self) -> dict[str, Handler]:
        from simulator.station.v16.core import CoreProfile
        from simulator.station.v16.firmware import FirmwareManagementProfile
        from simulator.station.v16.local_auth_list import LocalAuthListProfile
        from simulator.station.v16.remote_trigger import RemoteTriggerProfile
        from simulator.station.v16.reservation import ReservationProfile
        from simulator.station.v16.security import SecurityProfile
        from simulator.station.v16.smart_charging import SmartChargingProfile

        station = self._station
        handlers: dict[str, Handler] = {}
        triggers = RemoteTriggerProfile(station)
        for profile in (
            CoreProfile(station),
            FirmwareManagementProfile(station),
            LocalAuthListProfile(station),
            triggers,
            ReservationProfile(station),
            SecurityProfile(station, triggers),
            SmartChargingProfile(station),
        ):
            handlers.update(profile.handlers())
        return handlers

    def on_call(self, call: Call) -> None:
        """Answer a CALL. Before acceptance only what OCPP 1.6 §4.2 allows; while Rejected not at all."""
        station = self._station
        if station.registration.status is RegistrationStatus.REJECTED:
            station.log.info("%s stays unanswered: the registration is Rejected", call.action)
            self._told(call.action, "Rejected")
            return
        try:
            answer = self._answer(call)
        except CallRefused as refusal:
            station.log.warning("refused %s: %s", call.action, refusal)
            self._send_error(call, refusal.code, refusal.description, refusal.details)
            return
        except Exception:
            station.log.exception("%s could not be processed", call.action)
            self._send_error(call, ErrorCode.INTERNAL_ERROR, f"{call.action} could not be processed", {})
            return
        station.line.send(encode_result(call.message_id, to_payload(answer.response)))
        self._told(call.action, None)
        if answer.effect is not None:
            station.spawn(answer.effect)

    def on_malformed(self, frame: Malformed) -> None:
        """Answer what was meant as a CALL and has a readable id with a CALLERROR; pass over everything else."""
        station = self._station
        station.publish(OddFrameReceived, "malformed", frame.reason)
        station.log.warning("a malformed message: %s", frame.reason)
        station.security.event(Kind.INVALID_MESSAGES, frame.reason)
        if (
            frame.answerable
            and frame.message_id is not None
            and station.registration.status is not RegistrationStatus.REJECTED
        ):
            station.line.send(encode_error(frame.message_id, frame.code, frame.reason, {}))

    def _answer(self, call: Call) -> Answer:
        station, action = self._station, call.action
        if action not in REQUESTS:
            raise CallRefused(ErrorCode.NOT_IMPLEMENTED, f"{action[:50]} is no action of OCPP 1.6")
        if action not in CENTRAL_SYSTEM_ACTIONS or not station.info.template.commands_support.allows_incoming(action):
            raise CallRefused(ErrorCode.NOT_SUPPORTED, f"{action} is not supported")
        handler = self.handlers().get(action)
        if handler is None or not self._profile_offered(action):
            from simulator.station.v16.unsupported import answer_unsupported

            answer = answer_unsupported(action)
            self._read(action, call.payload)
            return answer
        request = self._read(action, call.payload)
        if profile_of(action) == "Security":
            station.security.extension_used()
        return handler(request)

    def _profile_offered(self, action: str) -> bool:
        profile = profile_of(action)
        return profile in {None, "Core", "Security"} or profile in self._station.keys.items("SupportedFeatureProfiles")

    def _read(self, action: str, payload: object) -> Request[Any]:
        template = self._station.info.template
        if template.payload_schema_validation:
            violation = self._station.services.validator.request(
                action, payload, strict=template.ocpp_strict_compliance
            )
            if violation is not None:
                self._station.security.event(Kind.INVALID_MESSAGES, f"{action}: {violation.description}")
                raise CallRefused(violation.code, violation.description, violation.details)
        try:
            return read_request(action, payload)
        except msgspec.ValidationError as error:  # only without schema validation
            raise CallRefused(ErrorCode.TYPE_CONSTRAINT_VIOLATION, str(error)) from None

    def _send_error(self, call: Call, code: ErrorCode, description: str, details: dict[str, object]) -> None:
        self._station.line.send(encode_error(call.message_id, code, description, details))
        self._told(call.action, str(code))

    def _told(self, action: str, error: str | None) -> None:
        self._station.publish(CallReceived, action if action in REQUESTS else "unknown", error)
