"""The mean of the history texts nearest to the sentence, by cosine in the encoder's space.

Shape suffixes: B users, C demands, L history slots, V distinct texts, E encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.baselines.protocol import Scores
from model.baselines.training import Training, history_keys, in_chunks
from model.data import Columns
from model.text_cache import CachedEncoder

NEAREST = 5
FARTHEST = -1.0
"""The score of a user without any text: the least cosine."""
CHUNK_USERS = 2_000


@dataclass(frozen=True)
class NearestTexts:
    """A text that a user has several times counts as often; who has fewer than NEAREST is judged by those."""

    encoder: CachedEncoder

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        table = self.encoder.cache.table().select(history_keys(users))
        query_CE = self.encoder.encoder.encode(demands)
        cosine_VC = table.vectors[1:] @ query_CE.T
        parts = [_nearest(table.rows(history_keys(part)), cosine_VC) for part in in_chunks(users, CHUNK_USERS)]
        return np.concatenate(parts)


def fit(training: Training) -> NearestTexts:
    return NearestTexts(training.encoder)


def _nearest(row_BL: "np.ndarray", cosine_VC: "np.ndarray") -> Scores:
    """[B, C]: the mean of the largest cosines of each row of texts."""
    padded_VC = np.concatenate([np.full((1, cosine_VC.shape[1]), -np.inf, np.float32), cosine_VC])
    slots = min(NEAREST, row_BL.shape[1])
    found = np.empty((len(row_BL), cosine_VC.shape[1]))
    for place, cosine_V in enumerate(padded_VC.T):
        largest_BN = np.partition(cosine_V[row_BL], -slots, axis=1)[:, -slots:].astype(np.float64)
        is_text_BN = np.isfinite(largest_BN)
        total_B = np.where(is_text_BN, largest_BN, 0.0).sum(1)
        found[:, place] = np.where(is_text_BN.any(1), total_B / np.maximum(is_text_BN.sum(1), 1), FARTHEST)
    return found
