"""The web application: procedures over HTTP and WebSocket, dashboard, OpenAPI, metrics, health."""

from __future__ import annotations

import time
from typing import Any, cast

import msgspec
import trio
from quart import Response, g, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from simulator.control.control import Control
from simulator.telemetry.log import get_logger
from simulator.telemetry.metrics import OPENMETRICS_TYPE, PROMETHEUS_TYPE, prefers_openmetrics
from simulator.ui_server.access import AccessPolicy, Admitted, Denied, Visitor, lower_headers
from simulator.ui_server.auth import Authenticator
from simulator.ui_server.metrics import metrics_text
from simulator.ui_server.openapi import openapi_document
from simulator.ui_server.settings import UiSettings
from simulator.ui_server.srpc import PROTOCOL_ERROR, Session, Socket, offers_protocol
from simulator.ui_server.static import dashboard_files
from ui_protocol import PROTOCOL, SUBPROTOCOL, VERSION
from ui_protocol.frames import encode_payload

log = get_logger("simulator.ui")

_PREFIX = f"/{PROTOCOL}/{VERSION}"
#: Seconds until a request's body must have come.
_BODY_WITHIN = 30
_JSON = "application/json"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="simulator", charset="UTF-8"'}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def build_app(settings: UiSettings, control: Control, goodbye: trio.Event | None = None) -> QuartTrio:
    """The application of one server. It owns no tasks: every request and session is served where it arrives.

    :param goodbye: ends all sessions once it is set.
    """
    app = QuartTrio(__name__, static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_message_size,
        BODY_TIMEOUT=_BODY_WITHIN,
        # A client that does not read is the server's business, which knows whether bytes move.
        RESPONSE_TIMEOUT=None,
    )
    gate = _Gate(settings)
    app.before_request(gate.check_request)
    app.after_request(gate.finish)
    app.before_websocket(gate.check_websocket)
    app.register_error_handler(HTTPException, cast("Any", _http_error))
    _add_protocol(app, control, control.going_away if goodbye is None else goodbye)
    _add_pages(app, settings, control)
    return app


# -- procedures --------------------------------------------------------------------------------------------------------


def _add_protocol(app: QuartTrio, control: Control, goodbye: trio.Event) -> None:
    @app.post(f"{_PREFIX}/<name>")
    @app.post(f"{_PREFIX}/<name>/<path:rest>")
    async def call(name: str, rest: str = "") -> Response:
        body = await request.get_data()
        try:
            payload = msgspec.json.decode(body) if body.strip() else None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            return _failure(400, f"the body is not JSON: {error}", name)
        answer = await control.call(name, payload)
        return Response(encode_payload(answer), 200 if answer.status == "success" else 400, content_type=_JSON)

    @app.websocket("/")
    @app.websocket("/<path:path>")
    async def session(path: str = "") -> None:
        if not offers_protocol(list(websocket.requested_subprotocols)):
            await websocket.accept()
            await websocket.close(PROTOCOL_ERROR, f"the sub-protocol {SUBPROTOCOL} is missing")
            return
        await websocket.accept(subprotocol=SUBPROTOCOL)
        await Session(cast("Socket", websocket), control, goodbye).run()


# -- pages -------------------------------------------------------------------------------------------------------------


def _add_pages(app: QuartTrio, settings: UiSettings, control: Control) -> None:
    files = dashboard_files()
    openapi = msgspec.json.encode(openapi_document(authentication=settings.username is not None))

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok\n", content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})

    @app.get("/openapi.json")
    async def openapi_json() -> Response:
        return Response(openapi, content_type=_JSON)

    if settings.metrics:

        @app.get("/metrics")
        async def metrics() -> Response:
            open_form = prefers_openmetrics(request.headers.get("Accept", ""))
            text = await metrics_text(
                control,
                stations=[name for name in request.args.getlist("station") if name],
                cap=settings.metrics_cap,
                openmetrics=open_form,
            )
            content_type = OPENMETRICS_TYPE if open_form else PROMETHEUS_TYPE
            return Response(text, content_type=content_type, headers={"Vary": "Accept"})

    @app.get("/")
    @app.get("/<path:path>")
    async def page(path: str = "") -> Response:
        found = files.get(path)
        if found is None:
            if path.startswith(f"{PROTOCOL}/"):
                return _failure(405, "procedures are called by POST", headers={"Allow": "POST"})
            return _failure(404, "there is nothing here")
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if found.etag in request.headers.get("If-None-Match", ""):
            return Response(b"", 304, headers=headers)
        return Response(found.content, content_type=found.content_type, headers=headers)

    @app.post("/<path:path>")
    async def nowhere(path: str) -> Response:
        return _failure(404, f"procedures are at {_PREFIX}/<procedure>")


