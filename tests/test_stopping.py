"""A server that is told to stop, as a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import ports
import pytest
from audience_doubles import NOW, new, published, serving
from serving_doubles import WordModel

from feature_repo.contracts.settings import Settings
from serving import running
from serving.audiences.database import Database
from serving.audiences.store import AudienceStore
from serving.index import open_index

SECONDS = 1.0
"""How long the process' model thinks about a sentence."""
PROCESS = f"""
import logging.config, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from audience_doubles import open_desk
from serving_doubles import WordModel
from feature_repo.contracts.settings import read_settings
from serving.app import create_app
from serving.server import server_of
from serving.telemetry.logs import log_config

read = WordModel.read_demands
WordModel.read_demands = lambda *asked: (time.sleep({SECONDS}), read(*asked))[1]
logging.config.dictConfig(log_config("json"))
server_of(create_app(read_settings(os.environ, Path(sys.argv[1])), open_desk=open_desk)).run()
"""


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def statuses(settings: Settings) -> dict[str, str]:
    store = AudienceStore(Database(settings.work.audiences))
    return {audience.name: audience.status for audience in store.page(limit=10)}


def test_a_terminated_server_finishes_its_answers_refuses_new_ones_and_leaves_nothing_behind(tmp_path):
    settings = replace(published(tmp_path), port=ports.unused())
    url = f"http://127.0.0.1:{settings.port}"
    argv, environ = [sys.executable, "-c", PROCESS, str(tmp_path)], os.environ | settings.environment()
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: running.server_of(settings.work) or process.poll() is not None)
        with ThreadPoolExecutor() as pool, httpx.Client(timeout=30) as client:
            client.get(f"{url}/healthz")
            question = pool.submit(client.post, f"{url}/v1/audiences:target", json={"demand": "Zaphod", "size": 3})
            time.sleep(SECONDS / 4)
            waiting = [
                pool.submit(client.post, f"{url}/v1/audiences", json={"name": name, "demand": "x", "size": 3})
                for name in ("one", "two")
            ]
            wait_for(lambda: sorted(statuses(settings).values()) == ["queued", "running"])
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: not (tmp_path / "server.json").exists())
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{url}/healthz")
            assert question.result().status_code == 200
            assert [answer.result().status_code for answer in waiting] == [202, 202]
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == -signal.SIGTERM
    assert "Zaphod" not in output and "Traceback" not in output and "POST /v1/audiences:target" in output
    assert sorted(statuses(settings).values()) == ["queued", "ready"]
    open_index(settings).close()
    with serving(settings):
        wait_for(lambda: set(statuses(settings).values()) == {"ready"})


def test_an_audience_that_takes_longer_than_the_grace_is_put_back(tmp_path, monkeypatch):
    settings = replace(published(tmp_path), grace_seconds=0)
    entered, go, read = threading.Event(), threading.Event(), WordModel.read_demands

    def slow(*asked):
        entered.set()
        assert go.wait(30)
        return read(*asked)

    monkeypatch.setattr(WordModel, "read_demands", slow)
    with serving(settings) as client:
        audiences = client.app.state.tenants["default"].audiences
        audiences.store.create(new("long"), now=NOW)
        audiences._making.wake()
        assert entered.wait(30)
    assert statuses(settings) == {"long": "queued"}
    go.set()
