"""Are reasons true? Their texts taken out of histories, and compared with what a generated lake knows to be the cause.

    python benchmarks/reasons.py WORKDIR LAKE [--users 20] [--out FILE]

WORKDIR is that of `found evaluate LAKE`. Of each scenario the best users by the sentence, as many as do it, are asked
about; the reasons are the service's own (serving/reasons.py).

- Removal: `--users` of them are embedded again without the events of their reasons, and without as many texts, or
  events, at random. Counts and amounts of the activity view are held.
- Cause (generated lakes only): of those who do it, the users for whom a reason is a text of an event that the
  scenario's intent caused, as the generator tells.
"""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from evaluated import arguments, runs, tell
from removals import removal

from feature_repo.contracts.names import Workdir
from feature_repo.contracts.templates import EVENT_TEMPLATES, event_text, text_key
from model.baselines.candidates import candidates
from model.data import open_pairs
from model.evaluation.runs import Run, open_run
from model.evaluation.scenarios import Scenario
from model.known_texts import KnownTexts
from model.leave_one_out import fitted_gain
from model.placed import Histories
from serving.audience import Ranked
from serving.meeting import Meeting
from serving.question import MOST_EXPLAINED, Asked
from serving.reasons import Reasons
from serving.targeting import FITTED
from serving.texts import read_texts
from spark_jobs.synthetic.people import LAPSE, person
from spark_jobs.synthetic.stories import EVENT_COLUMNS, events

REPLICATES = 2_000
REMOVALS = ("reasons", "random texts", "random events")


class NoTimes:
    """In place of the online store: when a reason happened is not asked here."""

    def events(self, users: Sequence[str]) -> dict[str, list[Any]]:
        return {user: [] for user in users}


@dataclass
class Tally:
    """What was found of each user, by user: a user of several scenarios is one draw of the bootstrap."""

    rows: dict[str, list[tuple[bool, ...]]] = field(default_factory=lambda: defaultdict(list))

    def shares(self, names: Sequence[str]) -> dict[str, Any]:
        """The share of rows in which each holds, with its 95 % interval."""
        if not self.rows:
            return {"rows": 0}
        sums = np.array([np.sum(rows, axis=0, dtype=float) for rows in self.rows.values()])
        counts = np.array([float(len(rows)) for rows in self.rows.values()])
        drawn = np.random.default_rng(0).integers(0, len(counts), (REPLICATES, len(counts)))
        replicates = sums[drawn].sum(1) / counts[drawn].sum(1)[:, None]
        low, high = np.quantile(replicates, (0.025, 0.975), axis=0)
        told = zip(names, sums.sum(0) / counts.sum(), low, high, strict=True)
        found = {name: {"share": round(float(s), 4), "interval": [float(x), float(y)]} for name, s, x, y in told}
        return {"rows": int(counts.sum()), "users": len(counts), **found}


def service(run: Run, work: Workdir) -> Reasons:
    """What finds reasons in the service, without when they happened."""
    chosen = np.random.default_rng(0).permutation(len(run.places))[:FITTED]
    texts = [run.users.texts[row] for row in chosen]
    gain = fitted_gain(run.model, run.vectors, run.users.vectors[chosen], texts)
    return Reasons(read_texts(work, run.cutoff), NoTimes(), gain)  # type: ignore[arg-type]


def explained(told: Reasons, run: Run, demand: Any, users: Sequence[str], score_B: "np.ndarray") -> list[list[int]]:
    """The keys of each user's reasons."""
    places = [run.place(user) for user in users]
    found: dict[str, Any] = {}
    histories = Histories.of([run.users.texts[place] for place in places])
    meeting = Meeting(run.model, run.vectors, [demand], KnownTexts(run.model, run.vectors, histories.key_V))
    own_B = score_B[places]
    ranked = Ranked(list(users), own_B, np.zeros(len(own_B)), own_B[None], histories, np.arange(len(own_B)))
    for start in range(0, len(ranked), MOST_EXPLAINED):
        found |= told.of(ranked[start : start + MOST_EXPLAINED], [Asked("")], meeting)
    return [[text_key(reason.text) for reason in found.get(user, ())] for user in users]


