"""Few-shot (section 5.2.2): how much seeds of the fit split add to the sentence, on the eval split.

Shape suffixes: N users.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feature_repo.contracts.names import Workdir
from model.evaluation.metrics import auc
from model.evaluation.runs import Run, open_run
from model.evaluation.scenarios import Scenario
from model.few_shot import answer_seeds
from model.vectors import Users

SIZES = (5, 15, 50)
"""Seeds a side; a scenario with fewer labels gives half of what it has."""
DRAWS = 20
POPULATION = 1_000
NORMAL_95 = 1.96

Labels = Mapping[str, Mapping[str, int]]


def evaluate(
    scenarios: Sequence[Scenario], fit: Labels, held_out: Labels, runs: Path, *, draws: int = DRAWS
) -> dict[str, Any]:
    """Per number of seeds a side: the mean gain in AUC over zero-shot and its 95 % interval over the draws, each the
    mean over the scenarios; and the gain of each scenario. Scenarios whose fit labels are of one kind are left
    out."""
    opened: dict[str, Run] = {}
    gains: dict[str, dict[int, list[float]]] = {}
    for number, scenario in enumerate(scenarios):
        if len(set(fit.get(scenario.id, {}).values())) < 2:
            continue
        run = opened.setdefault(scenario.run, open_run(Workdir(runs / scenario.run), scenario.cutoff))
        gains[scenario.id] = _gains(run, scenario, fit[scenario.id], held_out[scenario.id], number, draws)
    return {"draws": draws, "sizes": [_summary(gains, size) for size in SIZES]} if gains else {}


def table(report: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    return "\n".join(
        f"few-shot, {row['seeds']}+{row['seeds']} seeds: mean AUC {row['gain']:+.4f} over zero-shot "
        f"(95 % interval {row['interval'][0]:+.4f} to {row['interval'][1]:+.4f}, {report['draws']} draws)"
        for row in report.get("sizes", [])
    )


def _gains(
    run: Run, scenario: Scenario, fit: Mapping[str, int], held_out: Mapping[str, int], number: int, draws: int
) -> dict[int, list[float]]:
    """Per size the gain of each draw."""
    asked = _some(run.users, [run.place(user) for user in held_out])
    happened_N = np.array(list(held_out.values()))
    (sentence,) = run.model.read_demands([scenario.demand], scenario.cutoff)
    before = auc(happened_N, run.model.score(asked, sentence, run.vectors))
    drawn = np.random.default_rng(0).permutation(len(run.places))[:POPULATION]
    population = _some(run.users, np.sort(drawn).tolist())
    sides = [[run.place(user) for user, label in fit.items() if label == kind] for kind in (1, 0)]
    found: dict[int, list[float]] = {size: [] for size in SIZES}
    for size in SIZES:
        for draw in range(draws):
            rng = np.random.default_rng([number, size, draw])
            near, far = (_some(run.users, _draw(side, size, rng)) for side in sides)
            demand = answer_seeds(run.model, scenario.demand, scenario.cutoff, near, far, population, run.vectors)
            found[size].append(auc(happened_N, run.model.score(asked, demand, run.vectors)) - before)
    return found


def _draw(side: list[int], size: int, rng: np.random.Generator) -> list[int]:
    count = min(size, max(1, len(side) // 2))
    return rng.choice(side, count, replace=False).tolist()


def _some(users: Users, rows: list[int]) -> Users:
    return Users(users.vectors[rows], [users.texts[row] for row in rows])


def _summary(gains: Mapping[str, Mapping[int, list[float]]], size: int) -> dict[str, Any]:
    by_draw = np.mean([found[size] for found in gains.values()], axis=0)
    gain = float(by_draw.mean())
    error = float(by_draw.std(ddof=1) / np.sqrt(len(by_draw))) if len(by_draw) > 1 else float("nan")
    return {
        "seeds": size,
        "gain": gain,
        "standard_error": error,
        "interval": [gain - NORMAL_95 * error, gain + NORMAL_95 * error],
        "scenarios": {name: float(np.mean(found[size])) for name, found in gains.items()},
    }
