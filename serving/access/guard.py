"""The guard: every request meets it before any route does. Who asks, may they, how often, how much, and the record.

It looks up the very route that would answer, so that what is checked and what is run cannot differ. Nothing of a body
is read before the caller is known, and no more than is allowed is ever read.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import audit
from serving.access.body import Limited
from serving.access.callers import Caller, Callers
from serving.access.errors import Forbidden, RateLimited
from serving.access.limits import Places, Rate
from serving.access.roles import UNKNOWN, Queue, Rule, rule_of
from serving.access.tenants import Tenant
from serving.errors import ServingError
from serving.problems import problem_of

_AUDIENCE = re.compile(r"aud_[0-9a-f]{24}")
_API = "/v1/"


@dataclass(frozen=True)
class _Asked:
    """The route that would answer; `name` is empty where none would."""

    name: str
    rule: Rule | None
    audience: str


class Guard:
    """ASGI middleware. What it hands on has `request.state.caller`; what it refuses is a problem like any other."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Callable[[], list[BaseRoute]],
        callers: Callers,
        rate: Rate,
        places: Mapping[Queue, Places],
    ) -> None:
        self._app, self._routes, self._callers, self._rate, self._places = app, routes, callers, rate, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = _asked(self._routes(), scope)
        caller: Caller | None = None
        began = time.perf_counter()
        noted = audit.start()
        told = _Told(send)
        try:
            caller = self._let_in(scope, asked)
            with self._places[asked.rule.queue].one() if asked.rule else nullcontext():
                await Limited(self._app)(scope, receive, told)
        except ServingError as error:
            await problem_of(Request(scope), error)(scope, receive, told)
        except Exception:
            told.status = 500  # said by who is outside of the guard
            raise
        finally:
            if asked.rule:
                self._record(scope, asked, caller, told.status, noted, time.perf_counter() - began)

    def _let_in(self, scope: Scope, asked: _Asked) -> Caller:
        caller = self._callers.of(scope, needs=asked.rule.role if asked.rule else None)
        scope.setdefault("state", {})["caller"] = caller
        if asked.rule:
            if caller.known:
                self._rate.take(f"{caller.tenant.name}/{caller.key_id}")
            if caller.role < asked.rule.role:
                raise Forbidden(
                    f"this takes the role {asked.rule.role.label}, the key has {caller.role.label}.",
                    role=asked.rule.role.label,
                )
        return caller

    def _suspected(self, scope: Scope) -> Caller | None:
        """Whose record a refused request belongs into; nobody's beyond the rate of one key, so that no stranger can
        fill a disk."""
        found = self._callers.suspected(scope)
        try:
            if found:
                self._rate.take(f"{found.tenant.name}/refused")
        except RateLimited:
            return None
        return found

    def _record(
        self, scope: Scope, asked: _Asked, caller: Caller | None, status: int, noted: Mapping[str, Any], seconds: float
    ) -> None:
        """A request of nobody that is known is in no tenant's record."""
        if caller is None and (caller := self._suspected(scope)) is None:
            return
        audience = {"audience": asked.audience} if asked.audience else {}
        caller.tenant.audit.write(
            tenant=caller.tenant.name,
            key=caller.key_id,
            role=caller.role.label,
            route=asked.name,
            status=status,
            ms=round(1000 * seconds, 1),
            **audience,
            **noted,
        )


class _Told:
    """`send`, and which status went out; 499 where the caller was gone before any did. What goes out may name users: it
    is kept by no cache, and read as nothing but what it is."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 499

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await self._send(message)


def _asked(routes: list[BaseRoute], scope: Scope) -> _Asked:
    for route in routes:
        match, found = route.matches(scope)
        if match is not Match.FULL:
            continue
        if not isinstance(route, APIRoute):
            break
        scope["route"] = route  # for those who tell of requests that are refused, too
        name = f"{scope['method']} {template_of(route)}"
        audience = str(found.get("path_params", {}).get("audience_id", ""))
        return _Asked(name, rule_of(name), audience if _AUDIENCE.fullmatch(audience) else "")
    return _Asked("", UNKNOWN if scope["path"].startswith(_API) else None, "")


def template_of(route: APIRoute) -> str:
    """The route's path as the API's description writes it."""
    return compile_path(route.path)[1]


def caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def tenant_of(request: Request) -> Tenant:
    """Whose request it is; that of the first tenant where no key is asked for."""
    return caller_of(request).tenant


TheCaller = Annotated[Caller, Depends(caller_of)]
