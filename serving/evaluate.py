"""`found evaluate`: one model per (cut-off, horizon) of the lake's scenarios and per seed, then one report."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.lake import LAKE_FILE, read_lake
from feature_repo.contracts.names import EMBEDDING, Workdir
from feature_repo.contracts.scenarios import SCENARIOS, read_scenarios, run_folder
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import NIGHTLY, TRAINING, Step
from serving.processes import environment
from serving.progress import Progress
from serving.run import refuse_missing_lake, step_values

DATA = ("pairs", "features")
MODEL = ("stage1", "stage2", "embed")
"""What a sub-run needs: nothing goes online and nothing is published."""
_DONE = "done.json"

QUICK = "found,recency,frequency,nearest_texts,heuristic"
"""The suite's methods that need no training of their own beside FOUND's."""


@dataclass(frozen=True)
class SubRun:
    """One (cut-off, horizon) of the lake's scenarios, trained and embedded as of the cut-off."""

    cutoff: date
    horizon_days: int

    @property
    def folder(self) -> str:
        return run_folder(self.cutoff, self.horizon_days)


@dataclass(frozen=True)
class Suite:
    """Which other methods are compared: families or kinds of them by name, "" for all. `train_lakes` are folders of
    lakes on whose pairs a model is trained for a transfer; `results` is where results are kept, "" for WORKDIR."""

    methods: str = ""
    train_lakes: tuple[str, ...] = ()
    results: str = ""


TRANSFER = "found,nearest_texts,transfer"
"""The methods of an evaluation that names lakes to train on, and no suite."""


def evaluate_lake(
    settings: Settings, *, ranks: int, fresh: bool, seeds: int = 1, suite: Suite | None = None
) -> Progress:
    """Trains and embeds once per (cut-off, horizon) of the scenarios and per seed, then scores all of them, or with
    `suite` compares all of them with other methods.

    A sub-run that is complete for the same lake and settings is kept, unless `fresh`.
    """
    refuse_missing_lake(settings)
    others = [_train_lake(settings, lake) for lake in (suite.train_lakes if suite else ())]
    runs = sub_runs(Path(settings.lake) / SCENARIOS)
    root = settings.work.root / "evaluation"
    started: list[tuple[SubRun, Settings]] = []
    for run in runs:
        data = replace(settings, workdir=str(root / run.folder), horizon_days=run.horizon_days)
        every = [_seeded(data, seed) for seed in range(seeds)]
        started += [(run, sub) for sub in every if fresh or not (_is_done(data) and _is_done(sub))]
    unbuilt = [(run, other) for run, other in others if not _is_done(other)]
    steps = 1 + len(unbuilt) + sum(len(_steps(sub)) for _, sub in started)
    progress = Progress(steps, logs=settings.work.root / "logs" / "evaluation")
    for run, sub in started:
        print(f"{run.folder}: training on futures that end by {run.cutoff}" + f", seed {sub.seed}" * (seeds > 1))
        _prepare(sub, texts=settings.work)
        progress.run(_named(run, sub), step_values(run.cutoff, ranks), environment(sub, os.environ))
        _set_done(sub)
    for run, other in unbuilt:
        _prepare(other, texts=settings.work)
        progress.run([_pairs_of(other)], step_values(run.cutoff, ranks), environment(other, os.environ))
        _set_done(other)
    last = _suite(settings, root, seeds, suite, [o for _, o in others]) if suite else _scoring(settings, root, seeds)
    progress.run([last], {}, environment(settings, os.environ))
    return progress


def _train_lake(settings: Settings, lake: str) -> tuple[SubRun, Settings]:
    """The newest sub-run of another lake, whose pairs are trained on: that of its own evaluation in the work directory
    beside this one, where it is complete with the same settings, else one below this work directory."""
    refuse_missing_lake(replace(settings, lake=lake))
    if Path(lake).resolve() == Path(settings.lake).resolve():
        raise FoundError(f"a transfer trains on other lakes than it is tested on, found {lake} as both: leave it out.")
    run, work, name = sub_runs(Path(lake) / SCENARIOS)[-1], settings.work.root, Path(lake).name
    beside, below = (
        replace(settings, lake=lake, workdir=str(root / "evaluation" / run.folder), horizon_days=run.horizon_days)
        for root in (work.parent / name, work / "train-lakes" / name)
    )
    return run, beside if _is_done(beside) else below


