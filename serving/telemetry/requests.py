"""What is told of every request: its id, its span, its metrics, its log line."""

import logging
import re
import time
import uuid
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.telemetry import tracing
from serving.telemetry.logs import REQUEST_ID
from serving.telemetry.metrics import REQUEST_SECONDS, REQUESTS, UNDER_WAY

REQUEST_ID_HEADER = "X-Request-ID"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CLIENT_LEFT = 499
_QUIET = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines: logged only where they fail."""
_log = logging.getLogger("serving.requests")


class Answer(NamedTuple):
    method: str
    route: str
    status: int


class Told:
    """The middleware, outermost of those that answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        name = request_id(headers)
        scope.setdefault("state", {})["request_id"] = name
        status, started = 0, time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = name
            await send(message)

        given = REQUEST_ID.set(name)
        UNDER_WAY.inc()
        with tracing.request_span(headers) as span:
            try:
                await self._app(scope, receive, named)
            except Exception:
                status = 500
                raise
            finally:
                UNDER_WAY.dec()
                answer = Answer(method_of(scope), route_of(scope), status or _CLIENT_LEFT)
                _tell(answer, time.perf_counter() - started)
                tracing.describe(span, method=answer.method, route=answer.route, status=answer.status)
                REQUEST_ID.reset(given)


def request_id(headers: Headers) -> str:
    """The caller's, if it is one that a header and a log line can hold; else a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


def route_of(scope: Scope) -> str:
    """The route's template: a path may hold a user id. `unmatched` where there is no such route."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _tell(answer: Answer, seconds: float) -> None:
    REQUESTS.labels(answer.method, answer.route, str(answer.status)).inc()
    REQUEST_SECONDS.labels(answer.route).observe(seconds)
    quiet = answer.route in _QUIET and answer.status < 500
    level = logging.DEBUG if quiet else logging.ERROR if answer.status >= 500 else logging.INFO
    figures = {**answer._asdict(), "milliseconds": round(seconds * 1000, 1)}
    _log.log(level, "%s %s", answer.method, answer.route, extra={"found": figures})
