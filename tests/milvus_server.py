"""A real Milvus server for slow tests: the wheel `milvus`, which is no dependency, in a folder of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ports
import psutil
import pytest

WHEEL = "milvus==2.3.5"
START_SECONDS = 300
ETCD_PORT = 2380
"""Of its embedded etcd; it knows no other."""


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory) -> Iterator[str]:
    """The address of a server that ends with the session. FOUND_MILVUS_WHEEL names a folder with the wheel."""
    folder = tmp_path_factory.mktemp("milvus")
    wheel = os.environ.get("FOUND_MILVUS_WHEEL") or str(folder / "wheel")
    if not Path(wheel, "milvus").is_dir():
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", wheel, WHEEL]
        if subprocess.run(install, check=False, capture_output=True).returncode:
            pytest.skip(f"{WHEEL} cannot be installed here; FOUND_MILVUS_WHEEL may name a folder that holds it")
    if _answers(ETCD_PORT):
        pytest.skip(f"a Milvus server or an etcd runs here already: port {ETCD_PORT} is taken, which this one needs")
    port = ports.unused()
    start = ["-c", "from milvus import main; main()", "--data", str(folder / "data"), "--proxy-port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *start], env=os.environ | {"PYTHONPATH": wheel}, stdout=subprocess.DEVNULL
    )
    try:
        _wait(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while not _answers(port):
        assert process.poll() is None and time.monotonic() < until, "the Milvus server did not start"
        time.sleep(0.5)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