def _pairs_of(other: Settings) -> Step:
    step = next(step for step in TRAINING if step.name == "pairs")
    name = Path(other.lake).name
    return replace(step, name=f"pairs_{name}", heading=f"window histories and futures of {name}, to train on")


def _seeded(sub: Settings, seed: int) -> Settings:
    return replace(sub, seed=seed, workdir=str(sub.work.seeded(seed).root))


def _steps(sub: Settings) -> tuple[str, ...]:
    return MODEL if sub.seed else (*DATA[:1], *MODEL[:2], *DATA[1:], *MODEL[2:])


def _prepare(sub: Settings, *, texts: Workdir) -> None:
    """An empty work directory. It shares the encoded texts, which depend on the encoder and on nothing else, and the
    list of erased users; a seed above 0 shares the data of seed 0."""
    work = sub.work
    shutil.rmtree(work.root, ignore_errors=True)
    work.root.mkdir(parents=True)
    texts.text_cache.mkdir(exist_ok=True)
    work.text_cache.symlink_to(texts.text_cache, target_is_directory=True)
    work.erasure.symlink_to(texts.erasure, target_is_directory=True)
    if sub.seed:
        data = Workdir(work.root.parent)
        work.pairs.symlink_to(data.pairs, target_is_directory=True)
        (work.root / "features").mkdir()
        for path in (data.root / "features").glob("*"):
            if path.name != EMBEDDING:
                (work.root / "features" / path.name).symlink_to(path)


def sub_runs(scenarios: Path) -> list[SubRun]:
    """The distinct (cut-off, horizon) of a scenarios file, oldest first."""
    found = {(scenario.cutoff, scenario.horizon_days) for scenario in read_scenarios(scenarios)}
    return [SubRun(*pair) for pair in sorted(found)]


def _named(run: SubRun, sub: Settings) -> Iterator[Step]:
    steps = {step.name: step for step in (*TRAINING, *NIGHTLY)}
    for name in _steps(sub):
        yield replace(steps[name], name=f"{name}_{run.folder}" + f"_seed-{sub.seed}" * (sub.seed > 0))


def _scoring(settings: Settings, root: Path, seeds: int) -> Step:
    scenarios = (Path(settings.lake) / SCENARIOS).parent
    command = ("python", "-m", "model.evaluation", "--scenarios", str(scenarios), "--seeds", str(seeds))
    return Step(
        "scores",
        (*command, "--runs", str(root), "--out", str(settings.work.evaluation)),
        heading="score every scenario against what happened",
    )


def _suite(settings: Settings, root: Path, seeds: int, suite: Suite, others: Sequence[Settings] = ()) -> Step:
    results = Path(suite.results) if suite.results else settings.work.root / "results"
    chosen = {
        "--methods": suite.methods,
        "--train-lakes": ",".join(other.lake for other in others),
        "--train-pairs": ",".join(str(other.work.pairs) for other in others),
    }
    extra = [word for option, value in chosen.items() if value for word in (option, value)]
    command = ("python", "-m", "model.evaluation.suite", "--lake", settings.lake, "--seeds", str(seeds))
    report = ("--text", str(settings.work.root / "results.md"), "--html", str(settings.work.root / "results.html"))
    return Step(
        "suite",
        (*command, "--runs", str(root), "--results", str(results.absolute()), *report, *extra),
        heading="fit every other method on the same pairs and compare",
    )


def _set_done(sub: Settings) -> None:
    (Path(sub.workdir) / _DONE).write_text(json.dumps({"fingerprint": _fingerprint(sub)}))


def _is_done(sub: Settings) -> bool:
    done = Path(sub.workdir) / _DONE
    try:
        return bool(json.loads(done.read_text())["fingerprint"] == _fingerprint(sub))
    except (OSError, ValueError, KeyError):
        return False


def _fingerprint(settings: Settings) -> str:
    """Of what a model depends on: settings, and the lake's files by name, size and time, wherever its tables lie."""
    lake = read_lake(Path(settings.lake))
    tables = [Path(lake.root) / lake.table(source) for source in lake.sources]
    files = [Path(lake.root) / LAKE_FILE, *tables, *(path for table in tables for path in table.resolve().rglob("*"))]
    seen: list[Any] = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(files) if p.is_file()]
    seen.append(settings.of_model())
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()
