"""Tasks from the step list that `found run` also runs: a DAG adds only order, day and owner."""

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Param

from feature_repo.contracts.steps import ENVIRONMENT, PROJECT, Step
from feature_repo.contracts.windows import AUTO_CUTOFFS

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

# A run that was triggered without a logical date has none to render: its day is then the day it was asked for.
_DAY = "{{ params.ds or (dag_run.logical_date or dag_run.run_after) | ds }}"
VALUES = {
    "ds": _DAY,
    "cutoffs": "{{ params.cutoffs }}",
    "until": _DAY.replace("params.ds", "params.until or params.ds"),
    "ranks": "{{ params.ranks }}",
}

# The patterns are what keeps a parameter of the REST API from being more than one word of a shell command.
DAY_PARAMS = {
    "ds": Param(
        None,
        type=["null", "string"],
        pattern=f"^{_DATE}$",
        description="The cut-off, 00:00 UTC of this day. Default: the run's logical date, else today.",
    ),
}
TRAINING_PARAMS = DAY_PARAMS | {
    "cutoffs": Param(
        AUTO_CUTOFFS,
        type="string",
        pattern=f"^(auto(:[0-9]+)?|{_DATE}(:{_DATE}:[0-9]+)?)$",
        description="Training cut-offs: auto:COUNT, FROM:TO:STEP in days, or one day.",
    ),
    "until": Param(
        None,
        type=["null", "string"],
        pattern=f"^{_DATE}$",
        description="No training future passes this day. Default: ds.",
    ),
    "ranks": Param(1, type="integer", minimum=1, maximum=64, description="Training processes on this machine."),
}


def dag_arguments(*, hours: int) -> dict[str, Any]:
    """What both DAGs share; `hours` bounds each task.

    Without a start_date a DAG that is switched on waits for its next day, rather than running the last one at once.
    """
    return {
        "catchup": False,
        "max_active_runs": 1,  # two days must not write the same model or collection at once
        "max_active_tasks": 1,  # each task takes the whole machine
        "default_args": {
            "owner": "targeting",
            "retries": 2,
            "retry_delay": timedelta(minutes=1),
            "execution_timeout": timedelta(hours=hours),
        },
        "tags": ["found"],
    }


def tasks_of(steps: Sequence[Step]) -> dict[str, BashOperator]:
    """One task per step; its settings come from the project's found.toml and the FOUND_* of Airflow's own process."""
    tasks: dict[str, BashOperator] = {}
    for step in steps:
        tasks[step.name] = BashOperator(
            task_id=step.name,
            bash_command=_command(step),
            cwd=str(PROJECT),
            env=_environment(),
            append_env=True,
            doc=step.heading,
        )
        for earlier in step.after:
            tasks[earlier] >> tasks[step.name]
    return tasks


def _command(step: Step) -> str:
    """The step in this environment. A worker's bash reads ~/.bashrc, since its stdin is a socket, and what is written
    there may put another python first: so the PATH is set in the command and not beside it."""
    programs = shlex.quote(str(Path(sys.executable).parent))
    return f'export PATH={programs}:"$PATH" && exec {shlex.join(step.argv(VALUES))}'


def _environment() -> dict[str, str]:
    return {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
