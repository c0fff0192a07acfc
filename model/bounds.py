"""Everybody's scores between bounds, from the few texts that are near a demand. In a model that tells texts apart most
of a history is next to nothing, and to know that it is little it need not be read.

Shape suffixes: B users, V distinct texts, K texts that are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from model.placed import Histories, Placed

READ, FEW = 0.05, 500_000
"""This share of all that users have is read at most, or so many where all is little."""
_PER_OCTAVE = 4
"""Texts are told apart by levels of nearness, so many to a factor of two: sorting them all takes five times as long."""


@dataclass(frozen=True)
class Nearest:
    """The texts that are read and how near these are; `most` and `mean` of the others, the mean by what users have."""

    place_K: "np.ndarray"
    near_K: "np.ndarray"
    most: float
    mean: float


@dataclass(frozen=True)
class Bounds:
    """float32 [B] each: what a user's score is about, and two values between which it is, but for rounding."""

    likely_B: "np.ndarray"
    low_B: "np.ndarray"
    high_B: "np.ndarray"

    @classmethod
    def joined(cls, several: "Sequence[Bounds]") -> "Bounds":
        """Those of the users of the one after those of the other."""
        return cls(*(np.concatenate([getattr(each, name) for each in several]) for name in cls.__annotations__))


class Crowd:
    """Many users: vectors [B, M], and histories read by text."""

    def __init__(self, vector_BM: "np.ndarray", histories: Histories) -> None:
        self.vector_BM, self.histories = vector_BM, histories
        self._weight_VB = csr_array(histories.weight_BV.T.tocsr())
        self._total_B = histories.weight_BV.sum(1, dtype=np.float32)

    @property
    def having_V(self) -> "np.ndarray":
        """How many users have each text."""
        return np.diff(self._weight_VB.indptr)

    @cached_property
    def weight_V(self) -> "np.ndarray":
        """float64: what each text weighs among all users."""
        return np.asarray(self._weight_VB.sum(1, dtype=np.float64))

    def bounds(self, asked: Placed, nearest: Nearest, product_B: "np.ndarray") -> Bounds:
        """From the users' inner products with the demand's vector, float32 [B]."""
        if not len(asked.floor_H):
            return Bounds(product_B, product_B, product_B)
        least_B = nearest.near_K @ self._weight_VB[nearest.place_K]
        most_B = least_B + np.float32(nearest.most) * self._total_B
        likely_B = least_B + np.float32(nearest.mean) * self._total_B
        return Bounds(*_scores(asked, product_B, likely_B, least_B, most_B))


def nearest(near_V: "np.ndarray", having_V: "np.ndarray", weight_V: "np.ndarray") -> Nearest:
    """The nearest texts, no more of them than is read, of users who have them so often and by such weights."""
    near_V = near_V.astype(np.float32)
    if not len(near_V):
        return Nearest(np.zeros(0, np.int64), near_V, 0.0, 0.0)
    octaves_V = -_PER_OCTAVE * np.log2(np.maximum(near_V, np.finfo(np.float32).tiny))
    level_V = (octaves_V - octaves_V.min()).astype(np.int64)
    read = np.cumsum(np.bincount(level_V, weights=having_V)) <= max(FEW, READ * having_V.sum())
    is_read_V = read[level_V]
    other_V = np.where(is_read_V, np.float32(0), near_V)
    weight = float(weight_V[~is_read_V].sum())
    mean = float(other_V @ weight_V) / weight if weight else 0.0
    place_K = np.flatnonzero(is_read_V)
    return Nearest(place_K, near_V[place_K], float(other_V.max(initial=0.0)), mean)


def _scores(
    asked: Placed, product_B: "np.ndarray", likely_B: "np.ndarray", least_B: "np.ndarray", most_B: "np.ndarray"
) -> "tuple[np.ndarray, ...]":
    """Those of sums that are likely, at least and at most so much: at the likely one, the lowest and the highest."""
    scores = tuple(product_B + np.float32(asked.late_bias) for _ in range(3))
    for gain, floor in zip(asked.gain_H.tolist(), asked.floor_H.tolist(), strict=True):
        weight = np.float32(asked.late_weight * gain)
        ends = (least_B, most_B) if weight >= 0 else (most_B, least_B)
        for score_B, sum_B in zip(scores, (likely_B, *ends), strict=True):
            score_B += weight * np.log(np.float32(floor) + sum_B)
    return scores