def causes(seed: int, user: str, cutoff: date) -> dict[str, set[int]]:
    """{intent: the texts of the user's events before the cut-off that it caused}, as the generator tells."""
    index = int(user[1:])
    found: dict[str, set[int]] = defaultdict(set)
    for row in events(seed, index, person(seed, index)):
        event = dict(zip(EVENT_COLUMNS, row, strict=True))
        if event["event_time"] < datetime(cutoff.year, cutoff.month, cutoff.day, tzinfo=UTC):
            found[event["intent"] or ""].add(text_key(event_text(EVENT_TEMPLATES[event["source"]], event)))
    return found


def of_run(
    work: Workdir, scenarios: Sequence[Scenario], labels: Mapping[str, Mapping[str, int]], given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One scenario after the other, all of one cut-off."""
    run, pairs = open_run(work, scenarios[0].cutoff), open_pairs(work.pairs)
    seed, told = seed_of(given.lake), service(run, work)
    planted: dict[str, dict[str, set[int]]] = {}
    for scenario in scenarios:
        (demand,) = run.model.read_demands([scenario.demand], run.cutoff)
        score_B = run.model.score(run.users, demand, run.vectors)
        label = labels[scenario.id]
        ranked = sorted((user for user in label if user in run.places), key=lambda u: (-score_B[run.place(u)], u))
        best = ranked[: sum(label.values())]
        keys = explained(told, run, demand, best, score_B)
        g = np.random.default_rng(text_key(scenario.id))
        drawn = np.sort(g.permutation(len(best))[: given.users])
        columns = candidates(work, run.cutoff, [best[at] for at in drawn], pairs)
        drops = removal(run, columns, demand, [keys[at] for at in drawn], g)
        intent = scenario.id.rsplit("_", 1)[0]
        hits = []
        for user, own in zip(best, keys, strict=True):
            if seed is None or intent == LAPSE or not label[user]:
                continue
            if user not in planted:
                planted[user] = causes(seed, user, run.cutoff)
            cause = planted[user].get(intent, set()) & set(run.users.texts[run.place(user)][0].tolist())
            hits.append((user, (bool(cause & set(own)), bool(cause))))
        yield {
            "scenario": scenario.id,
            "asked": len(drawn),
            "unexplained": sum(not keys[at] for at in drawn),
            "drops": [(best[drawn[row]], found) for row, found in drops],
            "causes": hits,
        }


def seed_of(lake: Path) -> int | None:
    """The generator's seed; None where the lake was not generated."""
    source = str(yaml.safe_load((lake / "lake.yaml").read_text()).get("source", ""))
    found = re.fullmatch(r"simulated: \d+ users, seed (\d+)", source)
    return int(found[1]) if found else None


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    lowers, cause, known = Tally(), Tally(), Tally()
    rows = list(rows)
    every = [drops for row in rows for _, drops in row["drops"]]
    for row in rows:
        for user, (own, texts, single) in row["drops"]:
            lowers.rows[user].append((own > texts, own > single, own > 0))
        for user, (hit, there) in row["causes"]:
            cause.rows[user].append((hit,))
            if there:
                known.rows[user].append((hit,))
    named = ("more than random texts", "more than random events", "lowers the score")
    return {
        "asked": sum(row["asked"] for row in rows),
        "unexplained": sum(row["unexplained"] for row in rows),
        "removal": lowers.shares(named) | {"median drop": dict(zip(REMOVALS, median(every), strict=True))},
        "cause": cause.shares(("among the reasons",)),
        "cause, where the history holds it": known.shares(("among the reasons",)),
    }


def median(drops: Sequence[Sequence[float]]) -> list[float]:
    return [round(float(value), 4) for value in np.median(np.array(drops).reshape(-1, len(REMOVALS)), axis=0)]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--users", type=int, default=20, help="of each scenario, to be embedded again")
    given = parser.parse_args()
    by_run, labels = runs(given)
    rows: list[dict[str, Any]] = []
    for work, scenarios in by_run:
        for row in of_run(work, scenarios, labels, given):
            rows.append(row)
            print(row["scenario"], json.dumps(summary([row])), flush=True)
    each = {row["scenario"]: summary([row]) for row in rows}
    found = {"lake": given.lake.name, "users a scenario": given.users, **summary(rows), "scenarios": each}
    tell(found, given.out, without="scenarios")


if __name__ == "__main__":
    main()
