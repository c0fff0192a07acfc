"""The guard around an app, and what the app's description says of it."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from feature_repo.contracts.settings import Settings
from serving.access.callers import Callers
from serving.access.errors import ACCESS_ERRORS, OtherHost
from serving.access.guard import Guard, template_of
from serving.access.limits import Rate, places_of
from serving.access.roles import Role, rule_of
from serving.problems import documented

SCHEME = "key"


def install(app: FastAPI, settings: Settings) -> Callers:
    """Guards every route of the app; the callers get to know their tenants when these are open.

    Raises KeysMissing where the server needs keys and has none.
    """
    callers = Callers(settings)
    callers.refuse_unguarded()
    app.add_middleware(
        Guard,
        routes=lambda: app.router.routes,
        callers=callers,
        rate=Rate(settings.requests_per_minute, settings.request_burst),
        places=places_of(settings.queue_size),
    )
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_access(described(), app, optional=not callers.required)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return callers


def _with_access(schema: dict[str, Any], app: FastAPI, *, optional: bool) -> dict[str, Any]:
    """Every guarded operation needs the key and may answer what the guard answers."""
    schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "description": "a key that `found keys create` made"}
    refusals = documented(*ACCESS_ERRORS)
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods:
            path = template_of(route)
            if (rule := rule_of(f"{method} {path}")) is None:
                continue
            operation = schema["paths"][path][method.lower()]
            open_too = optional and rule.role < Role.ADMIN
            operation["security"] = [{SCHEME: []}, {}] if open_too else [{SCHEME: []}]
            _add(operation["responses"], refusals)
            if open_too:
                _add(operation["responses"], documented(OtherHost))
    return schema


def _add(responses: dict[str, Any], more: dict[int | str, dict[str, Any]]) -> None:
    for status, told in more.items():
        known = responses.setdefault(str(status), {"content": told["content"], "description": ""})
        codes = [*known["description"].split(", "), *told["description"].split(", ")]
        known["description"] = ", ".join(dict.fromkeys(code for code in codes if code))
