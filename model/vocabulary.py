"""What training saw: category values and quantile edges per column of the table, and the words of the texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from feature_repo.contracts.inputs import activity_columns
from model.words import telling_words

MISSING, UNKNOWN, FIRST = 0, 1, 2
"""Ids of a null, of a value that training never saw, and of the first known value."""

NEVER = -1

ACTIVITY = tuple(column.name for column in activity_columns())


@dataclass(frozen=True)
class Vocabulary:
    """Categorical columns hold text keys, numeric ones (the profile's, then activity) ascending edges.

    `activity` are the activity columns that differ among the training pairs: the others say nothing. `words` are
    those that tell the texts apart.
    """

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    activity: tuple[str, ...]
    categories: tuple["np.ndarray", ...]
    edges: tuple["np.ndarray", ...]
    words: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns: categorical, numeric, activity."""
        return (*self.categorical, *self.numeric, *self.activity)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many ids each column has."""
        known = [len(values) for values in self.categories] + [len(edges) + 1 for edges in self.edges]
        return tuple(FIRST + n for n in known)

    def ids(self, columns: Mapping[str, "np.ndarray"]) -> "np.ndarray":
        """int64 [B, F]: the table's cells as ids."""
        cells = [_category_ids(columns["profile_categories"][:, i], values) for i, values in enumerate(self.categories)]
        numbers = [columns["profile_numbers"][:, i] for i in range(len(self.numeric))]
        numbers += [never_as_missing(name, columns[name]) for name in self.activity]
        cells += [_bin_ids(values, edges) for values, edges in zip(numbers, self.edges, strict=True)]
        return np.stack(cells, axis=1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "categorical": list(self.categorical),
            "numeric": list(self.numeric),
            "activity": list(self.activity),
            "categories": [[int(v) for v in values] for values in self.categories],
            "edges": [[float(v) for v in edges] for edges in self.edges],
            "words": list(self.words),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Vocabulary":
        return cls(
            tuple(document["categorical"]),
            tuple(document["numeric"]),
            tuple(document["activity"]),
            tuple(np.asarray(values, np.int64) for values in document["categories"]),
            tuple(np.asarray(values, np.float32) for values in document["edges"]),
            tuple(document["words"]),
        )


def fit_vocabulary(
    columns: Mapping[str, "np.ndarray"],
    *,
    categorical: Sequence[str],
    numeric: Sequence[str],
    bins: int,
    texts: Sequence[str],
) -> Vocabulary:
    """The vocabulary of the training pairs and their distinct texts, at most `bins` quantile bins per number."""
    categories = [_known(columns["profile_categories"][:, i]) for i in range(len(categorical))]
    numbers = [columns["profile_numbers"][:, i] for i in range(len(numeric))]
    activity = tuple(name for name in ACTIVITY if np.ptp(columns[name]) > 0) or ACTIVITY[:1]
    numbers += [never_as_missing(name, columns[name]) for name in activity]
    return Vocabulary(
        tuple(categorical),
        tuple(numeric),
        activity,
        tuple(categories),
        tuple(_quantile_edges(v, bins) for v in numbers),
        telling_words(texts),
    )


def never_as_missing(name: str, values: "np.ndarray") -> "np.ndarray":
    """Recency and tenure of what never happened as NaN."""
    return np.where(values == NEVER, np.nan, values) if is_age(name) else values


def is_age(name: str) -> bool:
    """Is this activity column the age of an event, NEVER where there is none?"""
    return name.endswith(("_recency_days", "_tenure_days"))


def _known(keys: "np.ndarray") -> "np.ndarray":
    return np.unique(keys[keys != 0])


def _category_ids(keys: "np.ndarray", values: "np.ndarray") -> "np.ndarray":
    if not len(values):
        return np.where(keys == 0, MISSING, UNKNOWN)
    places = np.searchsorted(values, keys).clip(max=len(values) - 1)
    return np.where(keys == 0, MISSING, np.where(values[places] == keys, places + FIRST, UNKNOWN))


def _quantile_edges(values: "np.ndarray", bins: int) -> "np.ndarray":
    seen = values[np.isfinite(values)]
    if not len(seen):
        return np.zeros(0, np.float32)
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, bins + 1)[1:-1]).astype(np.float32))
    return edges[edges > seen.min()]


def _bin_ids(values: "np.ndarray", edges: "np.ndarray") -> "np.ndarray":
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right") + FIRST, MISSING)
