"""What the report says of a lake beside its methods' measures: its statistics, leaks that were looked for, how well the
sizes that FOUND expects hold, and how the cheap methods answer other words, conditions and demands that nobody meets.
Each is a note (model/evaluation/notes.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.names import TEXTS
from model.baselines.protocol import Ranker
from model.baselines.registry import method
from model.evaluation import notes
from model.evaluation.leaks import revealing
from model.evaluation.notes import Note
from model.evaluation.results import Fingerprint, digest, digest_files
from model.evaluation.robustness.demands import Topics
from model.evaluation.robustness.measure import Ask, in_other_words, of_nobody, under_conditions
from model.evaluation.sizes import size_told
from model.evaluation.statistics import label_statistics, statistics
from model.evaluation.suite.bench import Place, places
from model.evaluation.suite.compute import Lake
from model.evaluation.suite.families import FOUND, FOUND_CODE, Family
from model.evaluation.suite.sources import sources
from model.evaluation.thresholds import fit_rate
from model.recipes import found_default
from model.rewriting import topics as rewriting
from model.rewriting.lake import know_lake
from model.rewriting.offline import OfflineRewriter
from model.rewriting.rules import Rules

ROBUST = (FOUND, "nearest_texts", "heuristic")
"""The methods that are asked in other words; those that need no training of their own are cheap."""
STATISTICS, LEAKS, SIZES, ROBUSTNESS = "statistics", "leaks", "sizes", "robustness"


@dataclass(frozen=True)
class Task:
    """A note and what computes it."""

    note: Note
    compute: Callable[[], dict[str, Any]]


def notes_of(results: Path) -> Path:
    """Where the notes lie that belong to a folder of results."""
    return results.with_name(f"{results.name}-notes")


def pending_notes(lake: Lake, families: Sequence[Family], results: Path, *, seeds: int) -> list[Note]:
    """What `take_notes` would write."""
    tasks = _tasks(lake, families, seeds)
    return [task.note for task in tasks if not notes.holds(notes_of(results), task.note)]


def take_notes(
    lake: Lake, families: Sequence[Family], results: Path, *, seeds: int, say: Callable[[str], None] = print
) -> None:
    """Writes what is pending; a note is written once it is whole."""
    for task in _tasks(lake, families, seeds):
        if notes.keep(notes_of(results), task.note, task.compute):
            say(f"{lake.name}: note {task.note.name}")


def _tasks(lake: Lake, families: Sequence[Family], seeds: int) -> list[Task]:
    named = {family.name for family in families}
    robust = [
        (name, seed) for seed in range(seeds) for name in ROBUST if name in named and not (seed and name != FOUND)
    ]
    return [
        _task(lake, STATISTICS, (), partial(_statistics, lake)),
        _task(lake, LEAKS, (), partial(_leaks, lake)),
        *(
            _task(lake, f"{SIZES}-{seed}", FOUND_CODE, partial(_sizes, lake, seed))
            for seed in range(seeds if FOUND in named else 0)
        ),
        *(
            _task(lake, f"{ROBUSTNESS}-{name}-{seed}", _code(name), partial(_robustness, lake, name, seed))
            for name, seed in robust
        ),
    ]


def _task(lake: Lake, name: str, code: Sequence[str], compute: Callable[[], dict[str, Any]]) -> Task:
    of_code = digest_files(sources(*code, *_OWN[name.split("-")[0]]))
    return Task(Note(lake.name, name, Fingerprint(lake.data, of_code, digest(found_default().to_dict()))), compute)


_OWN = {
    STATISTICS: ("model.evaluation.statistics",),
    LEAKS: ("model.evaluation.leaks",),
    SIZES: ("model.evaluation.sizes",),
    ROBUSTNESS: ("model.evaluation.robustness.measure", "model.rewriting.offline"),
}


def _code(name: str) -> tuple[str, ...]:
    return FOUND_CODE if name == FOUND else (method(name).fit.__module__, "model.baselines.candidates")


def _places(lake: Lake, seed: int = 0) -> list[Place]:
    return places(lake.scenarios, lake.fit, lake.held_out, lake.runs, seed, lake.hard)


def _statistics(lake: Lake) -> dict[str, Any]:
    found = {place.work.root.name: statistics(place.work, place.scenarios[0].cutoff) for place in _places(lake)}
    return {"runs": found, "scenarios": label_statistics((lake.fit, lake.held_out))}


def _leaks(lake: Lake) -> dict[str, Any]:
    """Of each scenario the columns that give its eval labels away."""
    found: dict[str, Any] = {}
    for place in _places(lake):
        for scenario in place.scenarios:
            labels = lake.held_out[scenario.id]
            rows = np.array([place.row[user] for user in labels])
            columns = {name: values[rows] for name, values in place.columns.items()}
            given = np.array(list(labels.values()))
            profile = place.training.pairs.manifest["profile"]
            shown = revealing(columns, given, profile=profile, texts=_texts(place)) if len(set(given)) == 2 else []
            found[scenario.id] = [{"column": name, "auc": area} for name, area in shown]
    return {"scenarios": found}


def _sizes(lake: Lake, seed: int) -> dict[str, Any]:
    """Of each scenario what its eval users were expected to do, and did."""
    found: dict[str, Any] = {}
    for place in _places(lake, seed):
        model = place.run.model
        for scenario, demand in zip(
            place.scenarios, model.read_demands(place.demands, place.scenarios[0].cutoff), strict=True
        ):
            labels = lake.held_out[scenario.id]
            rows = np.array([place.row[user] for user in labels])
            chance_N = model.probabilities(model.score(place.embedded, demand, place.run.vectors)[rows])
            name = f"{lake.name}/{scenario.id}"
            found[scenario.id] = size_told(name, chance_N, np.array(list(labels.values())), demand.spread or 0.0)
    return {"scenarios": found}


def _robustness(lake: Lake, name: str, seed: int) -> dict[str, Any]:
    found = []
    for place in _places(lake, seed):
        ask = _ask(name, place)
        told: dict[str, Any] = {
            "words": in_other_words(ask, place.scenarios, place.users, lake.held_out, lake.paraphrases)
        }
        if name == FOUND:
            told |= _with_rewriting(lake, place, ask)
        found.append(told)
    return {"places": found}


def _with_rewriting(lake: Lake, place: Place, ask: Ask) -> dict[str, Any]:
    pairs, day, texts = place.training.pairs, place.scenarios[0].cutoff, _texts(place)
    known = know_lake(pairs)
    encoder = place.training.encoder
    rewrite = OfflineRewriter(known, encoder.encode(known.texts), encoder.encoder.encode, day).rewrite
    profile, currency = pairs.manifest["profile"], str(pairs.manifest["currency"])
    every_VE = encoder.encode(list(texts.values()))
    meant = rewriting.Topics(
        np.array(list(texts), np.int64),
        list(texts.values()),
        lambda topic: every_VE @ encoder.encoder.encode([topic])[0],
    )
    rules = Rules(meant, profile=profile, currency=currency)
    topics = Topics(place.columns, texts, [s for s in EVENT_SOURCES if place.columns[f"{s}_length"].any()])
    asked = {s.id: list(topics.conditioned(f"{lake.name}/{s.id}", s.demand)) for s in place.scenarios}
    rates = {s.id: fit_rate(np.array(list(lake.fit[s.id].values()))) for s in place.scenarios}
    conditions = under_conditions(ask, asked, place.users, place.columns, lake.held_out, rates, rules, rewrite)
    return {"conditions": conditions, "nobody": of_nobody(ask, place.scenarios, list(texts.values()), rewrite)}


def _ask(name: str, place: Place) -> Ask:
    if name != FOUND:
        ranker = method(name).fit(place.training)
        assert isinstance(ranker, Ranker)
        return lambda demands: ranker.scores(place.columns, demands)
    model, day = place.run.model, place.scenarios[0].cutoff

    def ask(demands: Sequence[str]) -> "np.ndarray":
        asked = model.read_demands(demands, day)
        return np.stack([model.score(place.embedded, demand, place.run.vectors) for demand in asked], 1)

    return ask


def _texts(place: Place) -> dict[int, str]:
    """The texts of pairs and candidates by key."""
    keys, texts = place.training.pairs.texts()
    found = dict(zip(keys.tolist(), texts, strict=True))
    folder = place.work.partition(TEXTS, place.scenarios[0].cutoff)
    if folder.exists():
        table = pq.read_table(str(folder), columns=["text_key", "text"])
        found |= dict(zip(table["text_key"].to_pylist(), table["text"].to_pylist(), strict=True))
    return found
