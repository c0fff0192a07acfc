"""Audiences, and what answers need of a model and hold of a user."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from model.calibration.size import Expected
from model.placed import Histories, Placed
from serving.filters import Condition
from serving.question import Asked
from serving.rows import WeightedTexts

Vectors = NDArray[np.float32]


class Demand(Protocol):
    """A sentence as a model reads it."""

    @property
    def vector(self) -> Vectors: ...

    @property
    def late_weight(self) -> float: ...

    @property
    def spread(self) -> float | None: ...


class Known(Protocol):
    """Distinct texts, prepared for demands; see model.known_texts.KnownTexts."""

    @property
    def key_V(self) -> NDArray[np.int64]: ...  # noqa: N802

    def asked(self, demand: Any, place_N: NDArray[np.int32]) -> Placed: ...  # noqa: N803

    def nearly(self, demand: Any) -> Placed: ...

    def hold(self) -> Self: ...

    def products(self, demand: Any, place_N: NDArray[np.int32]) -> NDArray[np.float32]: ...  # noqa: N803


class DemandModel(Protocol):
    """What serving needs of a model; see model.served.ServedModel."""

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    @property
    def version(self) -> str: ...

    def read_demands(self, demands: Sequence[str], day: date) -> Sequence[Demand]: ...

    def uncalibrated(self, demands: Sequence[str], day: date) -> Sequence[Demand]: ...

    def calibrated(self, demands: Sequence[str], asked: Any, day: date) -> Sequence[Demand]: ...

    def hasten(self) -> None: ...

    def text_vectors(self, cache: Path) -> Any: ...

    def known(self, vectors: Any, keys: NDArray[np.int64]) -> "Known": ...

    def embed(self, columns: Mapping[str, Any], texts: Any) -> Any: ...

    def input_hashes(self, columns: Mapping[str, Any]) -> list[str]: ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors: ...

    def probabilities(self, scores: NDArray[Any]) -> NDArray[Any]: ...


Stored = tuple[Vectors, list[WeightedTexts]]
"""What the index holds of some users."""

SeedAnswerer = Callable[..., Demand]
"""`model.few_shot.answer_seeds(model, demand, day, positives, negatives, population, vectors)`, users as Stored."""


@dataclass(frozen=True)
class Ranked:
    """Users in order, with log odds and probabilities; `each` are the log odds of every sentence. `histories` are the
    weighted texts that they come from, which are `rows` of others'."""

    names: list[str]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    each: NDArray[np.float64]
    shared: Histories
    rows: NDArray[np.int64]

    @cached_property
    def histories(self) -> Histories:
        return self.shared.take(self.rows)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, first: slice) -> "Ranked":
        return self.take(np.arange(len(self))[first])

    def take(self, rows: NDArray[np.int64]) -> "Ranked":
        """These of them, in this order."""
        return Ranked(
            [self.names[row] for row in rows.tolist()],
            self.scores[rows],
            self.probabilities[rows],
            self.each[:, rows],
            self.shared,
            self.rows[rows],
        )


@dataclass(frozen=True)
class Reason:
    """A text of the user's history, and how much lower log odds and probability would be without it.

    `source`, `count` and `last_day` (ISO) are of the events with this text that the online store holds.
    """

    text: str
    effect: float
    probability_effect: float
    source: str = ""
    count: int = 0
    last_day: str = ""


@dataclass(frozen=True)
class Trait:
    """A word or a text of histories, the shares of members and of others who have it, and how often more the members
    do: the ratio of the shares, drawn together where few users say so."""

    kind: str
    said: str
    members: float
    others: float
    lift: float


@dataclass(slots=True)
class Member:
    """Not frozen: a thousand of them are made for an answer, in a third of the time."""

    user_id: str
    score: float
    probability: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class History:
    """A rule over what users did, with the first texts that it is about, and how many there are."""

    rule: str
    texts: tuple[str, ...]
    all_texts: int


@dataclass(frozen=True)
class Rewritten:
    """How the demand was read: what the model was asked, its conditions in words, the rules over histories, what was
    not understood."""

    sentences: tuple[Asked, ...] = ()
    conditions: tuple[str, ...] = ()
    history: tuple[History, ...] = ()
    not_understood: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audience:
    """The users, best first, and what answered. `negatives` are the seeds that were drawn, if any were.

    `filters` are those of the question and of the demand's words; `default_filters` apply to every question. `expected`
    says how many users of the whole index will do it; None for seeds, for several sentences, with filters or rules, and
    where the model is not calibrated. `why` is what the members did more than other users.
    """

    users: tuple[Member, ...]
    demand: str
    model_version: str
    collection: str
    ds: str
    template_version: int
    negatives: tuple[str, ...] = ()
    rewritten: Rewritten = Rewritten()
    conditions: tuple[dict[str, Any], ...] = ()
    filters: tuple[Condition, ...] = ()
    default_filters: tuple[Condition, ...] = ()
    expected: Expected | None = None
    why: tuple[Trait, ...] = ()


@dataclass(frozen=True)
class Decile:
    """A tenth of an audience, best first: how many users, and how many of them will probably do it."""

    users: int
    mean_probability: float
    expected: float


@dataclass(frozen=True)
class CurvePoint:
    """The audience of the first `size` users: the last one's probability, how many of them will do it, and an interval
    of 80 %."""

    size: int
    probability: float
    expected: float
    low: int
    high: int


@dataclass(frozen=True)
class Preview:
    """An audience before it is made. `eligible` users meet the filters; where `eligible_is_upper_bound`, rules over
    single events leave fewer. The interval is the precision's, 95 %, if the probabilities hold."""

    audience: Audience
    """With a sample of its users alone."""
    size: int
    eligible: int
    eligible_is_upper_bound: bool
    expected_precision: float
    expected_precision_interval: tuple[float, float]
    deciles: tuple[Decile, ...]
    curve: tuple[CurvePoint, ...]
