"""Who of very many users may score highest, without scoring them: the texts nearest to a demand are followed to the
users whose histories hold them, and all other texts count as much as they do on average.

Shape suffixes: B users, N texts of all these users, V distinct texts, K occurrences of the nearest of them.
"""

import numpy as np

from model.placed import Histories, Placed

NEAREST, FEWEST = 0.02, 64
"""This share of the distinct texts is followed, and at least so many of them (docs/experiments.md, "The shortlist")."""


class Postings:
    """The same histories by text: of each who has it, and with which weight."""

    def __init__(self, histories: Histories) -> None:
        order = np.argsort(histories.place_N, kind="stable")
        user_N = np.repeat(np.arange(len(histories), dtype=np.int32), histories.length_B)
        self._user_N, self._weight_N = user_N[order], histories.weight_N[order]
        self._end_V = np.cumsum(np.bincount(histories.place_N, minlength=len(histories.key_V)))
        self._weight_V = np.bincount(histories.place_N, histories.weight_N, len(histories.key_V))
        self._weight_B = np.bincount(user_N, histories.weight_N, len(histories))

    def estimated(self, asked: Placed, product_B: "np.ndarray") -> "np.ndarray":
        """float64 [B]: nearly the users' scores, from their inner products with the demand's vector."""
        if not len(asked.floor_H):
            return product_B
        sum_B = self._sums(asked.near_V)
        late_B = np.zeros(len(product_B))
        for gain, floor in zip(asked.gain_H.tolist(), asked.floor_H.tolist(), strict=True):
            late_B += gain * np.log(floor + sum_B)
        return product_B + asked.late_weight * late_B + asked.late_bias

    def _sums(self, near_V: "np.ndarray") -> "np.ndarray":
        texts, users = len(near_V), len(self._weight_B)
        followed = min(texts, max(FEWEST, int(NEAREST * texts)))
        place_T = np.argpartition(-near_V, followed - 1)[:followed] if followed else np.zeros(0, np.int64)
        count_T = np.diff(self._end_V, prepend=0)[place_T]
        first_T = np.cumsum(count_T) - count_T
        at_K = np.repeat(self._end_V[place_T] - count_T - first_T, count_T) + np.arange(int(count_T.sum()))
        user_K, weight_K = self._user_N[at_K], self._weight_N[at_K]
        sum_B = np.bincount(user_K, weight_K * np.repeat(near_V[place_T], count_T), users)
        left_B = self._weight_B - np.bincount(user_K, weight_K, users)
        left_V = self._weight_V.copy()
        left_V[place_T] = 0
        mean = float(left_V @ near_V) / max(float(left_V.sum()), 1e-12)
        return np.asarray(sum_B + mean * np.maximum(left_B, 0))
