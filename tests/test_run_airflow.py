"""`make airflow`: one instance, on the loopback, that leaves nothing running when it is stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import ports
import psutil
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "run_airflow.py"

FAKE_AIRFLOW = f"""\
#!{sys.executable}
# Answers the health check, and has a task that runs in a session of its own and may be DEAF to SIGTERM.
import http.server, os, pathlib, subprocess, sys
deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if os.environ.get("DEAF") else ""
task = subprocess.Popen([sys.executable, "-c", deaf + "import time; time.sleep(300)"], start_new_session=True)
pathlib.Path(os.environ["AIRFLOW_HOME"], "task.pid").write_text(str(task.pid))
if os.environ.get("BROKEN"):
    task.kill()
    sys.exit("database is locked")
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["AIRFLOW__API__PORT"])), Healthy).serve_forever()
"""


class Instance:
    """One AIRFLOW_HOME and port; `start` returns when the page is up."""

    def __init__(self, home: Path, *, path: str, **variables: str) -> None:
        self.home = home
        self.environ = {
            **os.environ,
            "PATH": path,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_PORT": str(ports.unused()),
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        self.url = f"http://127.0.0.1:{self.environ['AIRFLOW_PORT']}"

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), "start"]
        process = subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                return process
        raise AssertionError((self.home / "standalone.log").read_text())

    def call(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), verb]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=120)


@pytest.fixture
def fake(tmp_path: Path) -> Instance:
    program = tmp_path / "bin" / "airflow"
    program.parent.mkdir()
    program.write_text(FAKE_AIRFLOW)
    program.chmod(0o755)
    return Instance(tmp_path / "home", path=f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def finish(process: subprocess.Popen[str]) -> int:
    code = process.wait(60)
    assert process.stdout
    process.stdout.close()
    return code


@pytest.mark.parametrize("how", ["stop", "SIGINT", "SIGTERM", "stop, though a task is deaf"])
def test_a_stop_ends_everything_that_was_started(fake, how):
    fake.environ["DEAF"] = "1" if "deaf" in how else ""
    process = fake.start()
    task = int((fake.home / "task.pid").read_text())
    assert psutil.pid_exists(task)

    if how.startswith("stop"):
        assert fake.call("stop").stdout == "Airflow stopped.\n"
    else:
        process.send_signal(getattr(signal, how))

    assert finish(process) == 0
    assert not psutil.pid_exists(task)
    assert fake.call("stop").stdout == "Airflow is not running.\n"


def test_a_second_start_and_a_taken_port_are_refused(fake):
    process = fake.start()
    port = int(fake.environ["AIRFLOW_PORT"])

    second = fake.call("start")
    elsewhere = Instance(fake.home.parent / "other", path=fake.environ["PATH"], AIRFLOW_PORT=str(port)).call("start")

    fake.call("stop")
    finish(process)
    assert (second.returncode, elsewhere.returncode) == (1, 1)
    assert second.stderr == f"error: Airflow already runs at {fake.url}; `make airflow-stop` ends it.\n"
    assert elsewhere.stderr == (f"error: port {port} is taken; choose another: AIRFLOW_PORT={port + 1} make airflow\n")


def test_an_airflow_that_does_not_come_up_shows_the_end_of_its_log(fake):
    fake.environ["BROKEN"] = "1"

    failed = fake.call("start")

    assert failed.returncode == 1
    assert failed.stderr == (
        f"database is locked\nerror: Airflow did not become healthy; the whole log is {fake.home / 'standalone.log'}.\n"
    )


def post(url: str, body: object, token: str = "", method: str = "POST"):
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_the_real_one_takes_a_run_by_rest_and_stops_cleanly(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    airflow = Instance(tmp_path / "home", path=path, FOUND_LAKE=str(tmp_path / "none"), FOUND_WORKDIR=str(tmp_path))
    process = airflow.start()
    family = [p.pid for p in psutil.Process(process.pid).children(recursive=True)]
    try:
        passwords = json.loads((airflow.home / "simple_auth_manager_passwords.json.generated").read_text())
        login = {"username": "admin", "password": passwords["admin"]}
        token = post(f"{airflow.url}/auth/token", login)["access_token"]
        dag = f"{airflow.url}/api/v2/dags/nightly_embeddings"
        wait_for_the_dag(dag, token)
        post(dag, {"is_paused": False}, token, method="PATCH")
        run = post(f"{dag}/dagRuns", {"logical_date": None, "conf": {"ds": "2024-06-01"}}, token)
    finally:
        process.send_signal(signal.SIGINT)
        code = finish(process)

    assert (run["state"], run["conf"]) == ("queued", {"ds": "2024-06-01"})
    assert code == 0
    assert len(family) > 3 and not any(psutil.pid_exists(pid) for pid in family)


def wait_for_the_dag(url: str, token: str) -> None:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):
                return
        except OSError:
            assert time.monotonic() < deadline, "the DAG was not read in 90 s"
            time.sleep(1)


def test_the_printed_commands_name_what_exists():
    text = SCRIPT.read_text()

    assert set(re.findall(r"/api/v2/dags/(\w+)", text)) == {"nightly_embeddings"}
    assert (ROOT / "dags" / "nightly_embeddings.py").is_file()
