"""A family is what is fitted once and fills several rows: zero-shot, with a few seeds, with the fit labels, and the
random twin that a learned method must beat."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from feature_repo.contracts.names import Workdir
from model import pointers
from model.baselines.protocol import LOG_ODDS, Embedder, Method, Ranker, Scores, SeedRanker, Seeds, answers
from model.baselines.registry import METHODS
from model.calibration.line import fit_line
from model.evaluation.suite.bench import FEW, Answers, Place
from model.evaluation.suite.hard import hard_seeds
from model.evaluation.suite.probe import probe
from model.evaluation.suite.sources import sources
from model.few_shot import answer_seeds
from model.records import RECORD
from model.vectors import Demand, Users

ZERO_SHOT, FEW_SHOT, ALL_LABELS = "the sentence alone", f"{FEW}+{FEW} seeds", "all fit labels"
FOUND = "found"
METHODS_KIND = "methods"
FEW_SUFFIX, ALL_SUFFIX, PROBE_SUFFIX, TWIN_SUFFIX = "+few", "+fit", "+probe", "-random"
HARD_SUFFIX = "+hard"
POPULATION = 1_000
PROBE = "model.evaluation.suite.probe"
FOUND_CODE = ("model.train", "model.few_shot", "model.evaluation.runs", PROBE)
BASELINE_CODE = ("model.baselines.head", "model.baselines.candidates", PROBE)


@dataclass(frozen=True)
class Row:
    """One line of the tables. `of_odds`: its scores are log odds over users like the candidates."""

    name: str
    title: str
    group: str
    of_odds: bool
    twin: str | None = None
    shown: bool = True


@dataclass(frozen=True)
class Family:
    """`ask` gives the answers of each row in one place; `code` is what they depend on, and `setup` where the code
    serves several families. `spent` are the seconds of a place's training that `ask` finds done. Families of one `kind`
    may be named together; of some at most `most_seeds` are asked."""

    name: str
    rows: tuple[Row, ...]
    ask: Callable[[Place], Mapping[str, Answers]] = field(repr=False)
    code: tuple[Path, ...] = field(repr=False)
    setup: Mapping[str, Any] = field(default_factory=dict, repr=False)
    spent: Callable[[Place], float] = field(default=lambda _: 0.0, repr=False)
    kind: str = METHODS_KIND
    most_seeds: int | None = None


def families() -> list[Family]:
    """FOUND, then every baseline in the order of the registry."""
    return [_found(), *map(_baseline, METHODS)]


def _found() -> Family:
    rows = (
        Row(FOUND, "FOUND", ZERO_SHOT, of_odds=True),
        Row(FOUND + FEW_SUFFIX, "FOUND", FEW_SHOT, of_odds=True),
        Row(FOUND + HARD_SUFFIX, "FOUND, hard negatives", FEW_SHOT, of_odds=True),
        Row(FOUND + ALL_SUFFIX, "FOUND, sentence corrected by the labels", ALL_LABELS, of_odds=True),
        Row(FOUND + PROBE_SUFFIX, "FOUND, linear probe of its vectors", ALL_LABELS, of_odds=True),
    )
    return Family(
        FOUND, rows, _ask_found, sources(*FOUND_CODE), spent=lambda place: training_seconds(place.work, place.seed)
    )


def _ask_found(place: Place) -> dict[str, Answers]:
    model, users, vectors = place.run.model, place.embedded, place.run.vectors
    asked = {
        FOUND: model.read_demands(place.demands, place.scenarios[0].cutoff),
        FOUND + FEW_SUFFIX: demands_with_seeds(place, FEW),
        FOUND + ALL_SUFFIX: demands_with_labels(place),
    }
    scores = {
        name: np.stack([model.score(users, demand, vectors) for demand in given], 1) for name, given in asked.items()
    }
    hard = [hard_seeds(place, *each) for each in zip(place.scenarios, scores[FOUND].T, strict=True)]
    scores[FOUND + HARD_SUFFIX] = np.stack(
        [model.score(users, demand, vectors) for demand in demands_of(place, hard)], 1
    )
    scores[FOUND + PROBE_SUFFIX] = _probed(users.vectors, place)
    return {name: place.answers(score_BC) for name, score_BC in scores.items()}


def training_seconds(work: Workdir, seed: int) -> float:
    """What both stages of the project's own model took, by its records."""
    models = work.seeded(seed).models
    folders = [
        pointers.current(folder, missing="run `found evaluate`, which trains it")
        for folder in (models / "stage1", models)
    ]
    return float(sum(json.loads((folder / RECORD).read_text())["seconds"] for folder in folders))


