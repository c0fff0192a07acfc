"""Why a user is in an audience: the texts of the user's own history that are nearest to what was asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.texts import TextTable
from serving.user_features import OnlineFeatures

MOST_REASONS = 3
RECENT_TEXTS = 64
"""Only a user's newest distinct texts are compared: what explains a user is what happened lately."""
NEAR_ENOUGH = 0.8
"""A second and third reason must reach this share of the first one's similarity."""

Encoder = Callable[[Mapping[int, str]], NDArray[np.float32]]
"""The unit vectors of texts by key, in the mapping's order."""


@dataclass(frozen=True)
class Reason:
    """A text of the user's history and its cosine to the demand, in the encoder's space."""

    text: str
    similarity: float


class Histories:
    """The recent texts of some users and the vectors of those texts, each encoded once."""

    def __init__(self, users: Sequence[str], features: OnlineFeatures, texts: TextTable, encode: Encoder) -> None:
        keys = {user: found[:RECENT_TEXTS] for user, found in features.text_keys(users).items()}
        by_key = texts.of([key for found in keys.values() for key in found])
        self._texts = {user: [by_key[key] for key in found if key in by_key] for user, found in keys.items()}
        self._row = {text: at for at, text in enumerate(by_key.values())}
        self._vectors = encode(by_key) if by_key else np.zeros((0, 1), dtype=np.float32)

    def mean(self, users: Sequence[str]) -> NDArray[np.float32] | None:
        """The direction of the users' texts together; None where they have none."""
        rows = [self._row[text] for user in users for text in self._texts.get(user, [])]
        return np.asarray(self._vectors[rows].mean(axis=0)) if rows else None

    def reasons(self, towards: NDArray[np.float32]) -> Mapping[str, tuple[Reason, ...]]:
        """Per user the 1 to 3 texts with the highest cosine; none for a user without texts."""
        length = float(np.linalg.norm(towards))
        if not self._row or length == 0.0:
            return {}
        cosines = self._vectors @ (towards / length)
        return {user: _best([(text, float(cosines[self._row[text]])) for text in t]) for user, t in self._texts.items()}


def _best(candidates: list[tuple[str, float]]) -> tuple[Reason, ...]:
    ranked = sorted(candidates, key=lambda c: (-c[1], c[0]))[:MOST_REASONS]
    return tuple(Reason(text, cosine) for text, cosine in ranked if cosine >= NEAR_ENOUGH * ranked[0][1])
