"""A real Redis for slow tests: the program `redis-server`, which is no dependency."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ports
import pytest
import redis

PASSWORD = "secret"
START_SECONDS = 30


@dataclass(frozen=True)
class RedisServer:
    """`address` as the settings write it; `files` holds its append-only file and its dump."""

    address: str
    files: Path
    client: "redis.Redis"


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that keeps files, as docker/compose.yaml runs it. FOUND_REDIS_SERVER names another program."""
    program = os.environ.get("FOUND_REDIS_SERVER") or shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine: install one (Debian: apt install redis-server)")
    files, port = tmp_path / "redis", ports.unused()
    files.mkdir()
    given = {"port": str(port), "dir": str(files), "appendonly": "yes", "requirepass": PASSWORD, "save": "3600 1"}
    options = [each for name, value in given.items() for each in (f"--{name}", value)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, password=PASSWORD)
    try:
        _wait(client, process)
        yield RedisServer(f"127.0.0.1:{port},password={PASSWORD}", files, client)
    finally:
        client.close()
        process.terminate()
        process.wait()


def _wait(client: "redis.Redis", process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
        except redis.exceptions.RedisError:
            assert process.poll() is None and time.monotonic() < until, "redis-server did not start"
            time.sleep(0.05)
        else:
            return
