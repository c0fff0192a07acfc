"""What the second stage is worth: users ranked by vectors alone, and the best of them ranked again by late interaction.

    python benchmarks/second_stage.py WORKDIR LAKE [--k 100] [--out FILE]

WORKDIR is that of `found evaluate LAKE`: its models never saw the scenarios' windows. Both stages are of one model,
trained together on the same pairs. The shortlist is the best 10 k by the vectors; who is not on it stays below, in its
order. Milliseconds are those of the arithmetic (model.rescore) for a shortlist; what its texts take to be read from the
index is not in them.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from evaluated import arguments, runs, tell

from model.evaluation import ranking
from model.evaluation.bootstrap import weightings
from model.evaluation.metrics import specificity
from model.evaluation.runs import Run, open_run
from model.scores import inner_products

SHORTLIST = 10
STAGES = ("vectors", "shortlist", "everybody")
"""Vectors alone; the best 10 k ranked again; all ranked again, which is what evaluation measures."""
REPLICATES = 500
TIMED = 7


def ranked_again(first_B: "np.ndarray", second_B: "np.ndarray", listed: int) -> "np.ndarray":
    """Scores that order the best `listed` users by the second stage, above all others in the order of the first."""
    order = np.argsort(-first_B, kind="stable")
    best, rest = order[:listed], order[listed:]
    place = np.concatenate([best[np.argsort(-second_B[best], kind="stable")], rest])
    score_B = np.empty(len(order))
    score_B[place] = -np.arange(len(order), dtype=float)
    return score_B


def stages(run: Run, demand: Any, users: Sequence[str], listed: int) -> tuple[dict[str, "np.ndarray"], float]:
    """Per stage the scores of the users, and the milliseconds of ranking the shortlist again."""
    rows = [run.place(user) for user in users]
    texts = [run.users.texts[row] for row in rows]
    first_B = inner_products(run.users.vectors[rows], demand.vector)
    second_B = run.model.rescore(first_B, texts, run.vectors, demand)
    best = np.argsort(-first_B, kind="stable")[:listed]
    own, products, seconds = [texts[at] for at in best], first_B[best], []
    for _ in range(TIMED):
        started = time.perf_counter()
        run.model.rescore(products, own, run.vectors, demand)
        seconds.append(time.perf_counter() - started)
    found = (first_B, ranked_again(first_B, second_B, listed), second_B)
    return dict(zip(STAGES, found, strict=True)), 1e3 * float(np.median(seconds))


def of_scenario(name: str, label_N: "np.ndarray", scores: Mapping[str, "np.ndarray"], k: int) -> dict[str, Any]:
    """AUC and precision at k of each stage: the value, and replicates under the same resamples of the users."""
    weight_RN = weightings(name, label_N, REPLICATES)
    found: dict[str, Any] = {}
    for stage, score_N in scores.items():
        order = ranking.rank(label_N, score_N, weight_RN)
        found[stage] = {"auc": ranking.auc_R(order), "precision": ranking.precision_at_R(order, k)}
    return found


def summary(rows: Sequence[Mapping[str, Any]], k: int) -> dict[str, Any]:
    """Means over scenarios, and what each later stage adds, with its 95 % interval over resampled users."""
    names = {"auc": "auc", "precision": f"precision at {k}"}
    told: dict[str, Any] = {}
    for measure, name in names.items():
        mean = {stage: np.mean([row[stage][measure] for row in rows], axis=0) for stage in STAGES}
        told[name] = {stage: round(float(mean_R[0]), 4) for stage, mean_R in mean.items()}
        for stage in STAGES[1:]:
            gain_R = mean[stage] - mean[STAGES[0]]
            low, high = np.quantile(gain_R[1:], (0.025, 0.975))
            told[name][f"gain of {stage}"] = [round(float(x), 4) for x in (gain_R[0], low, high)]
    return told


def specificities(scored: Mapping[str, Any], labels: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Of vectors alone and of the whole score; a shortlist's are ranks, which are not compared across demands."""
    return {
        stage: round(specificity({name: own[stage] for name, own in scored.items()}, labels)[0], 4)
        for stage in (STAGES[0], STAGES[2])
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--k", type=int, default=100)
    given = parser.parse_args()
    by_run, labels = runs(given)
    rows, times, specific = [], [], []
    for work, scenarios in by_run:
        run = open_run(work, scenarios[0].cutoff)
        scored: dict[str, dict[str, dict[str, float]]] = {}
        for scenario, demand in zip(
            scenarios, run.model.read_demands([s.demand for s in scenarios], run.cutoff), strict=True
        ):
            users = sorted(labels[scenario.id])
            label_N = np.array([labels[scenario.id][user] for user in users])
            scores, milliseconds = stages(run, demand, users, SHORTLIST * given.k)
            scored[scenario.id] = {stage: dict(zip(users, own.tolist(), strict=True)) for stage, own in scores.items()}
            rows.append({"scenario": scenario.id, **of_scenario(scenario.id, label_N, scores, given.k)})
            times.append(milliseconds)
        specific.append(specificities(scored, labels))
    found = {
        "lake": given.lake.name,
        "scenarios": len(rows),
        **summary(rows, given.k),
        "specificity": {
            stage: round(float(np.nanmean([each[stage] for each in specific])), 4) for stage in specific[0]
        },
        "milliseconds": round(float(np.median(times)), 2),
        "each": {row["scenario"]: summary([row], given.k) for row in rows},
    }
    tell(found, given.out, without="each")


if __name__ == "__main__":
    main()
