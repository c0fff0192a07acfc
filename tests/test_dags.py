"""Both DAGs: what they promise Airflow, and that they run a lake through to the alias.

Airflow runs in processes of its own: it sets up logging and a database when it is imported.
"""

import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.steps import NIGHTLY, TRAINING

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
STEPS = {"train_foundation": TRAINING, "nightly_embeddings": NIGHTLY}
USERS = 60
DS = "2024-04-01"

READ_DAGS = """
import datetime, json, pathlib, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import BundleDagBag

class Undated:  # what a run that was triggered without a logical date offers to a template
    logical_date, run_after = None, datetime.datetime(2024, 5, 6)

def rendered(dag, **given):
    jinja = dag.get_template_env()
    params = {**{name: param.value for name, param in dag.params.items()}, **given}
    return [jinja.from_string(t.bash_command).render(params=params, dag_run=Undated) for t in dag.tasks]

def refused(dag, **given):
    try:
        for name, value in given.items():
            dag.params.get_param(name).resolve(value)
    except Exception as error:
        return type(error).__name__
    return ""

began = time.process_time()
bag = BundleDagBag(sys.argv[1], bundle_path=pathlib.Path(sys.argv[1]), bundle_name="found")
report = {
    "seconds": time.process_time() - began,
    "errors": {str(k): v for k, v in bag.import_errors.items()},
    "heavy": sorted({"torch", "pyspark", "feast", "pymilvus", "transformers", "pandas"} & set(sys.modules)),
    "dags": {
        name: {
            "tasks": [t.task_id for t in dag.tasks],
            "upstream": {t.task_id: sorted(t.upstream_task_ids) for t in dag.tasks},
            "retries": [t.retries for t in dag.tasks],
            "timeouts": [t.execution_timeout.total_seconds() for t in dag.tasks],
            "owners": sorted({t.owner for t in dag.tasks}),
            "max_active_runs": dag.max_active_runs,
            "catchup": dag.catchup,
            "doc": dag.doc_md,
            "schedule": dag.timetable.expression,
            "today": rendered(dag),
            "dated": rendered(dag, ds="2024-02-03"),
            "refused": [refused(dag, ds=bad) for bad in ("yesterday", "2024-01-01; id", "$(id)")],
        }
        for name, dag in bag.dags.items()
    },
}
print("REPORT" + json.dumps(report))
"""

READ_ALIAS = """
import json, sys
from pymilvus import MilvusClient

client = MilvusClient(sys.argv[1])
client.load_collection("users")
rows = client.query("users", filter="user_id != ''", output_fields=["user_id", "ds"], limit=1000)
print("REPORT" + json.dumps({row["user_id"]: row["ds"] for row in rows}))
"""


def environment(home: Path, **variables: str) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "HF_HUB_OFFLINE": "1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        **variables,
    }


def report_of(script: str, *arguments: str, env: dict[str, str] | None = None):
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=env, capture_output=True, text=True, timeout=180
    )
    marked = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    assert marked, done.stdout + done.stderr
    return json.loads(marked[0].removeprefix("REPORT"))


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    return report_of(READ_DAGS, str(ROOT / "dags"), env=environment(home))


def test_both_dags_are_read_without_an_error_and_nothing_else_is_taken_for_one(parsed):
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == set(STEPS)


def test_reading_both_takes_under_four_seconds_and_loads_no_engine(parsed):
    assert parsed["seconds"] < 4
    assert parsed["heavy"] == []


@pytest.mark.parametrize("name", STEPS)
def test_a_dag_is_the_step_list_that_found_run_also_runs(parsed, name):
    dag = parsed["dags"][name]

    assert set(dag["tasks"]) == {step.name for step in STEPS[name]}
    assert dag["upstream"] == {step.name: sorted(step.after) for step in STEPS[name]}


@pytest.mark.parametrize("name", STEPS)
def test_a_task_has_an_owner_retries_and_an_end(parsed, name):
    dag = parsed["dags"][name]

    assert dag["owners"] == ["targeting"]
    assert set(dag["retries"]) == {2}
    assert all(0 < seconds <= 48 * 3600 for seconds in dag["timeouts"])


