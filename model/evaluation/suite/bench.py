"""What a method is asked on one lake with one seed. It sees demands, candidates and fit labels, never eval labels.

Shape suffixes: B users of a place, C scenarios.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from feature_repo.contracts.names import Workdir
from model.baselines.candidates import candidates
from model.baselines.protocol import Scores, Seeds
from model.baselines.training import Training, open_training
from model.data import Columns, open_pairs
from model.evaluation.bootstrap import generator
from model.evaluation.runs import Run, open_run
from model.evaluation.scenarios import Scenario
from model.recipes import found_default
from model.text_cache import CachedEncoder
from model.text_encoder import TextEncoder
from model.vectors import Users

Labels = Mapping[str, Mapping[str, int]]
Answers = Mapping[str, Mapping[str, float]]
"""{scenario: {user: score}}"""

FEW = 5
"""Seeds a side of the few-shot rows (section 5.2.2)."""


@dataclass(frozen=True)
class Place:
    """The scenarios of one cut-off and horizon, and their candidates; all is opened when it is first asked for."""

    work: Workdir
    scenarios: tuple[Scenario, ...]
    users: tuple[str, ...]
    fit: Labels
    seed: int
    hard: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The negatives that the fit split marks as hard, by scenario."""

    @property
    def demands(self) -> list[str]:
        return [scenario.demand for scenario in self.scenarios]

    @cached_property
    def row(self) -> Mapping[str, int]:
        """Of each user among the candidates."""
        return {user: place for place, user in enumerate(self.users)}

    @cached_property
    def run(self) -> Run:
        """The project's own model of this place and seed, and the users that it embedded."""
        return open_run(self.work.seeded(self.seed), self.scenarios[0].cutoff)

    @cached_property
    def embedded(self) -> Users:
        """The candidates by that model."""
        rows = [self.run.place(user) for user in self.users]
        return Users(self.run.users.vectors[rows], [self.run.users.texts[row] for row in rows])

    @cached_property
    def training(self) -> Training:
        """What baselines are fitted on."""
        recipe = found_default()
        encoder = TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
        return open_training(open_pairs(self.work.pairs), CachedEncoder(self.work.text_cache, encoder), self.seed)

    @cached_property
    def columns(self) -> Columns:
        """The candidates' histories, for baselines."""
        return candidates(self.work, self.scenarios[0].cutoff, self.users, self.training.pairs)

    def seeds(self, scenario: Scenario, side: int = 0) -> Seeds:
        """The fit labels of a scenario: all, or `side` drawn ones of each kind (at most half of what there is), the
        same for every method of a seed."""
        known = self.fit[scenario.id]
        rows = np.array([self.row[user] for user in sorted(known)])
        labels = np.array([known[user] for user in sorted(known)])
        if side:
            rng = generator(f"{scenario.id} seeds {self.seed}")
            drawn = [_some(np.flatnonzero(labels == kind), side, rng) for kind in (1, 0)]
            kept = np.concatenate(drawn)
            rows, labels = rows[kept], labels[kept]
        return Seeds(rows, labels)

    def answers(self, score_BC: Scores) -> dict[str, dict[str, float]]:
        """The scores of all candidates by scenario and user."""
        columns = zip(self.scenarios, score_BC.T.tolist(), strict=True)
        return {scenario.id: dict(zip(self.users, column, strict=True)) for scenario, column in columns}


def places(
    scenarios: Sequence[Scenario],
    fit: Labels,
    held_out: Labels,
    runs: Path,
    seed: int,
    hard: Mapping[str, frozenset[str]] | None = None,
) -> list[Place]:
    """The scenarios by cut-off and horizon, each with every user that they label in either split. Of the users that
    labels mark as `hard` a place knows those of the fit split."""
    known = {name: users & fit.get(name, {}).keys() for name, users in (hard or {}).items()}
    by_run: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        by_run.setdefault(scenario.run, []).append(scenario)
    found = []
    for run, members in by_run.items():
        users = {user for s in members for labels in (fit, held_out) for user in labels.get(s.id, {})}
        found.append(Place(Workdir(runs / run), tuple(members), tuple(sorted(users)), fit, seed, known))
    return found


def _some(rows: "np.ndarray", count: int, rng: np.random.Generator) -> "np.ndarray":
    return np.sort(rng.permutation(rows)[: min(count, max(1, len(rows) // 2))])
