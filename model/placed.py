"""The texts of many users as places in a table of distinct texts, and a demand that knows how near each of these is.

To look a text up by its key costs more than all the arithmetic on it. Scores are those of model/scores.py, bit by bit.

Shape suffixes: B users, N texts of all these users, V distinct texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

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

    @cached_property
    def _start_B(self) -> "np.ndarray":
        return np.cumsum(self.length_B) - self.length_B

    def take(self, row_B: "np.ndarray") -> "Histories":
        """Those of these users, in this order."""
        length_B = self.length_B[row_B]
        first_B = np.cumsum(length_B) - length_B
        at_N = np.repeat(self._start_B[row_B] - first_B, length_B) + np.arange(int(length_B.sum()))
        return Histories(self.key_V, self.place_N[at_N], self.weight_N[at_N], length_B)

    def scores(self, asked: "Placed", product_B: "np.ndarray") -> "np.ndarray":
        """float64 [B]: the users' scores, from their inner products with the demand's vector."""
        return asked.rescored(product_B, self.place_N, self.weight_N, self.length_B)


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

    def _near(self, key_N: "np.ndarray") -> "np.ndarray":
        return np.asarray(self.near_V[key_N])
