"""The texts of many users as places in a table of distinct texts, and a demand that knows how near each of these is.

To look a text up by its key costs more than all the arithmetic on it. Scores are those of model/scores.py, bit by bit.

Shape suffixes: B users, N texts of all these users, V distinct texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from model.scores import Asked


@dataclass(frozen=True)
class Histories:
    """The weighted texts of users, one user after the other: `length_B` each, text `key_V[place_N]` and its weight."""

    key_V: "np.ndarray"
    place_N: "np.ndarray"
    weight_N: "np.ndarray"
    length_B: "np.ndarray"

    @classmethod
    def of(cls, texts: Sequence[tuple["np.ndarray", "np.ndarray"]]) -> "Histories":
        """Those of users of these keys and weights."""
        if not texts:
            return cls(*(np.zeros(0, kind) for kind in (np.int64, np.int32, np.float32, np.int64)))
        key_N, weight_N = (np.concatenate([own[part] for own in texts]) for part in (0, 1))
        key_V, place_N = np.unique(key_N, return_inverse=True)
        return cls(key_V, place_N.astype(np.int32), weight_N, np.array([len(own) for own, _ in texts]))

    def __len__(self) -> int:
        return len(self.length_B)

    def between(self, first: int, end: int) -> "Histories":
        """Those of the users in these rows, over the very same memory."""
        length_B = self.length_B[first:end]
        start = int(self.length_B[:first].sum())
        own = slice(start, start + int(length_B.sum()))
        return Histories(self.key_V, self.place_N[own], self.weight_N[own], length_B)

    def take(self, row_B: "np.ndarray") -> "Histories":
        """Those of these users, in this order."""
        taken = self.weight_BV[row_B]
        return Histories(self.key_V, taken.indices, taken.data, self.length_B[row_B])

    def having(self, key_K: "np.ndarray") -> "np.ndarray":
        """bool [B]: who has a text of one of these keys."""
        is_one_V = np.isin(self.key_V, key_K)
        has_B = np.zeros(len(self), bool)
        has_B[np.searchsorted(np.cumsum(self.length_B), np.flatnonzero(is_one_V[self.place_N]), side="right")] = True
        return has_B

    def scores(self, asked: "Placed", product_B: "np.ndarray") -> "np.ndarray":
        """float64 [B]: the users' scores, from their inner products with the demand's vector."""
        return asked.rescored(product_B, self.place_N, self.weight_N, self.length_B)

    def nearly(self, asked: "Placed", product_B: "np.ndarray") -> "np.ndarray":
        """float64 [B]: the scores but for sums in float32, of all users in one pass of compiled code."""
        if not len(asked.floor_H):
            return product_B
        return asked.of_sums(product_B, (self.weight_BV @ asked.near_V.astype(np.float32)).astype(np.float64))

    def matrix(self, value_N: "np.ndarray") -> csr_array:
        """[B, V]: a value for each text that a user has, over the very memory of the histories."""
        end_B = np.append(0, np.cumsum(self.length_B)).astype(self.place_N.dtype)
        return csr_array((value_N, self.place_N, end_B), shape=(len(self), len(self.key_V)))

    @cached_property
    def weight_BV(self) -> csr_array:
        """[B, V]"""
        return self.matrix(self.weight_N)


def over_one_table(*several: Histories) -> list[Histories]:
    """The same histories, all over the keys that any of them is over."""
    key_V = np.unique(np.concatenate([each.key_V for each in several]))
    places = [np.searchsorted(key_V, each.key_V).astype(np.int32) for each in several]
    return [replace(each, key_V=key_V, place_N=at[each.place_N]) for each, at in zip(several, places, strict=True)]


def joined(several: Sequence[Histories]) -> Histories:
    """The users of the one after those of the other, over one table of keys."""
    parts = over_one_table(*several)
    place_N, weight_N, length_B = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("place_N", "weight_N", "length_B")
    )
    return Histories(parts[0].key_V, place_N, weight_N, length_B)


class Placed(Asked):
    """What is asked of histories over the very same keys: in place of a text's key stands its place among them."""

    @classmethod
    def at(cls, asked: Asked) -> "Placed":
        return cls(**vars(asked))

    def of_sums(self, product_B: "np.ndarray", sum_B: "np.ndarray") -> "np.ndarray":
        """float64 [B]: the scores of users whose texts are near the demand by so much in sum."""
        late_B = np.zeros(len(product_B))
        for gain, floor in zip(self.gain_H.tolist(), self.floor_H.tolist(), strict=True):
            late_B += gain * np.log(floor + sum_B)
        return product_B + self.late_weight * late_B + self.late_bias

    def _near(self, key_N: "np.ndarray") -> "np.ndarray":
        return np.asarray(self.near_V[key_N])
