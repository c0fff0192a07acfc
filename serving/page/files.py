"""The files of the page and of the API's documentation, under a policy that lets them load nothing and reach nobody but
this server."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again with its ETag, so that a new release is not mixed with an old one
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def mount_page(app: FastAPI) -> None:
    """The page at `/` with files at `/page`, and the documentation at `/docs` with those of Swagger UI at `/swagger`.
    They hold nothing of anybody, so they are no routes that ask for a key."""
    app.add_route("/", _page("index.html"), include_in_schema=False)
    app.add_route("/docs", _page("docs.html"), include_in_schema=False)
    app.mount("/page", _Files(directory=FOLDER))
    app.mount("/swagger", _Files(directory=_swagger()))


def _page(name: str) -> Callable[[Request], Response]:
    return lambda request: FileResponse(FOLDER / name, headers=HEADERS)


def _swagger() -> Path:
    """Swagger UI as its package carries it: FastAPI's own page would load it from elsewhere."""
    spec = find_spec("fastapi_swagger")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "resources"