# -- who may come in ---------------------------------------------------------------------------------------------------


class _Gate:
    """Lets requests and sessions in, or answers in their place."""

    def __init__(self, settings: UiSettings) -> None:
        self._policy = AccessPolicy(settings)
        self._authenticator = Authenticator(settings, time.monotonic)
        self._hsts = settings.strict_transport_security

    async def check_request(self) -> Response | None:
        """Before every request; a response refuses it."""
        visitor = _visitor(request.scope)
        try:
            admitted = self._policy.admit(visitor)
        except Denied as denied:
            return _failure(denied.status, denied.reason)
        g.admitted = admitted
        if admitted.cors is not None and request.method == "OPTIONS":
            return Response(b"", 204, headers={"Access-Control-Max-Age": "600"})
        if request.path == "/healthz" or not self._authenticator.required:
            return None
        return self._refusal(admitted, self._authenticator.from_header(visitor.one("authorization")), visitor)

    async def check_websocket(self) -> Response | None:
        """Before every upgrade to a WebSocket; a response refuses it."""
        visitor = _visitor(websocket.scope)
        try:
            admitted = self._policy.admit(visitor)
        except Denied as denied:
            return _failure(denied.status, denied.reason)
        if not self._authenticator.required:
            return None
        right = self._authenticator.from_header(visitor.one("authorization")) or self._authenticator.from_subprotocols(
            websocket.requested_subprotocols
        )
        return self._refusal(admitted, right, visitor, offered=websocket.requested_subprotocols)

    def _refusal(self, admitted: Admitted, right: bool, visitor: Visitor, offered: Any = ()) -> Response | None:
        wait = self._authenticator.wait(admitted.client)
        if wait > 0:
            headers = {"Retry-After": str(max(1, round(wait)))}
            return _failure(429, "too many wrong passwords, wait a little", headers=headers)
        if right:
            return None
        given = visitor.one("authorization") is not None or any("authorization" in name for name in offered)
        if given:
            self._authenticator.failed(admitted.client)
            log.warning("UI server: wrong credentials from %s", admitted.client or "a local program")
        return _failure(401, "user and password are missing or wrong", headers=_CHALLENGE)

    async def finish(self, response: Response) -> Response:
        """After every request."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        admitted: Admitted | None = g.get("admitted")
        if admitted is None:
            return response
        if self._hsts is not None and admitted.encrypted:
            response.headers["Strict-Transport-Security"] = self._hsts
        if admitted.cors is not None:
            response.headers["Access-Control-Allow-Origin"] = admitted.cors
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers.add("Vary", "Origin")
        return response


def _visitor(scope: Any) -> Visitor:
    client = scope.get("client")
    return Visitor(
        peer=str(client[0]) if client else "",
        encrypted=scope.get("scheme") in {"https", "wss"},
        headers=lower_headers(scope["headers"]),
    )


# -- failures ----------------------------------------------------------------------------------------------------------


def _failure(status: int, message: str, command: str | None = None, headers: dict[str, str] | None = None) -> Response:
    body = {"status": "failure", **({"command": command} if command else {}), "errorMessage": message}
    return Response(encode_payload(body), status, content_type=_JSON, headers=headers)


async def _http_error(error: HTTPException) -> Response:
    """What the framework refuses by itself: too large, too slow, the wrong method."""
    allow = error.get_headers() if error.code == 405 else []
    headers = {name: value for name, value in allow if name.lower() == "allow"}
    return _failure(error.code or 500, (error.description or error.name).splitlines()[0], headers=headers)
