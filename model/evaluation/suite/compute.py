"""Fills a folder with the results of all families on one lake; what holds already is never computed again."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from model.baselines.training import NotApplicable
from model.evaluation import results
from model.evaluation.leaks import refuse_late_pairs
from model.evaluation.measures import Candidates, ScenarioMeasures, mean_over, measure, measure_specificity
from model.evaluation.results import Fingerprint, Result, Wanted, digest, digest_files
from model.evaluation.robustness.paraphrases import read_paraphrases
from model.evaluation.scenarios import Scenario, read_hard, read_labels, read_scenarios
from model.evaluation.suite.bench import Answers, Labels, Place, places
from model.evaluation.suite.draw import draw
from model.evaluation.suite.families import FOUND, Family, Row
from model.evaluation.thresholds import fit_rate
from model.recipes import found_default

SCENARIOS = "scenarios"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Lake:
    """A lake's scenarios and labels, and where `found evaluate` left the models and users of each cut-off."""

    name: str
    scenarios: tuple[Scenario, ...]
    fit: Labels
    held_out: Labels
    runs: Path
    data: str
    hard: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The negatives that are marked as hard, by scenario."""
    paraphrases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Its own, by scenario; no method sees them before it is asked."""

    @classmethod
    def open(cls, folder: Path, runs: Path) -> "Lake":
        """Of a lake's folder, by whose name it goes in the tables."""
        labels = folder / SCENARIOS / "labels.parquet"
        fit, held_out = (read_labels(labels, split) for split in ("fit", "eval"))
        documents = folder / SCENARIOS / "scenarios.yaml"
        scenarios = tuple(read_scenarios(documents))
        told = digest_folder(folder), read_hard(labels), read_paraphrases(documents)
        return cls(folder.name, scenarios, fit, held_out, runs, *told)

    @property
    def candidates(self) -> dict[str, Candidates]:
        """What each scenario is measured on."""
        return {
            s.id: Candidates.of(
                f"{self.name}/{s.id}",
                self.held_out[s.id],
                fit_rate=fit_rate(np.array(list(self.fit.get(s.id, {}).values()))),
                hard=self.hard.get(s.id, frozenset()),
            )
            for s in self.scenarios
        }


def pending(lake: Lake, families: Sequence[Family], folder: Path, *, seeds: int) -> list[Wanted]:
    """What `compute` would write."""
    rows = [(family, row, seed) for family in families for row in family.rows for seed in _seeds(family, seeds)]
    return results.pending(folder, [_wanted(lake, *each) for each in rows])


def compute(lake: Lake, families: Sequence[Family], folder: Path, *, seeds: int, say: Say = print) -> None:
    """Writes what is pending of each family and seed; a result is written once all its scenarios are measured.

    Raises FoundError, before anything is computed, where training pairs reach past a scenario's cut-off."""
    refuse_late_pairs(lake.scenarios, lake.runs)
    for seed in range(seeds):
        found = places(lake.scenarios, lake.fit, lake.held_out, lake.runs, seed, lake.hard)
        for family in (family for family in families if seed in _seeds(family, seeds)):
            wanted = {row.name: _wanted(lake, family, row, seed) for row in family.rows}
            if results.pending(folder, list(wanted.values())):
                started = time.monotonic()
                for result in _results(lake, family, found, wanted):
                    results.write(folder, result)
                if family.name == FOUND and not seed:
                    for place in found:
                        draw(lake.name, place, lake.held_out, pictures_of(folder))
                say(f"{lake.name}, seed {seed}: {family.name} {time.monotonic() - started:.0f} s")


def pictures_of(results: Path) -> Path:
    """Where the pictures lie that belong to a folder of results."""
    return results.with_name(f"{results.name}-pictures")


def digest_folder(folder: Path) -> str:
    """Of every file of a lake but hidden ones: its path in the folder and its content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return digest([[str(path.relative_to(folder)), digest_files([path])] for path in files])


def _seeds(family: Family, seeds: int) -> range:
    return range(seeds if family.most_seeds is None else min(seeds, family.most_seeds))


def _wanted(lake: Lake, family: Family, row: Row, seed: int) -> Wanted:
    recipe = found_default().to_dict()
    chosen = {"recipe": recipe, "setup": dict(family.setup)} if family.setup else recipe
    fingerprint = Fingerprint(lake.data, digest_files(family.code), digest(chosen))
    return Wanted(row.name, lake.name, seed, fingerprint)


def _results(lake: Lake, family: Family, found: Sequence[Place], wanted: Mapping[str, Wanted]) -> Iterable[Result]:
    started = time.monotonic()
    try:
        asked = [family.ask(place) for place in found]
    except NotApplicable as error:
        return [Result(what, absent=str(error)) for what in wanted.values()]
    seconds = time.monotonic() - started + sum(map(family.spent, found))
    candidates = lake.candidates
    return [
        _result(lake, candidates, row, wanted[row.name], [answers[row.name] for answers in asked], seconds)
        for row in family.rows
    ]


def _result(
    lake: Lake, candidates: Mapping[str, Candidates], row: Row, what: Wanted, asked: Sequence[Answers], seconds: float
) -> Result:
    scores = {scenario: given for answers in asked for scenario, given in answers.items()}
    measured: dict[str, ScenarioMeasures] = {}
    for scenario, given in scores.items():
        odds = {user: _probability(score) for user, score in given.items()} if row.of_odds else None
        measured[scenario] = measure(candidates[scenario], given, odds)
    specificity, pairs = measure_specificity(_by_cutoff(lake, scores))
    overall = mean_over(measured) | ({"specificity": specificity} if pairs else {})
    return Result(what, seconds, measured, overall)


def _by_cutoff(lake: Lake, scores: Answers) -> list[tuple[Answers, Labels]]:
    groups: dict[date, list[str]] = defaultdict(list)
    for scenario in lake.scenarios:
        groups[scenario.cutoff].append(scenario.id)
    return [({i: scores[i] for i in ids}, {i: lake.held_out[i] for i in ids}) for ids in groups.values()]


def _probability(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(log_odds, -500, 500))))
