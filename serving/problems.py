"""Errors as application/problem+json: a stable code, the facts, the next step."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from feature_repo.contracts.errors import FoundError
from serving.answers import Problem
from serving.errors import InvalidRequest, ServingError
from serving.telemetry.requests import REQUEST_ID_HEADER

MEDIA_TYPE = "application/problem+json"
_PARAMETER = re.compile(r"\{[^}]*\}")


def documented(*errors: type[ServingError]) -> dict[int | str, dict[str, Any]]:
    """These errors as OpenAPI responses by status."""
    schema = Problem.model_json_schema()
    by_status: dict[int | str, dict[str, Any]] = {}
    known_errors: tuple[type[ServingError], ...] = (*errors, InvalidRequest)
    for error in known_errors:
        known = by_status.setdefault(error.status, {"content": {MEDIA_TYPE: {"schema": schema}}, "description": ""})
        codes = [code for code in (known["description"], error.code) if code]
        known["description"] = ", ".join(dict.fromkeys(codes))
    return by_status


def install(app: FastAPI) -> None:
    """Every error leaves the app as a problem."""
    app.add_exception_handler(FoundError, _found_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _found_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ServingError):
        return problem_of(request, error)
    return problem_response(request, status=422, code="refused", detail=str(error), hint=InvalidRequest.hint)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(str(at) for at in e['loc'])}: {e['msg']}" for e in error.errors())
    return problem_of(request, InvalidRequest(f"the request is not valid: {told}."))


def _http(request: Request, error: Exception) -> JSONResponse:
    """A body that cannot be parsed is an invalid request like any other."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return problem_of(request, InvalidRequest("the request is not valid: its body cannot be parsed."))
    code = HTTPStatus(error.status_code).name.lower()
    answer = problem_response(
        request,
        status=error.status_code,
        code=code,
        detail=f"{request.method} {request.url.path}: {error.detail}.",
        hint="See /docs for the routes and their methods.",
    )
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(_allowed(request))
    return answer


def _allowed(request: Request) -> list[str]:
    """The methods of the path, by the most specific of the templates that it fits: several routes may share one."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    closest = max((route.path for route in fitting), key=lambda path: len(_PARAMETER.sub("", path)), default="")
    return sorted({method for route in fitting if route.path == closest for method in route.methods})


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    detail = "the server failed to answer; this is a fault of the server and not of the request."
    answer = problem_response(request, status=500, code=ServingError.code, detail=detail, hint=ServingError.hint)
    answer.headers[REQUEST_ID_HEADER] = request.state.request_id  # this answer does not pass the middleware
    return answer


def problem_of(request: Request, error: ServingError) -> JSONResponse:
    """The error as an answer, with the headers that it asks for."""
    answer = problem_response(request, status=error.status, code=error.code, detail=error.detail, hint=error.hint)
    answer.headers.update(getattr(error, "headers", {}))
    return answer


def problem_response(request: Request, *, status: int, code: str, detail: str, hint: str) -> JSONResponse:
    """One problem as an answer."""
    problem = Problem(
        type=f"urn:found:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        hint=hint,
    )
    return JSONResponse(problem.model_dump(), status_code=status, media_type=MEDIA_TYPE)
