"""`found run`: the steps of contracts/steps.py, in order, on one machine."""

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.lake import LAKE_FILE
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import NIGHTLY, TRAINING
from feature_repo.contracts.windows import AUTO_CUTOFFS
from model.recipes import recipe
from serving.plan import Plan, plan, read_report
from serving.processes import environment
from serving.progress import Progress


def run_lake(settings: Settings, *, ds: date | None, ranks: int) -> tuple[Progress, Plan]:
    """Every step of training and of one night on the lake of the settings. Safe to run again."""
    refuse_missing_lake(settings)
    steps = (*TRAINING, *NIGHTLY)
    progress = Progress(len(steps), logs=settings.work.root / "logs")
    progress.run(steps[:1], {}, environment(settings, os.environ))
    chosen = plan(read_report(settings.work), ds=ds, horizon_days=settings.horizon_days)
    print(f"      {chosen.note}")
    planned = replace(settings, horizon_days=chosen.horizon_days)
    progress.run(steps[1:], step_values(chosen.ds, ranks), environment(planned, os.environ))
    return progress, chosen


def refuse_missing_lake(settings: Settings) -> None:
    """Raises FoundError where no lake is named, or a recipe that does not exist: training finds out late."""
    settings.require("lake", "workdir")
    recipe(settings.recipe)
    if not (Path(settings.lake) / LAKE_FILE).is_file():
        raise FoundError(
            f"a lake is a folder with a {LAKE_FILE}, found none in {settings.lake}. "
            "Make one with `found generate --users 5000 --seed 1 --out DIR`; the README describes its tables."
        )


def step_values(ds: date, ranks: int) -> dict[str, str]:
    return {"ds": ds.isoformat(), "until": ds.isoformat(), "cutoffs": AUTO_CUTOFFS, "ranks": str(ranks)}
