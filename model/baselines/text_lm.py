"""A text encoder over what users wrote or did, behind the shared head.

A user is the mean of the frozen encodings of their texts: of searches alone, as the paper's "Text" row (table 4),
or of the rendered history of all sources. Shape suffixes: B users, L history slots, E encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from feature_repo.contracts.events import EVENT_SOURCES
from model.baselines.head import Aligned, align
from model.baselines.training import NotApplicable, Reader, Training, history_keys, in_chunks
from model.blocks import weighted_sum
from model.data import Columns

CHUNK_USERS = 512


@dataclass(frozen=True)
class MeanTexts:
    """[B, E]: the mean of the centred encodings of the texts of these sources, one per event; 0 without any."""

    reader: Reader
    sources: Sequence[str] = EVENT_SOURCES

    def vectors(self, users: Columns) -> "np.ndarray":
        return np.concatenate([self._of(part) for part in in_chunks(users, CHUNK_USERS)])

    def _of(self, users: Columns) -> "np.ndarray":
        key_BL = history_keys(users, self.sources)
        table = self.reader.centred(key_BL)
        user_N, place_N = map(torch.from_numpy, key_BL.nonzero())
        row_N = torch.from_numpy(table.rows(key_BL))[user_N, place_N]
        share_B = 1 / user_N.bincount(minlength=len(key_BL)).clamp(min=1)
        vector_VE = torch.from_numpy(table.vectors)
        return weighted_sum(vector_VE, row_N, share_B[user_N], user_N, len(key_BL)).numpy()


def fit_history(training: Training) -> Aligned:
    return align(training, MeanTexts(training.reader).vectors)


def fit_searches(training: Training) -> Aligned:
    """Raises NotApplicable where nobody searches."""
    if not training.columns["searches_length"].any():
        raise NotApplicable("nobody of this lake's pairs searched: there is no search text to read.")
    return align(training, MeanTexts(training.reader, ("searches",)).vectors)
