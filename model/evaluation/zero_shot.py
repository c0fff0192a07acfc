"""Zero-shot: ranks each scenario's candidates by its sentence alone (section 5.2.1).

What is scored sees a scenario's id, demand, cut-off, horizon and domain, and nothing else.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from model.evaluation.metrics import auc, specificity
from model.evaluation.runs import open_run
from model.evaluation.scenarios import Scenario

MEASURES = ("auc", "mean_auc", "specificity")


def evaluate(
    scenarios: Sequence[Scenario], labels: Mapping[str, Mapping[str, int]], runs: Path, *, seeds: int = 1
) -> dict[str, Any]:
    """The report of all scenarios; `labels` are {scenario: {user: 0 or 1}} of the eval split. A scenario that everybody
    or nobody meets has no AUC (None) and no part in the mean.

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
            value = auc(happened, np.array(list(given.values())))
            report[scenario.id] = {
                "auc": None if math.isnan(value) else value,
                "users": len(happened),
                "base_rate": float(happened.mean()),
            }
    value, pairs = _specificity(scenarios, scores, labels)
    measured = [row["auc"] for row in report.values() if row["auc"] is not None]
    return {
        "mean_auc": float(np.mean(measured)) if measured else None,
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
    run = open_run(work, members[0].cutoff)
    demands = run.model.read_demands([s.demand for s in members], run.cutoff)
    scores = [run.model.score(run.users, demand, run.vectors) for demand in demands]
    return [
        {user: float(score[run.place(user)]) for user in labels[scenario.id]}
        for scenario, score in zip(members, scores, strict=True)
    ]


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


def table(report: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    spread = f"{'sd':>7}" if "seeds" in report else ""
    lines = [f"{'scenario':<24}{'users':>8}{'base rate':>11}{'AUC':>8}{spread}"]
    for name, row in report["scenarios"].items():
        figure = "-" if row["auc"] is None else f"{row['auc']:.3f}"
        apart = f"{row['auc_sd']:>7.3f}" if spread and "auc_sd" in row else ""
        lines.append(f"{name:<24}{row['users']:>8}{row['base_rate']:>11.3f}{figure:>8}{apart}")
    figures = f"mean AUC {_figure(report, 'mean_auc')}, specificity {_figure(report, 'specificity')}"
    seeds = f", {len(report['seeds'])} seeds" if spread else ""
    lines.append(f"{figures} ({report['specificity_pairs']} pairs{seeds})")
    return "\n".join(lines)


def _figure(report: Mapping[str, Any], name: str) -> str:
    value, apart = report[name], report.get(f"{name}_sd")
    return "-" if value is None else f"{value:.3f}" + ("" if apart is None else f" ± {apart:.3f}")
