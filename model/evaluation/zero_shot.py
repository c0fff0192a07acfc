"""`python -m model.evaluation.zero_shot`: ranks each scenario's candidates by its sentence alone (section 5.2.1).

What is scored sees a scenario's id, demand, cut-off, horizon and domain, and nothing else.
"""

import argparse
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import EMBEDDING, Workdir
from model import pointers
from model.evaluation.metrics import auc, specificity
from model.found import FoundModel
from model.late import WeightedTexts

MEASURES = ("auc", "mean_auc", "specificity")


@dataclass(frozen=True)
class Scenario:
    """All that a method may see of a scenario."""

    id: str
    demand: str
    cutoff: date
    horizon_days: int
    domain: str

    @property
    def run(self) -> str:
        """The folder of the model trained for this cut-off and horizon."""
        return f"{self.cutoff.isoformat()}_{self.horizon_days}d"


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of a `scenarios.yaml`, stripped of everything that is for reports."""
    try:
        return [
            Scenario(
                str(s["id"]),
                str(s["demand"]),
                date.fromisoformat(str(s["cutoff"])),
                int(s["horizon_days"]),
                str(s.get("domain", "")),
            )
            for s in yaml.safe_load(path.read_text())
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FoundError(f"{path}: each scenario has id, demand, cutoff and horizon_days; found {error!r}.") from error


def evaluate(
    scenarios: Sequence[Scenario], labels: Mapping[str, Mapping[str, int]], runs: Path, *, seeds: int = 1
) -> dict[str, Any]:
    """The report of all scenarios; `labels` are {scenario: {user: 0 or 1}} of the eval split.

    With several seeds each figure is their mean, `*_sd` their standard deviation, and `seeds` holds the single reports.
    """
    if unlabelled := [s.id for s in scenarios if not labels.get(s.id)]:
        raise FoundError(
            f"labels.parquet has no row of split 'eval' for the scenarios {unlabelled}: label them or drop them."
        )
    reports = [_evaluate(scenarios, labels, runs, seed) for seed in range(seeds)]
    return reports[0] if seeds == 1 else _mean(reports) | {"seeds": reports}


def _evaluate(
    scenarios: Sequence[Scenario], labels: Mapping[str, Mapping[str, int]], runs: Path, seed: int
) -> dict[str, Any]:
    report: dict[str, Any] = {}
    scores: dict[str, dict[str, float]] = {}
    by_run: dict[str, list[Scenario]] = defaultdict(list)
    for scenario in scenarios:
        by_run[scenario.run].append(scenario)
    for run, members in by_run.items():
        work = Workdir(runs / run).seeded(seed)
        for scenario, given in zip(members, _scores(members, labels, work), strict=True):
            scores[scenario.id] = given
            happened = np.array(list(labels[scenario.id].values()))
            report[scenario.id] = {
                "auc": auc(happened, np.array(list(given.values()))),
                "users": len(happened),
                "base_rate": float(happened.mean()),
            }
    value, pairs = _specificity(scenarios, scores, labels)
    return {
        "mean_auc": float(np.mean([row["auc"] for row in report.values()])),
        "specificity": None if math.isnan(value) else value,
        "specificity_pairs": pairs,
        "scenarios": report,
    }


def _mean(reports: Sequence[Any]) -> dict[str, Any]:
    """Reports of one shape as one: every measure's mean, and its standard deviation beside it."""
    found: dict[str, Any] = {}
    for name, value in reports[0].items():
        values = [report[name] for report in reports]
        if isinstance(value, Mapping):
            found[name] = _mean(values)
        elif name in MEASURES and value is not None:
            found |= {name: float(np.mean(values)), f"{name}_sd": float(np.std(values, ddof=1))}
        else:
            found[name] = value
    return found


def _scores(
    members: Sequence[Scenario], labels: Mapping[str, Mapping[str, int]], work: Workdir
) -> list[dict[str, float]]:
    """Per scenario {user: score}, in the order of the labels."""
    model = FoundModel.from_pretrained(pointers.current(work.models, missing="run `found evaluate`, which trains it"))
    cutoff = members[0].cutoff
    _refuse_leak(model, cutoff)
    users = _embedded(work, cutoff)
    stranger = model.embed_stranger(cutoff)
    vectors = np.concatenate([users.vectors, stranger.vectors]).astype(np.float64)
    texts = [*users.texts, *stranger.texts]
    encoded = model.text_vectors(work.text_cache)
    found = []
    for scenario, demand in zip(members, model.read_demands([s.demand for s in members], cutoff), strict=True):
        score = model.rescore(vectors @ demand.vector.astype(np.float64), texts, encoded, demand)
        found.append({user: float(score[users.places.get(user, -1)]) for user in labels[scenario.id]})
    return found


