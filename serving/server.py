"""The process that answers by HTTP: started, and stopped so that nobody's answer is lost."""

import logging.config
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

from feature_repo.contracts.settings import Settings
from serving import running
from serving.app import create_app
from serving.telemetry.logs import log_config


class Server(uvicorn.Server):
    """From the signal on: refuses new connections, ends waits for queued audiences, finishes what is under way."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        for tenant in app.state.tenants.values():
            running.withdraw(tenant.settings.work, app.state.instance)
            tenant.audiences.stop()
        await super().shutdown(sockets)


def server_of(app: FastAPI) -> Server:
    settings: Settings = app.state.settings
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # its lines hold paths, and paths hold user ids; serving.requests writes one per request
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    return Server(config)


def serve(settings: Settings) -> None:
    """Answers until it is interrupted or terminated. Raises the FoundError for which it could not start."""
    logging.config.dictConfig(log_config(settings.log_format))
    app = create_app(settings)
    # uvicorn would log its traceback, and exit with a code of its own
    logging.getLogger("uvicorn.error").addFilter(lambda _: app.state.refused is None)
    try:
        server_of(app).run()
    except SystemExit:
        if app.state.refused is None:
            raise
    if app.state.refused:
        raise app.state.refused
