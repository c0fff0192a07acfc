"""The rows of one publication as answering needs them, read once and kept in memory.

They are those of the publication, bit by bit, and go with it when another one answers.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.bounds import Bounds
from model.placed import Histories
from serving.audience import Demand, Known, Stored, Vectors
from serving.eligibility import Limits
from serving.expressions import among
from serving.index import UserIndex
from serving.milvus import batches
from serving.rows import Vector, WeightedTexts

_BATCH = 1_000
_COLUMNS = ["user_id", "vector", "text_keys", "text_weights"]
_OBJECTS = 700
"""Bytes that Python takes for a row beside its numbers."""

Row = tuple[Vector, WeightedTexts]


@dataclass(frozen=True)
class Users:
    """Some users, their vectors [B, width] and their histories."""

    names: list[str]
    vectors: Vectors
    histories: Histories

    def stored(self) -> Stored:
        """The same, user by user."""
        each = (self.histories.take(np.array([row])) for row in range(len(self.names)))
        return self.vectors, [(own.key_V[own.place_N], own.weight_N) for own in each]


class Everybody(Protocol):
    """All users of a collection."""

    @property
    def names(self) -> Sequence[str]: ...

    def between(self, demand: Demand) -> Bounds:
        """Between which values the scores of all of them are (model.bounds)."""
        ...

    def nearly(self, demand: Demand) -> NDArray[np.float64]:
        """The scores of all of them but for rounding (model.placed.Histories.nearly)."""
        ...

    def within(self, limits: Limits) -> NDArray[np.int64]:
        """The places among the names of those who are within the limits but for their rules."""
        ...


class Rows(Protocol):
    """Thread-safe. `known` are the texts that histories have, where these are always the same ones."""

    @property
    def known(self) -> Known | None: ...

    @property
    def everybody(self) -> Everybody | None:
        """None where not all users lie in memory."""
        ...

    def of(self, users: Sequence[str]) -> Users:
        """Those users that the collection holds, in this order."""
        ...


class Remembered:
    """What does not fit into so many megabytes is read each time."""

    known: Known | None = None
    everybody: Everybody | None = None

    def __init__(self, index: UserIndex, collection: str, *, megabytes: int) -> None:
        self._index, self._collection = index, collection
        self._left = megabytes << 20
        self._rows: dict[str, Row] = {}
        self._turn = threading.Lock()

    def of(self, users: Sequence[str]) -> Users:
        rows = self._of(users)
        vectors = np.array([vector for vector, _ in rows.values()], np.float32)
        return Users(list(rows), vectors, Histories.of([texts for _, texts in rows.values()]))

    def _of(self, users: Sequence[str]) -> dict[str, Row]:
        known = {user: row for user in users if (row := self._rows.get(user))}
        if len(known) == len(users):
            return known
        read = self._read([user for user in users if user not in known])
        self._keep(read)
        return {user: row for user in users if (row := known.get(user) or read.get(user))}

    def _read(self, users: Sequence[str]) -> dict[str, Row]:
        """Both of a user in one reading: who is searched is scored again at once."""
        found: dict[str, Row] = {}
        for batch in batches(users, _BATCH):
            for row in self._index.read(self._collection, among(batch), _COLUMNS):
                texts = np.array(row["text_keys"], np.int64), np.array(row["text_weights"], np.float32)
                found[row["user_id"]] = np.asarray(row["vector"], np.float32), texts
        return found

    def _keep(self, read: dict[str, Row]) -> None:
        with self._turn:
            for user, (vector, (keys, weights)) in read.items():
                size = vector.nbytes + keys.nbytes + weights.nbytes + _OBJECTS
                if user not in self._rows and size <= self._left:
                    self._left -= size
                    self._rows[user] = vector, (keys, weights)