def _refuse_leak(model: FoundModel, cutoff: date) -> None:
    windows = model.metadata["windows"]
    reach = timedelta(days=windows["gap_days"] + windows["horizon_days"])
    if late := [t for t in model.metadata["cutoffs"] if date.fromisoformat(t) + reach > cutoff]:
        raise FoundError(
            f"the model was trained on futures that pass the scenario's cut-off {cutoff}: those of the cut-offs {late} "
            f"reach {reach.days} days ahead. Train on earlier ones (build_pairs.py --until {cutoff})."
        )


@dataclass(frozen=True)
class _Embedded:
    """A partition of embeddings: the row of each user, the vectors and the texts by row."""

    places: Mapping[str, int]
    vectors: "np.ndarray"
    texts: list[WeightedTexts]


def _embedded(work: Workdir, cutoff: date) -> _Embedded:
    folder = work.partition(EMBEDDING, cutoff)
    if not folder.exists():
        raise FoundError(f"no embeddings of {cutoff} in {work.root}: run spark_jobs/embed_users.py --ds {cutoff}.")
    columns = ["user_id", "vector", "text_keys", "text_weights"]
    table = pq.read_table(str(folder), columns=columns).combine_chunks()
    vectors, keys, weights = (table[name].combine_chunks() for name in columns[1:])
    return _Embedded(
        {user: i for i, user in enumerate(table["user_id"].to_pylist())},
        vectors.flatten().to_numpy().reshape(len(table), -1),
        list(zip(_arrays(keys), _arrays(weights), strict=True)),
    )


def _arrays(lists: Any) -> list["np.ndarray"]:
    return np.split(lists.flatten().to_numpy(), np.cumsum(lists.value_lengths().to_numpy())[:-1])


def _specificity(
    scenarios: Sequence[Scenario],
    scores: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, Mapping[str, int]],
) -> tuple[float, int]:
    """The mean over all pairs of scenarios that share a cut-off."""
    by_cutoff: dict[date, list[str]] = defaultdict(list)
    for scenario in scenarios:
        by_cutoff[scenario.cutoff].append(scenario.id)
    found = [specificity({i: scores[i] for i in ids}, labels) for ids in by_cutoff.values()]
    pairs = sum(n for _, n in found)
    return (sum(value * n for value, n in found if n) / pairs if pairs else float("nan")), pairs


def read_labels(path: Path, split: str) -> dict[str, dict[str, int]]:
    """{scenario: {user: label}} of one split."""
    labels: dict[str, dict[str, int]] = defaultdict(dict)
    for row in pq.read_table(str(path), filters=[("split", "=", split)]).to_pylist():
        labels[row["scenario_id"]][row["user_id"]] = int(row["label"])
    return labels


def table(report: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    spread = f"{'sd':>7}" if "seeds" in report else ""
    lines = [f"{'scenario':<24}{'users':>8}{'base rate':>11}{'AUC':>8}{spread}"]
    for name, row in report["scenarios"].items():
        apart = f"{row['auc_sd']:>7.3f}" if spread else ""
        lines.append(f"{name:<24}{row['users']:>8}{row['base_rate']:>11.3f}{row['auc']:>8.3f}{apart}")
    figures = f"mean AUC {_figure(report, 'mean_auc')}, specificity {_figure(report, 'specificity')}"
    seeds = f", {len(report['seeds'])} seeds" if spread else ""
    lines.append(f"{figures} ({report['specificity_pairs']} pairs{seeds})")
    return "\n".join(lines)


def _figure(report: Mapping[str, Any], name: str) -> str:
    value, apart = report[name], report.get(f"{name}_sd")
    return "-" if value is None else f"{value:.3f}" + ("" if apart is None else f" ± {apart:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=Path, required=True, help="folder with scenarios.yaml and labels.parquet")
    parser.add_argument("--runs", type=Path, required=True, help="folder of one work directory per CUTOFF_HORIZONd")
    parser.add_argument("--seeds", type=int, default=1, help="seeds above 0 lie in seed-1, seed-2 ... of a run")
    parser.add_argument("--out", type=Path, required=True, help="the JSON report")
    given = parser.parse_args()
    try:
        scenarios = read_scenarios(given.scenarios / "scenarios.yaml")
        labels = read_labels(given.scenarios / "labels.parquet", "eval")
        report = evaluate(scenarios, labels, given.runs, seeds=given.seeds)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    unfinished = given.out.with_name(f".{given.out.name}")
    unfinished.write_text(json.dumps({"zero_shot": report}, indent=1) + "\n")
    os.replace(unfinished, given.out)
    print(table(report))


if __name__ == "__main__":
    main()
