"""Gradient boosting on counts and text with the scenario's own fit labels: what a data scientist would reach.

Features per user: activity columns, profile columns, the mean vector of the history's texts, and how near the five
nearest of them are to the sentence. Shape suffixes: B users, F features, S seeds.
"""

from dataclasses import dataclass

import numpy as np

from model.baselines.nearest_texts import NearestTexts
from model.baselines.protocol import Scores, Seeds
from model.baselines.text_lm import MeanTexts
from model.baselines.training import Training
from model.data import Columns
from model.vocabulary import Vocabulary, never_as_missing

TREES, LEARNING_RATE, LEAVES, L2 = 150, 0.05, 15, 1.0
LEAF_USERS = 20
"""Labelled users in a leaf, at least; a tenth of them where they are few, else ten seeds would grow no tree."""


@dataclass(frozen=True)
class GradientBoosting:
    """The parts that features are made of; trees are grown for each demand anew."""

    vocabulary: Vocabulary
    texts: MeanTexts
    nearest: NearestTexts
    seed: int

    def seed_scores(self, users: Columns, demand: str, seeds: Seeds) -> Scores:
        """[B]: log odds."""
        from sklearn.ensemble import HistGradientBoostingClassifier  # nothing else here needs scikit-learn

        feature_BF = self.features(users, demand)
        feature_BF = feature_BF[:, np.isfinite(feature_BF[seeds.rows]).any(0)]  # it cannot bin what nobody has
        trees = HistGradientBoostingClassifier(
            max_iter=TREES,
            learning_rate=LEARNING_RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=max(1, min(LEAF_USERS, len(seeds.rows) // 10)),
            l2_regularization=L2,
            random_state=self.seed,
        )
        trees.fit(feature_BF[seeds.rows], seeds.labels)
        return np.asarray(trees.decision_function(feature_BF), np.float64)

    def features(self, users: Columns, demand: str) -> Scores:
        """float64 [B, F]: missing values are NaN."""
        cells = self.vocabulary.ids(users)[:, : len(self.vocabulary.categorical)]
        numbers = users["profile_numbers"][:, : len(self.vocabulary.numeric)]
        counts = np.stack([never_as_missing(name, users[name]) for name in self.vocabulary.activity], 1)
        near = self.nearest.scores(users, [demand])
        return np.concatenate([counts, cells, numbers, self.texts.vectors(users), near], axis=1, dtype=np.float64)


def fit(training: Training) -> GradientBoosting:
    nearest = NearestTexts(training.encoder)
    return GradientBoosting(training.vocabulary, MeanTexts(training.reader), nearest, training.seed)
