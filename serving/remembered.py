"""The rows of one publication that answering read once, kept in memory: to score a shortlist again costs no reading.

They are those of the publication, bit by bit, and go with it when another one answers.
"""

import threading
from collections.abc import Sequence

from serving.index import UserIndex
from serving.milvus import batches
from serving.rows import Vector, WeightedTexts

_BATCH = 1_000
_OBJECTS = 700
"""Bytes that Python takes for a row beside its numbers."""

Stored = tuple[Vector, WeightedTexts]


class Remembered:
    """Thread-safe. What does not fit into so many megabytes is read each time."""

    def __init__(self, index: UserIndex, collection: str, *, megabytes: int) -> None:
        self._index, self._collection = index, collection
        self._left = megabytes << 20
        self._rows: dict[str, Stored] = {}
        self._turn = threading.Lock()

    def vectors(self, users: Sequence[str]) -> dict[str, Vector]:
        """The vectors of those users that the collection holds."""
        return {user: vector for user, (vector, _) in self._of(users).items()}

    def weighted_texts(self, users: Sequence[str]) -> dict[str, WeightedTexts]:
        """The weighted texts of those users that the collection holds."""
        return {user: texts for user, (_, texts) in self._of(users).items()}

    def _of(self, users: Sequence[str]) -> dict[str, Stored]:
        known = {user: row for user in users if (row := self._rows.get(user))}
        if len(known) == len(users):
            return known
        read = self._read([user for user in users if user not in known])
        self._keep(read)
        return {user: row for user in users if (row := known.get(user) or read.get(user))}

    def _read(self, users: Sequence[str]) -> dict[str, Stored]:
        """Both of a user in one reading: who is searched is scored again at once."""
        vectors: dict[str, Vector] = {}
        texts: dict[str, WeightedTexts] = {}
        for batch in batches(users, _BATCH):
            vectors |= self._index.vectors(self._collection, batch)
            texts |= self._index.weighted_texts(self._collection, batch)
        return {user: (vector, texts[user]) for user, vector in vectors.items() if user in texts}

    def _keep(self, read: dict[str, Stored]) -> None:
        with self._turn:
            for user, (vector, (keys, weights)) in read.items():
                size = vector.nbytes + keys.nbytes + weights.nbytes + _OBJECTS
                if user not in self._rows and size <= self._left:
                    self._left -= size
                    self._rows[user] = vector, (keys, weights)
