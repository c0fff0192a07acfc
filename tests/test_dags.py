"""Both DAGs: what they promise Airflow, and that they run a lake through to the alias.

Airflow runs in processes of its own: it sets up logging and a database when it is imported.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from erasure_checks import mentions
from served_lake import DS, ROOT, USERS, environment

from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.steps import NIGHTLY, PROMISES, TRAINING
from feature_repo.contracts.templates import text_key
from model.calibration.past import Past
from model.found import FoundModel
from serving.erasure.erase import erase
from serving.erasure.models import calibrated
from serving.index import open_index

STEPS = {"train_foundation": TRAINING, "nightly_embeddings": (*NIGHTLY, *PROMISES)}

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


def report_of(script: str, *arguments: str, env: dict[str, str] | None = None):
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=env, capture_output=True, text=True, timeout=180
    )
    marked = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    assert marked, done.stdout + done.stderr
    return json.loads(marked[0].removeprefix("REPORT"))


def step_of(command: str) -> list[str]:
    """A task's command without what puts this environment first."""
    set_up, _, step = command.partition(" && exec ")
    assert set_up.startswith("export PATH=")
    return shlex.split(step)


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
    assert sorted(map(step_of, parsed["dags"][name]["today"])) == commands(name, ds="2024-05-06")


@pytest.mark.parametrize("name", STEPS)
def test_a_run_takes_its_day_from_its_parameters_first(parsed, name):
    assert sorted(map(step_of, parsed["dags"][name]["dated"])) == commands(name, ds="2024-02-03")


@pytest.mark.parametrize("name", STEPS)
def test_a_parameter_that_is_not_a_date_never_reaches_the_shell(parsed, name):
    assert parsed["dags"][name]["refused"] == ["ParamValidationError"] * 3


COMMAND_OF_A_STEP = """
import json, sys
sys.path.insert(0, sys.argv[1])
from airflow.sdk import DAG
from feature_repo.contracts.steps import Step
from operators import tasks_of

with DAG("any"):
    task = tasks_of([Step("look", ("python", "-c", "import sys; print(sys.prefix)"))])["look"]
print("REPORT" + json.dumps(task.bash_command))
"""


def test_a_task_runs_in_this_environment_whatever_the_shell_s_start_up_file_says(tmp_path):
    command = report_of(COMMAND_OF_A_STEP, str(ROOT / "dags"), env=environment(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    (other / "python").write_text("#!/bin/sh\necho another python\n")
    (other / "python").chmod(0o755)
    (tmp_path / "start-up").write_text(f"PATH={other}:$PATH\n")

    environ = os.environ | {"BASH_ENV": str(tmp_path / "start-up")}
    done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == sys.prefix


def test_both_dags_bring_every_user_of_a_lake_into_service(served):
    alias = report_of(READ_ALIAS, str(served.workdir / "milvus.db"), env=served.environ)

    assert alias == {f"u{number:03}": DS for number in range(USERS)}


def test_a_user_of_a_lake_in_service_is_erased_without_a_trace(served, tmp_path):
    shutil.copytree(served.workdir, tmp_path / "work", symlinks=True)
    settings = replace(read_settings(served.environ, tmp_path), workdir=str(tmp_path / "work"))
    assert len(mentions(tmp_path, "u007")) > 10

    with open_index(settings) as index:
        receipt = erase(settings, index, "u007")

    counts = {place.name: place.removed for place in receipt.places}
    assert counts["index"] == 1 and min(counts["online features"], counts["tables"]) > 10
    assert mentions(tmp_path, "u007") == mentions(tmp_path, str(text_key("u007"))) == receipt.left == []
    assert receipt.source_lake == [f"{name}/part-00000.parquet" for name in ("bills", "profiles", "searches")]
    (folder,) = calibrated(tmp_path / "work")
    past, before = (Past.load(each, model=folder.name) for each in (folder, served.workdir / "models" / folder.name))
    assert len(past.units) <= len(before.units)
    assert len(before.users.vectors) - len(past.users.vectors) == counts["calibrations"] > 0
    assert FoundModel.from_pretrained(folder).read_demands(["people who buy tents"], date.fromisoformat(DS))
