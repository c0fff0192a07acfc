"""The exact scan: stored users as Arrow batches in, those who may be in the audience out. No torch, no Spark."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.combining import Whole
from model.scores import Asked

Scoring = Asked | Whole
READ = ("user_id", "vector", "text_keys", "text_weights")
"""What the scan reads of a user; see `Users`."""
SCHEMA = pa.schema([("user_id", pa.string()), ("score", pa.float64())])
NO_SCORE = np.inf
"""Instead of a score that is no finite number. It comes first in every order: the head of a ranking tells."""


def scan(
    batches: Iterable[pa.RecordBatch], *, asked: Scoring, size: int | None, lowest: float = -np.inf
) -> Iterator[pa.RecordBatch]:
    """Users and scores: all the `size` best of these batches that have at least the lowest score, all who are tied with
    the last of them, and few others."""
    best = Best(size, lowest)
    for batch in batches:
        score_B = scores_of(batch, asked)
        kept_B = score_B >= best.raised(score_B)
        if kept_B.any():
            users = batch["user_id"].filter(pa.array(kept_B))
            yield pa.RecordBatch.from_arrays([users, pa.array(score_B[kept_B])], schema=SCHEMA)


def scores_of(batch: pa.RecordBatch, asked: Scoring) -> "np.ndarray":
    """float64 [B]: the users' scores, or NO_SCORE."""
    vectors, keys, weights = (batch[name] for name in READ[1:])
    value_BM = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), len(asked.vector_M))
    length_B = pc.list_value_length(keys).to_numpy(zero_copy_only=False)
    key_N, weight_N = (each.flatten().to_numpy(zero_copy_only=False) for each in (keys, weights))
    score_B = asked.scores(value_BM, key_N, weight_N, length_B)
    return np.where(np.isfinite(score_B), score_B, NO_SCORE)


class Best:
    """Hears scores and knows how high one must be to be among the `size` highest so far; None sets no limit."""

    def __init__(self, size: int | None, lowest: float) -> None:
        self._size, self._lowest = size, lowest
        self._heard = np.zeros(0)
        self._waiting: list[np.ndarray] = []

    def raised(self, score_B: "np.ndarray") -> float:
        """The lowest score that still counts after these, or one a little lower: to look for the `size` highest again
        pays only when as many scores have come since."""
        if self._size is None:
            return self._lowest
        self._waiting.append(score_B[score_B >= self._lowest])
        if sum(map(len, self._waiting)) >= self._size:
            heard = np.concatenate([self._heard, *self._waiting])
            self._heard, self._waiting = np.partition(heard, -self._size)[-self._size :], []
            self._lowest = float(self._heard[0])
        return self._lowest
