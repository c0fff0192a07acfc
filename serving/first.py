"""What to ask of a lake that nobody has asked anything yet: a sentence and seeds taken from the lake itself."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.names import HISTORY, SEARCHES
from feature_repo.contracts.scenarios import LABELS, SCENARIOS, Scenario, read_scenarios
from feature_repo.contracts.settings import ENGLISH, Settings
from model.rewriting.languages import other_language
from serving.texts import read_texts

SEEDS = 5
RECENT_TEXTS = 10
"""A user's newest texts of a source are what was done lately."""
_USERS_READ = 20_000
_COLUMNS = {HISTORY: [f"{source}_text" for source in BEHAVIOUR_SOURCES], SEARCHES: ["searches_text"]}


@dataclass(frozen=True)
class First:
    """A first sentence and first seeds; `origin` says where the seeds come from. No negatives: random ones."""

    demand: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    origin: str


def first_questions(settings: Settings, ds: date) -> First:
    """The lake's first scenario, with labels that were known by `ds`; else what its users do most."""
    scenarios = lake_scenarios(settings)
    known = next((scenario for scenario in scenarios if scenario.ends <= ds), None)
    seeds = _labelled(settings, known) if known else None
    demand = next((scenario.demand for scenario in scenarios if _is_read(scenario.demand, settings)), "")
    if seeds and known:
        positives, negatives = seeds
        return First(demand, positives, negatives, f"seeds: labelled users of the scenario {known.id!r}")
    text, positives = _most_done(settings, ds)
    return First(demand or f"Users interested in {text}", positives, (), f"seeds: users with {text!r} lately")


def lake_scenarios(settings: Settings) -> list[Scenario]:
    """The lake's own list; empty where there is none, or none that can be read: `found validate` says why."""
    path = Path(settings.lake) / SCENARIOS
    try:
        return read_scenarios(path) if settings.lake and path.is_file() else []
    except FoundError:
        return []


def _is_read(demand: str, settings: Settings) -> bool:
    return settings.demand_language.lower() != ENGLISH or not other_language(demand)


def _labelled(settings: Settings, scenario: Scenario) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Labelled users of the scenario's fit split, both kinds; None where a kind is missing."""
    path = Path(settings.lake) / LABELS
    if not path.is_file():
        return None
    fit = [("scenario_id", "=", scenario.id), ("split", "=", "fit"), ("user_id", "!=", "")]
    rows = pq.read_table(path, columns=["user_id", "label"], filters=fit).sort_by("user_id").to_pylist()
    of_label = {label: tuple(r["user_id"] for r in rows if r["label"] == label)[:SEEDS] for label in (0, 1)}
    return (of_label[1], of_label[0]) if of_label[0] and of_label[1] else None


def _most_done(settings: Settings, ds: date) -> tuple[str, tuple[str, ...]]:
    """The recent text that most users share, of those that no more than half of them have, and its users."""
    recent = _recent_texts(settings, ds)
    counts = Counter(key for keys in recent.values() for key in keys)
    if not counts:
        raise FoundError(f"no user of {ds} has any text in the history: there is nothing to make an example of.")
    telling = {key: n for key, n in counts.items() if n <= len(recent) / 2} or counts
    chosen = min(telling, key=lambda key: (-telling[key], key))
    text = read_texts(settings.work, ds).of([chosen]).get(chosen, str(chosen))
    return text, tuple(user for user, keys in recent.items() if chosen in keys)[:SEEDS]


def _recent_texts(settings: Settings, ds: date) -> dict[str, set[int]]:
    """Per user, in the order of user_id, the keys of the newest texts of each source."""
    found: dict[str, set[int]] = {}
    for view, columns in _COLUMNS.items():
        for row in feature_rows(settings, view, ds, columns):
            keys = {key for column in columns for key in (row[column] or [])[:RECENT_TEXTS] if key}
            found.setdefault(row["user_id"], set()).update(keys)
    return dict(sorted(found.items()))


def feature_rows(settings: Settings, view: str, ds: date, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The first users of a view, in the order of its files."""
    read = 0
    for path in sorted(settings.work.partition(view, ds).glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(2048, columns=["user_id", *columns]):
                yield from batch.to_pylist()
                read += batch.num_rows
                if read >= _USERS_READ:
                    return
