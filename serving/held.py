"""All rows of one publication in memory: vectors in one matrix, histories as places in one table of texts, filters'
columns as arrays.

Everybody is then scored here, and nobody is read again. The rows are read from the index itself, page by page, after
the publication is opened, and go with it. A collection that does not fit into the memory allowed is
answered from what was met before (serving/remembered.py), and so is whoever was written into it since.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.bounds import Bounds, Crowd, nearest
from model.placed import Histories, joined
from model.quick_reading import by_row
from serving import held_facts
from serving.audience import Demand, Known, Vectors
from serving.eligibility import Limits
from serving.held_facts import HeldFacts
from serving.history import Having
from serving.index import UserIndex
from serving.remembered import Rows, Users
from serving.rows import Publication

_PAGE = 2_000
_NAME_BYTES = 160
"""What Python takes for a user's id and its place."""
_TEXT_BYTES = 1_600
"""A text that is prepared for demands: 384 features in single precision, its key and its place."""
_COLUMNS = ["user_id", "vector", "text_keys", "text_weights"]


_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_PARTS = max(1, min(8, _CORES - 1))
"""So many parts of everybody are scored at once: a processor is left to what is reckoned beside it."""
A = TypeVar("A")
_SCORING = ThreadPoolExecutor(_PARTS, thread_name_prefix="scoring")


class Held:
    """See Rows; `rest` answers for users who are not among these."""

    def __init__(self, users: Users, facts: HeldFacts, known: Known, rest: Rows) -> None:
        self._users, self._facts, self._known, self._rest = users, facts, known, rest
        self._row = {user: row for row, user in enumerate(users.names)}
        ends = np.linspace(0, len(users.names), _PARTS + 1).astype(int).tolist()
        parts = [(users.vectors[a:b], users.histories.between(a, b)) for a, b in pairwise(ends)]
        self._crowds = list(_SCORING.map(lambda part: Crowd(*part), parts))
        self._having_V = np.sum([crowd.having_V for crowd in self._crowds], axis=0)
        self._weight_V = np.sum([crowd.weight_V for crowd in self._crowds], axis=0)

    @property
    def known(self) -> Known:
        return self._known

    @property
    def everybody(self) -> "Held":
        return self

    @property
    def names(self) -> Sequence[str]:
        return self._users.names

    def of(self, users: Sequence[str]) -> Users:
        try:
            rows = np.fromiter(map(self._row.__getitem__, users), np.int64, len(users))
        except KeyError:
            return self._rest.of(users)
        return Users(list(users), self._users.vectors[rows], self._users.histories.take(rows))

    def between(self, demand: Demand) -> Bounds:
        asked = self._known.nearly(demand)
        near = nearest(asked.near_V, self._having_V, self._weight_V)

        def between(crowd: Crowd) -> Bounds:
            return crowd.bounds(asked, near, by_row(crowd.vector_BM, demand.vector))

        return Bounds.joined(self._each(between))

    def nearly(self, demand: Demand) -> NDArray[np.float64]:
        asked = self._known.nearly(demand)

        def scored(crowd: Crowd) -> NDArray[np.float64]:
            products = by_row(crowd.vector_BM, demand.vector).astype(np.float64)
            return np.asarray(crowd.histories.nearly(asked, products))

        return np.concatenate(self._each(scored))

    def within(self, limits: Limits) -> NDArray[np.int64]:
        meets = self._facts.meet(limits.facts)
        meets[[row for user in limits.without if (row := self._row.get(user)) is not None]] = False
        for one_of in limits.texts:
            meets &= np.any([self._has(having) for having in one_of], axis=0)
        return np.flatnonzero(meets)

    def _each(self, function: Callable[[Crowd], A]) -> list[A]:
        if len(self._crowds) == 1:
            return [function(self._crowds[0])]
        return list(_SCORING.map(function, self._crowds))

    def _has(self, having: Having) -> NDArray[np.bool_]:
        keys = np.array(having.keys, np.int64)
        has = np.concatenate(self._each(lambda crowd: crowd.histories.having(keys)))
        return np.asarray(has != having.negated)


def all_rows(
    index: UserIndex, publication: Publication, *, megabytes: int, stop: threading.Event
) -> tuple[Users, HeldFacts] | None:
    """The collection's users and their columns; None where they need more memory, or are no longer wanted."""
    parts: list[tuple[Users, HeldFacts]] = []
    left = megabytes << 20
    for page in _pages(index, publication):
        if stop.is_set() or left < 0:
            return None
        parts.append(page)
        left -= _bytes(*page)
    if not parts:
        return None
    users = _joined([own for own, _ in parts])
    fits = left >= _TEXT_BYTES * len(users.histories.key_V)
    return (users, held_facts.joined(publication.columns, [own for _, own in parts])) if fits else None


def _bytes(users: Users, facts: HeldFacts) -> int:
    histories = users.histories
    texts = 2 * (histories.place_N.nbytes + histories.weight_N.nbytes)
    return users.vectors.nbytes + texts + facts.nbytes + _NAME_BYTES * len(users.names)


def _pages(index: UserIndex, publication: Publication) -> Iterator[tuple[Users, HeldFacts]]:
    name, columns = publication.collection, publication.columns
    for condition in index.pages(name, _PAGE):
        if rows := index.read(name, condition, [*_COLUMNS, *(column.stored for column in columns)]):
            yield _read(rows), held_facts.of_rows(columns, rows)


def _read(rows: Sequence[Mapping[str, Any]]) -> Users:
    vectors = np.array([row["vector"] for row in rows], np.float32)
    texts = [(np.array(row["text_keys"], np.int64), np.array(row["text_weights"], np.float32)) for row in rows]
    return Users([row["user_id"] for row in rows], vectors, Histories.of(texts))


def _joined(parts: Sequence[Users]) -> Users:
    vectors: Vectors = np.concatenate([part.vectors for part in parts])
    names = [name for part in parts for name in part.names]
    return Users(names, vectors, joined([part.histories for part in parts]))
