"""Airflow with the project's DAGs on this machine: `run_airflow.py start|stop` (SQLite, no examples, loopback only).

FOUND_LAKE, FOUND_WORKDIR and every other FOUND_* setting reach the tasks. AIRFLOW_PORT moves the page, AIRFLOW_HOME
(default: work/airflow) the state.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[1]
HOME = Path(os.environ.get("AIRFLOW_HOME") or PROJECT / "work" / "airflow").absolute()
PORT = int(os.environ.get("AIRFLOW_PORT") or 8088)
URL = f"http://127.0.0.1:{PORT}"
LEADER, LOG = HOME / "leader.pid", HOME / "standalone.log"
HEALTHY_WITHIN_SECONDS = 180
STOPPED_WITHIN_SECONDS = 15

HOW = f"""\
Airflow is up: {URL} (user admin, password in {HOME}/simple_auth_manager_passwords.json.generated)

Trigger a DAG by REST, for example the nightly run of one day:
  password=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["admin"])' \\
    < {HOME}/simple_auth_manager_passwords.json.generated)
  token=$(curl -s -X POST {URL}/auth/token -H 'Content-Type: application/json' \\
    -d "{{\\"username\\": \\"admin\\", \\"password\\": \\"$password\\"}}" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -s -X PATCH {URL}/api/v2/dags/nightly_embeddings -H "Authorization: Bearer $token" \\
    -H 'Content-Type: application/json' -d '{{"is_paused": false}}'
  curl -s -X POST {URL}/api/v2/dags/nightly_embeddings/dagRuns -H "Authorization: Bearer $token" \\
    -H 'Content-Type: application/json' -d '{{"logical_date": null, "conf": {{"ds": "2024-06-01"}}}}'
  curl -s '{URL}/api/v2/dags/nightly_embeddings/dagRuns?order_by=-run_after&limit=1' -H "Authorization: Bearer $token"

Ctrl-C or `make airflow-stop` ends it."""


def environment() -> dict[str, str]:
    """What `airflow standalone` and every task inherit."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{URL}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(PORT),
        "AIRFLOW__API__BASE_URL": URL,
        "AIRFLOW__API__WORKERS": "1",
    }


def leader() -> psutil.Process | None:
    """The running `airflow standalone` of this AIRFLOW_HOME."""
    try:
        process = psutil.Process(int(LEADER.read_text()))
        return process if "airflow" in " ".join(process.cmdline()) else None
    except (OSError, ValueError, psutil.Error):
        return None


def stop() -> None:
    """Ends Airflow and everything it started, the sessions of its tasks included."""
    if (top := leader()) is None:
        print("Airflow is not running.")
        return
    LEADER.unlink(missing_ok=True)
    family = [top, *top.children(recursive=True)]  # listed first: an orphan has no parent to be found by
    for process in family:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=STOPPED_WITHIN_SECONDS)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=STOPPED_WITHIN_SECONDS)
    print("Airflow stopped.")


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass


def refuse_second_start() -> None:
    if leader():
        sys.exit(f"error: Airflow already runs at {URL}; `make airflow-stop` ends it.")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            sys.exit(f"error: port {PORT} is taken; choose another: AIRFLOW_PORT={PORT + 1} make airflow")


def wait_until_healthy(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{URL}/api/v2/monitor/health", timeout=5):
                return
        except OSError:
            time.sleep(1)
    tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])
    sys.exit(f"{tail}\nerror: Airflow did not become healthy; the whole log is {LOG}.")


def start() -> None:
    """Returns when Airflow has ended, by Ctrl-C, by `stop` or by itself; nothing it started outlives the call."""
    refuse_second_start()
    HOME.mkdir(parents=True, exist_ok=True)
    print("Starting Airflow (half a minute the first time) ...", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            ["airflow", "standalone"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C reaches this process alone, which then ends the others in order
        )
    LEADER.write_text(str(process.pid))
    try:
        wait_until_healthy(process)
        print(HOW, flush=True)
        process.wait()
        if LEADER.exists():
            sys.exit(f"error: Airflow ended by itself with code {process.returncode}; its log is {LOG}.")
    except KeyboardInterrupt:
        pass
    finally:
        if process.poll() is None:
            stop()


if __name__ == "__main__":
    if sys.argv[1:] not in (["start"], ["stop"]):
        sys.exit("usage: run_airflow.py start|stop")
    start() if sys.argv[1] == "start" else stop()
