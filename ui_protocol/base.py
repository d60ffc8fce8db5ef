"""What all messages of the UI protocol have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Status: TypeAlias = Literal["success", "failure"]

HashIds: TypeAlias = Annotated[
    tuple[str, ...] | None,
    Meta(description="Identities of the charging stations meant; absent: all. An empty list is a failure"),
]
ConnectorId: TypeAlias = Annotated[int, Meta(description="Number of the connector, from 1", ge=1)]
ConnectorIds: TypeAlias = Annotated[
    tuple[int, ...] | None, Meta(description="Numbers of the connectors; absent or empty: all of them")
]
IdTag: TypeAlias = Annotated[str, Meta(description="RFID tag, at most 20 characters", max_length=20)]


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Parameters of a procedure. Members that it does not know are passed over, with a warning in the answer."""


class StationsRequest(Request, frozen=True, kw_only=True):
    """Parameters of a procedure that every station meant carries out for itself."""

    hash_ids: HashIds = None


class ConnectorRequest(StationsRequest, frozen=True, kw_only=True):
    """The same for one connector of each station."""

    connector_id: ConnectorId


class Response(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer of a procedure; ``errorMessage`` says in one line why it failed as a whole."""

    status: Status
    command: Annotated[str | None, Meta(description="The procedure, in a failure")] = None
    request_payload: Annotated[
        dict[str, Any] | None, Meta(description="Its parameters, in a failure; without secrets")
    ] = None
    error_message: Annotated[str | None, Meta(description="Why, in one line")] = None
    warnings: Annotated[list[str] | None, Meta(description="What was passed over, a line each")] = None


class FailedResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Why one station failed: what the central system answered, or a line of text, or both."""

    hash_id: str
    status: Literal["failure"]
    command: str
    request_payload: dict[str, Any]
    command_response: Annotated[Any, Meta(description="Payload of the central system's answer")] = None
    error_message: str | None = None


class StationsResponse(Response, frozen=True, kw_only=True):
    """Which stations did it, which did not, and why not."""

    hash_ids_succeeded: list[str]
    hash_ids_failed: Annotated[list[str] | None, Meta(description="Only in a failure")] = None
    responses_failed: Annotated[list[FailedResponse] | None, Meta(description="Only in a failure")] = None