def demands_with_seeds(place: Place, side: int = 0) -> list[Demand]:
    """Each scenario's demand as FOUND corrects it by `side` fit labels of each kind, or by all."""
    return demands_of(place, [place.seeds(scenario, side) for scenario in place.scenarios])


def demands_of(place: Place, given: Sequence[Seeds]) -> list[Demand]:
    """Each scenario's demand as FOUND corrects it by these seeds."""
    rows = np.sort(np.random.default_rng(place.seed).permutation(len(place.users))[:POPULATION])
    population = _these(place.embedded, rows)
    found = []
    for scenario, seeds in zip(place.scenarios, given, strict=True):
        near, far = (_these(place.embedded, seeds.rows[seeds.labels == kind]) for kind in (1, 0))
        found.append(
            answer_seeds(place.run.model, scenario.demand, scenario.cutoff, near, far, population, place.run.vectors)
        )
    return found


def demands_with_labels(place: Place) -> list[Demand]:
    """Each scenario's demand as all its fit labels correct it. These are a sample of the candidates and so say how many
    do it as well: the line of the log odds is fitted to them."""
    found = []
    for scenario, demand in zip(place.scenarios, demands_with_seeds(place), strict=True):
        seeds = place.seeds(scenario)
        score_S = place.run.model.score(_these(place.embedded, seeds.rows), demand, place.run.vectors)
        found.append(demand.moved(fit_line(score_S, seeds.labels)))
    return found


def _these(users: Users, rows: "np.ndarray") -> Users:
    return Users(users.vectors[rows], [users.texts[row] for row in rows])


def _baseline(method: Method) -> Family:
    of_odds = method.gives == LOG_ODDS
    rows: tuple[Row, ...]
    if method.needs_seeds:
        rows = (
            Row(method.name + FEW_SUFFIX, method.title, FEW_SHOT, of_odds=False),
            Row(method.name + ALL_SUFFIX, method.title, ALL_LABELS, of_odds=of_odds),
        )
    else:
        twin = method.name + TWIN_SUFFIX if method.learns else None
        rows = (Row(method.name, method.title, ZERO_SHOT, of_odds, twin),)
        if twin:
            rows += (
                Row(twin, f"{method.title}, random weights", ZERO_SHOT, of_odds, shown=False),
                Row(method.name + PROBE_SUFFIX, f"{method.title}, linear probe", ALL_LABELS, of_odds=True),
            )
    return Family(
        method.name, rows, lambda place: _ask_baseline(method, place), sources(method.fit.__module__, *BASELINE_CODE)
    )


def _ask_baseline(method: Method, place: Place) -> dict[str, Answers]:
    ranker = method.fit(place.training)
    if method.needs_seeds:
        found = {
            method.name + FEW_SUFFIX: _answered(ranker, place, [place.seeds(s, FEW) for s in place.scenarios]),
            method.name + ALL_SUFFIX: _answered(ranker, place, [place.seeds(s) for s in place.scenarios]),
        }
    else:
        found = {method.name: _answered(ranker, place)}
        if method.learns:
            found[method.name + TWIN_SUFFIX] = _answered(method.twin(place.training), place)
            assert isinstance(ranker, Embedder)
            found[method.name + PROBE_SUFFIX] = _probed(ranker.vectors(place.columns), place)
    return {name: place.answers(score_BC) for name, score_BC in found.items()}


def _answered(ranker: Ranker | SeedRanker, place: Place, seeds: Sequence[Seeds] = ()) -> Scores:
    return answers(ranker, place.columns, place.demands, seeds)


def _probed(vector_BD: "np.ndarray", place: Place) -> Scores:
    return np.stack([probe(vector_BD, place.seeds(s), place.seed) for s in place.scenarios], 1)