@pytest.mark.parametrize(("name", "schedule"), [("train_foundation", "0 0 * * 0"), ("nightly_embeddings", "0 0 * * *")])
def test_a_dag_runs_once_at_a_time_on_its_days_and_never_catches_up(parsed, name, schedule):
    dag = parsed["dags"][name]

    assert (dag["max_active_runs"], dag["catchup"], dag["schedule"]) == (1, False, schedule)
    assert dag["doc"].startswith("###")


def commands(name: str, *, ds: str) -> list[list[str]]:
    values = {"ds": ds, "until": ds, "cutoffs": "auto:16", "ranks": "1"}
    return sorted(step.argv(values) for step in STEPS[name])


@pytest.mark.parametrize("name", STEPS)
def test_a_run_without_a_logical_date_takes_the_day_it_was_asked_for(parsed, name):
    assert sorted(map(shlex.split, parsed["dags"][name]["today"])) == commands(name, ds="2024-05-06")


@pytest.mark.parametrize("name", STEPS)
def test_a_run_takes_its_day_from_its_parameters_first(parsed, name):
    assert sorted(map(shlex.split, parsed["dags"][name]["dated"])) == commands(name, ds="2024-02-03")


@pytest.mark.parametrize("name", STEPS)
def test_a_parameter_that_is_not_a_date_never_reaches_the_shell(parsed, name):
    assert parsed["dags"][name]["refused"] == ["ParamValidationError"] * 3


def write_tiny_lake(root: Path) -> None:
    """Bills, searches and profiles of 60 users over the half year before DS; every user has at least one bill."""
    random = Random(7)
    last = datetime.fromisoformat(DS).replace(tzinfo=UTC)
    items = [("stroller", "baby"), ("diapers", "baby"), ("tent", "outdoor"), ("cooler", "outdoor"), ("novel", "books")]
    bills, searches, profiles = [], [], []
    for number in range(USERS):
        user = f"u{number:03}"
        favourite = items[number % len(items)]
        for _ in range(random.randint(1, 20)):
            item, category = favourite if random.random() < 0.7 else random.choice(items)
            time = last - timedelta(minutes=random.randint(1, 180 * 24 * 60))
            bills.append((user, time, item, category, float(random.randint(5, 200))))
            searches.append((user, time - timedelta(minutes=5), f"cheap {item}"))
        profiles.append((user, last - timedelta(days=200), random.choice(["Lyon", "Oslo"]), float(20 + number)))
    tables = {
        "bills": (bills, ["user_id", "event_time", "item", "category", "amount"]),
        "searches": (searches, ["user_id", "event_time", "query"]),
        "profiles": (profiles, ["user_id", "valid_from", "city", "age"]),
    }
    for name, (rows, columns) in tables.items():
        table = pa.table({c: [row[i] for row in rows] for i, c in enumerate(columns)})
        times = columns[1]
        table = table.set_column(1, times, table[times].cast(pa.timestamp("us", tz="UTC")))
        (root / name).mkdir(parents=True)
        pq.write_table(table, root / name / "part-00000.parquet")
    (root / "lake.yaml").write_text(f"name: tiny\nsources: {list(tables)}\ncurrency: EUR\nends: {DS}\n")


def run_dag(name: str, environ: dict[str, str], **params: str) -> None:
    command = [str(BIN / "airflow"), "dags", "test", name, DS, "--conf", json.dumps(params)]
    done = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, cwd="/"
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_both_dags_bring_every_user_of_a_lake_into_service(tmp_path):
    write_tiny_lake(tmp_path / "lake")
    workdir = tmp_path / "work"
    environ = environment(
        tmp_path / "airflow",
        FOUND_LAKE=str(tmp_path / "lake"),
        FOUND_WORKDIR=str(workdir),
        FOUND_RECIPE="tiny",
        FOUND_HORIZON_DAYS="14",
        FOUND_HISTORY_DAYS="120",
        FOUND_MAX_EVENTS="16",
        FOUND_MAX_SEARCHES="8",
        FOUND_MAX_FUTURE="16",
        FOUND_SPARK_MEMORY="1g",
    )
    subprocess.run([str(BIN / "airflow"), "db", "migrate"], env=environ, check=True, capture_output=True, timeout=180)

    run_dag("train_foundation", environ, cutoffs="auto:3")
    run_dag("nightly_embeddings", environ)

    served = report_of(READ_ALIAS, str(workdir / "milvus.db"), env=environ)
    assert served == {f"u{number:03}": DS for number in range(USERS)}
