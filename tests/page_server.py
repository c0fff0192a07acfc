"""The page on a real server: the app with forty published users behind uvicorn, and a browser before it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ports
import pytest
import uvicorn
from audience_doubles import open_desk
from browser import Page, chromium, find_browser
from fastapi import FastAPI

from feature_repo.contracts.settings import Settings
from serving.app import create_app

NO_BROWSER = "no Chromium on this machine: install one (Debian: apt install chromium), or name it as FOUND_BROWSER"


@contextmanager
def answering(settings: Settings, app: FastAPI | None = None) -> Iterator[str]:
    """The address of a server of this app, by default the settings' own with the doubles' desk."""
    port = ports.unused()
    served = app or create_app(settings, open_desk=open_desk)
    server = uvicorn.Server(uvicorn.Config(served, port=port, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One tab for the tests of a file."""
    executable = find_browser()
    if executable is None:
        pytest.skip(NO_BROWSER)
    with chromium(executable, tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page
