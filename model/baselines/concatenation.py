"""The sources side by side instead of fused by attention (table 4, "Concatenation"): the frozen vectors of CPC,
TabTransformer and the search texts, behind the shared head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.baselines import cpc, tab_transformer
from model.baselines.head import Embed
from model.baselines.text_lm import MeanTexts
from model.baselines.training import Training
from model.data import Columns


@dataclass(frozen=True)
class Concatenation:
    parts: Sequence[Embed]

    def embed(self, users: Columns) -> "np.ndarray":
        return np.concatenate([part(users) for part in self.parts], axis=1)


def pretrained(training: Training) -> Concatenation:
    """The parts that the lake has sources for."""
    parts: list[Embed] = [tab_transformer.pretrained(training).embed]
    if training.sources:
        parts.append(cpc.pretrained(training).embed)
    if training.columns["searches_length"].any():
        parts.append(MeanTexts(training.reader, ("searches",)).vectors)
    return Concatenation(tuple(parts))
