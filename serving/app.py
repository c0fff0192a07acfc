"""The HTTP app: one desk for its lifetime, announced to the other processes of the work directory."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving import problems, running
from serving.access.install import install
from serving.access.limits import threads_for
from serving.access.tenants import open_tenants
from serving.api import router
from serving.audiences.export_router import router as export_router
from serving.audiences.router import router as audiences_router
from serving.audiences.seed_router import router as seed_router
from serving.desk import Desk, open_desk
from serving.erasure.router import router as erasure_router
from serving.page.files import mount_page
from serving.page.routes import router as page_router
from serving.telemetry import router as telemetry_router
from serving.telemetry import tracing
from serving.telemetry.requests import Told
from serving.users_router import router as users_router

DESCRIPTION = (
    "Audiences from a sentence or from seed users. Errors are application/problem+json with `code` and `hint`."
)


def create_app(settings: Settings, *, open_desk: Callable[[Settings], Desk] = open_desk) -> FastAPI:
    """The app of these settings. It opens the index and loads the model when it starts, not when it is made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stop_tracing = tracing.start(settings.otlp_endpoint)
        try:
            callers.tenants = tenants = app.state.tenants = open_tenants(settings, open_desk)
        except FoundError as error:
            app.state.refused = error
            raise
        to_thread.current_default_thread_limiter().total_tokens = threads_for(settings.queue_size)
        url = f"http://{settings.host}:{settings.port}"
        for tenant in tenants.values():
            tenant.audiences.start()
            tenant.desk.fill_memory()
            running.announce(tenant.settings.work, url=url, instance=app.state.instance)
        try:
            yield
        finally:
            for tenant in tenants.values():
                running.withdraw(tenant.settings.work, app.state.instance)
                tenant.close()
            stop_tracing()

    app = FastAPI(
        title="FOUND",
        version=version("found"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.instance = uuid.uuid4().hex
    problems.install(app)
    app.state.tenants = {}
    app.state.refused = None
    callers = install(app, settings)
    app.state.keys_required = callers.required
    app.add_middleware(Told)
    stored = (audiences_router, export_router, seed_router)
    for part in (router, users_router, *stored, erasure_router, page_router, telemetry_router.router):
        app.include_router(part)
    mount_page(app)
    return app
