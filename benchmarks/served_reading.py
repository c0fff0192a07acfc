"""What reading a demand as serving does is worth: filters, rules and single sentences, beside the sentence as written.

    python benchmarks/served_reading.py WORKDIR LAKE [--seeds 3] [--out FILE]

WORKDIR is that of `found evaluate LAKE --seeds 3`: its models never saw the scenarios' windows. Users outside of a
reading's filters and rules are ranked last, all alike. Both readings rank the same eval candidates by the same model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from evaluated import arguments, runs, tell
from numpy.typing import NDArray

from feature_repo.contracts.settings import Settings
from feature_repo.embedding_days import chosen_day
from model.combining import answered
from model.evaluation import ranking
from model.evaluation.bootstrap import weightings
from model.evaluation.runs import Run, open_run
from model.evaluation.scenarios import Scenario
from serving.export import Order, Orders
from serving.question import Question

WRITTEN, SERVED = "as written", "as served"
K = 100
MEASURES = {"auc": ranking.auc_R, f"precision at {K}": lambda found: ranking.precision_at_R(found, K)}
REPLICATES = 500


def scored(run: Run, order: Order) -> NDArray[np.float64]:
    """Every user of the run by an order; those outside of its limits below all others."""
    demands = run.model.read_demands([sentence.text for sentence in order.sentences], run.cutoff)
    each = [run.model.score(run.users, demand, run.vectors) for demand in demands]
    score_U = answered(run.model.probabilities, order.sentences, each)[0]
    if order.among is None:
        return score_U
    within_U = np.zeros(len(score_U), bool)
    within_U[[run.place(user) for user in order.among]] = True
    return np.where(within_U, score_U, score_U.min() - 1)


def of_scenario(run: Run, read: Orders, scenario: Scenario, labels: Mapping[str, int]) -> dict[str, Any]:
    """Each reading's measures: the value, and replicates under the same resamples of the users."""
    question = Question(scenario.demand)
    orders = {WRITTEN: read.read(question, as_written=True), SERVED: read.read(question)}
    rows = [run.place(user) for user in labels]
    label_N = np.array(list(labels.values()))
    weight_RN = weightings(scenario.id, label_N, REPLICATES)
    ranked = {name: ranking.rank(label_N, scored(run, order)[rows], weight_RN) for name, order in orders.items()}
    served = orders[SERVED]
    return {
        "scenario": scenario.id,
        "demand": scenario.demand,
        "read": list(served.told),
        "differs": (served.sentences, served.among) != (orders[WRITTEN].sentences, None),
        "measured": {measure: {name: of(found) for name, found in ranked.items()} for measure, of in MEASURES.items()},
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over scenarios and seeds, and what the served reading adds with its 95 % interval over resampled users."""
    told: dict[str, Any] = {}
    for measure in MEASURES:
        mean = {name: np.mean([row["measured"][measure][name] for row in rows], axis=0) for name in (WRITTEN, SERVED)}
        gain_R = mean[SERVED] - mean[WRITTEN]
        low, high = np.quantile(gain_R[1:], (0.025, 0.975))
        told[measure] = {name: round(float(mean_R[0]), 4) for name, mean_R in mean.items()}
        told[measure]["gain"] = [round(float(x), 4) for x in (gain_R[0], low, high)]
    return told


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        measure: {name: round(float(value_R[0]), 4) for name, value_R in found.items()}
        for measure, found in row["measured"].items()
    }
    return {name: value for name, value in row.items() if name != "measured"} | values


def main() -> None:
    parse = arguments(__doc__)
    parse.add_argument("--seeds", type=int, default=1)
    given = parse.parse_args()
    found, labels = runs(given)
    rows = []
    for seed in range(given.seeds):
        for work, scenarios in found:
            of_seed = work.seeded(seed)
            run = open_run(of_seed, scenarios[0].cutoff)
            read = Orders(Settings(workdir=str(of_seed.root)), chosen_day(of_seed, run.cutoff))
            rows += [of_scenario(run, read, each, labels[each.id]) | {"seed": seed} for each in scenarios]
    differing = [row for row in rows if row["differs"]]
    tell(
        {
            "lake": given.lake.name,
            "seeds": given.seeds,
            "scenarios": len(rows) // given.seeds,
            "read differently": len(differing) // given.seeds,
            "all": summary(rows),
            "those read differently": summary(differing) if differing else None,
            "rows": [shown(row) for row in rows],
        },
        given.out,
        without="rows",
    )


if __name__ == "__main__":
    main()
