"""Linear probe (section 5.2.3): logistic regression on frozen user vectors with the fit labels.

Shape suffixes: B users, D width, S labelled users.
"""

import numpy as np

from model.baselines.protocol import Scores, Seeds

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the ridge penalty to choose from, by cross-validation on the labelled users."""
FOLDS = 5


def probe(vector_BD: "np.ndarray", seeds: Seeds, seed: int) -> Scores:
    """[B]: log odds. Vectors are standardised first; with less than FOLDS labels of a kind the middle strength is
    taken."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    vector_BD = np.asarray(vector_BD, np.float64)
    unit_BD = (vector_BD - vector_BD.mean(0)) / np.maximum(vector_BD.std(0), 1e-6)
    model = LogisticRegression(C=STRENGTHS[len(STRENGTHS) // 2], max_iter=500)
    if min(np.bincount(seeds.labels, minlength=2)) >= FOLDS:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"C": STRENGTHS}, scoring="neg_log_loss", cv=folds)
    model.fit(unit_BD[seeds.rows], seeds.labels)
    return np.asarray(model.decision_function(unit_BD), np.float64)
