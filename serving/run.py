"""`found run` and `found evaluate`: the steps of contracts/steps.py, in order, on one machine."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.lake import LAKE_FILE
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import NIGHTLY, TRAINING, Step
from serving.plan import Plan, plan, read_report
from serving.processes import environment
from serving.progress import Progress

CUTOFFS = "auto:16"
EVALUATED = ("pairs", "stage1", "stage2", "features", "embed")
"""What a sub-run of the evaluation needs: nothing goes online and nothing is published."""
_DONE = "done.json"


def run_lake(settings: Settings, *, ds: date | None, ranks: int) -> tuple[Progress, Plan]:
    """Every step of training and of one night on the lake of the settings. Safe to run again."""
    refuse_missing_lake(settings)
    steps = (*TRAINING, *NIGHTLY)
    progress = Progress(len(steps), logs=settings.work.root / "logs")
    progress.run(steps[:1], {}, environment(settings, os.environ))
    chosen = plan(read_report(settings.work), ds=ds, horizon_days=settings.horizon_days)
    print(f"      {chosen.note}")
    planned = replace(settings, horizon_days=chosen.horizon_days)
    progress.run(steps[1:], _values(chosen.ds, ranks), environment(planned, os.environ))
    return progress, chosen


def refuse_missing_lake(settings: Settings) -> None:
    settings.require("lake", "workdir")
    if not (Path(settings.lake) / LAKE_FILE).is_file():
        raise FoundError(
            f"a lake is a folder with a {LAKE_FILE}, found none in {settings.lake}. "
            "Make one with `found generate --users 5000 --seed 1 --out DIR`; the README describes its tables."
        )


@dataclass(frozen=True)
class SubRun:
    """One (cut-off, horizon) of the lake's scenarios, trained and embedded as of the cut-off."""

    cutoff: date
    horizon_days: int

    @property
    def folder(self) -> str:
        return f"{self.cutoff.isoformat()}_{self.horizon_days}d"


def evaluate_lake(settings: Settings, *, ranks: int, fresh: bool) -> Progress:
    """Trains and embeds once per (cut-off, horizon) of the scenarios, then scores all of them.

    A sub-run that is complete for the same lake and settings is kept, unless `fresh`.
    """
    refuse_missing_lake(settings)
    runs = sub_runs(Path(settings.lake) / "scenarios" / "scenarios.yaml")
    root = settings.work.root / "evaluation"
    started = [(run, replace(settings, workdir=str(root / run.folder), horizon_days=run.horizon_days)) for run in runs]
    open_runs = [(run, sub) for run, sub in started if fresh or not _is_done(sub, run)]
    progress = Progress(len(open_runs) * len(EVALUATED) + 1, logs=settings.work.root / "logs" / "evaluation")
    for run, sub in open_runs:
        print(f"{run.folder}: training on futures that end by {run.cutoff}")
        _empty(sub.work, texts=settings.work)
        progress.run(_named(run), _values(run.cutoff, ranks), environment(sub, os.environ))
        (Path(sub.workdir) / _DONE).write_text(json.dumps({"fingerprint": _fingerprint(sub)}))
    progress.run([_scoring(settings, root)], {}, environment(settings, os.environ))
    return progress


def _empty(work: Workdir, *, texts: Workdir) -> None:
    """An empty sub-workdir that shares the encoded texts: they depend on the encoder and on nothing else."""
    shutil.rmtree(work.root, ignore_errors=True)
    work.root.mkdir(parents=True)
    texts.text_cache.mkdir(exist_ok=True)
    work.text_cache.symlink_to(texts.text_cache, target_is_directory=True)


def sub_runs(scenarios: Path) -> list[SubRun]:
    """The distinct (cut-off, horizon) of a scenarios file, oldest first."""
    import yaml

    if not scenarios.is_file():
        raise FoundError(f"an evaluation needs the lake's scenarios, found no {scenarios}.")
    listed = yaml.safe_load(scenarios.read_text())
    try:
        found = {(date.fromisoformat(str(s["cutoff"])), int(s["horizon_days"])) for s in listed}
    except (KeyError, TypeError, ValueError) as error:
        raise FoundError(
            f"{scenarios} must list scenarios with a `cutoff` (a date) and `horizon_days`, it does not: {error!r}."
        ) from error
    return [SubRun(*pair) for pair in sorted(found)]


def _values(ds: date, ranks: int) -> dict[str, str]:
    return {"ds": ds.isoformat(), "until": ds.isoformat(), "cutoffs": CUTOFFS, "ranks": str(ranks)}


def _named(run: SubRun) -> Iterator[Step]:
    steps = {step.name: step for step in (*TRAINING, *NIGHTLY)}
    for name in EVALUATED:
        yield replace(steps[name], name=f"{name}_{run.folder}")


def _scoring(settings: Settings, root: Path) -> Step:
    scenarios = Path(settings.lake) / "scenarios"
    command = ("python", "-m", "model.evaluation.zero_shot", "--scenarios", str(scenarios))
    return Step(
        "zero_shot",
        (*command, "--runs", str(root), "--out", str(settings.work.evaluation)),
        heading="score every scenario against what happened",
    )


def _is_done(settings: Settings, run: SubRun) -> bool:
    done = Path(settings.workdir) / _DONE
    try:
        return bool(json.loads(done.read_text())["fingerprint"] == _fingerprint(settings))
    except (OSError, ValueError, KeyError):
        return False


def _fingerprint(settings: Settings) -> str:
    """Of the settings and of the lake's files, by name, size and time."""
    lake = Path(settings.lake)
    files = sorted(p for p in lake.rglob("*") if p.is_file() and "scenarios" not in p.relative_to(lake).parts)
    seen: list[Any] = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    seen.append(sorted(settings.environment().items()))
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()
