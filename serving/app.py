"""The HTTP server: one desk for its lifetime, announced to the other processes of the work directory."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI

from feature_repo.contracts.settings import Settings
from serving import problems, running
from serving.api import router
from serving.audiences.router import router as audiences_router
from serving.audiences.service import open_audiences
from serving.desk import Desk, open_desk
from serving.errors import ServingError
from serving.page.files import mount_page
from serving.page.routes import router as page_router

DESCRIPTION = (
    "Audiences from a sentence or from seed users. Errors are application/problem+json with `code` and `hint`."
)


def create_app(settings: Settings, *, open_desk: Callable[[Settings], Desk] = open_desk) -> FastAPI:
    """The app of these settings. It opens the index and loads the model when it starts, not when it is made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.desk = desk = open_desk(settings)
        app.state.audiences = audiences = open_audiences(settings, desk)
        audiences.start()
        with suppress(ServingError):  # not ready yet is a state that /readyz reports
            desk.ready()
        url = f"http://{settings.host}:{settings.port}"
        running.announce(settings.work, url=url, instance=app.state.instance)
        try:
            yield
        finally:
            running.withdraw(settings.work, app.state.instance)
            audiences.close()
            desk.close()

    app = FastAPI(title="FOUND", version=version("found"), description=DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.instance = uuid.uuid4().hex
    problems.install(app)
    app.include_router(router)
    app.include_router(audiences_router)
    app.include_router(page_router)
    mount_page(app)
    return app


def serve(settings: Settings) -> None:
    """Answers until it is interrupted."""
    import uvicorn

    settings.require("workdir")
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="info")
