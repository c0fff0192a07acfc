"""The arithmetic of final scores, in numpy alone: the service and the distributed scan give the same bits.

    score(u, q) = u . v(q) + w(q) sum_h gamma_h log(eps_h + sum_i w_i near_i(q)) + b(q)

near_i is what late interaction makes of the cosine of a text and the demand (`model/late.py`). Every sum runs over one
user's (or one text's) own numbers in their own order, never through a matrix product, whose last bits depend on the
neighbours: equal users have equal scores, wherever they lie, and ties are ties.

Shape suffixes: B users, M width of their vectors, N texts of all these users, V distinct texts, E encoder width,
H floors.
"""

from dataclasses import dataclass

import numpy as np

CHUNK = 2_048
"""Rows in float64 at once: they stay in a processor's cache."""
TINY = 1e-12
"""The smallest norm that is divided by, as in torch's normalize."""


@dataclass(frozen=True)
class Asked:
    """What a demand asks of stored users, without the model: its vector, and for late interaction how near each text of
    ascending keys is to it. A model without late interaction has no floors."""

    vector_M: "np.ndarray"
    key_V: "np.ndarray"
    near_V: "np.ndarray"
    gain_H: "np.ndarray"
    floor_H: "np.ndarray"
    late_weight: float
    late_bias: float

    def scores(
        self, vector_BM: "np.ndarray", key_N: "np.ndarray", weight_N: "np.ndarray", length_B: "np.ndarray"
    ) -> "np.ndarray":
        """float64 [B]: the log odds of users of so many texts each."""
        return self.rescored(inner_products(vector_BM, self.vector_M), key_N, weight_N, length_B)

    def rescored(
        self, product_B: "np.ndarray", key_N: "np.ndarray", weight_N: "np.ndarray", length_B: "np.ndarray"
    ) -> "np.ndarray":
        """The scores of users whose inner products with the vector are known. NaN where a text is unknown."""
        if not len(self.floor_H):
            return product_B
        user_N = np.repeat(np.arange(len(product_B)), length_B)
        sum_B = np.bincount(user_N, weights=weight_N * self._near(key_N), minlength=len(product_B))
        late_B = np.zeros(len(product_B))
        for gain, floor in zip(self.gain_H.tolist(), self.floor_H.tolist(), strict=True):
            late_B += gain * np.log(floor + sum_B)
        return product_B + self.late_weight * late_B + self.late_bias

    def _near(self, key_N: "np.ndarray") -> "np.ndarray":
        if not len(self.key_V):
            return np.full(len(key_N), np.nan)
        place_N = np.minimum(np.searchsorted(self.key_V, key_N), len(self.key_V) - 1)
        return np.where(self.key_V[place_N] == key_N, self.near_V[place_N], np.nan)


def inner_products(row_BM: "np.ndarray", vector_M: "np.ndarray") -> "np.ndarray":
    """float64 [B]"""
    wide_M = vector_M.astype(np.float64)
    product_B = np.empty(len(row_BM))
    for start in range(0, len(row_BM), CHUNK):
        part_BM = row_BM[start : start + CHUNK].astype(np.float64)
        product_B[start : start + CHUNK] = (part_BM * wide_M).sum(1)
    return product_B


def cosines(table: "np.ndarray", row_V: "np.ndarray", centre_E: "np.ndarray", unit_E: "np.ndarray") -> "np.ndarray":
    """float64 [V]: of these rows of a table (which may be memory-mapped), seen from the centre, to a unit vector."""
    centre_E, unit_E = centre_E.astype(np.float64), unit_E.astype(np.float64)
    cosine_V = np.empty(len(row_V))
    for start in range(0, len(row_V), CHUNK):
        part_VE = table[row_V[start : start + CHUNK]].astype(np.float64) - centre_E
        norm_V = np.sqrt((part_VE * part_VE).sum(1))
        cosine_V[start : start + CHUNK] = (part_VE * unit_E).sum(1) / np.maximum(norm_V, TINY)
    return cosine_V
