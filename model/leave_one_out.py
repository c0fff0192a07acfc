"""What each text of a history adds to a score: the score with it, less the score without it.

    late_i = w(q) sum_h gamma_h [log(eps_h + S) - log(eps_h + S - w_i near_i)],   S = sum_i w_i near_i
    vector_i = g (m - m_i) . v(q),   m and m_i the means of the text vectors by w_i, with and without text i

The first is exact (model/scores.py). The second is an estimate: the text part of a user's vector is an attention over
the same texts beside a correction (model/user_tower.py), whose weights are not kept; it is taken to be g times the mean
by the weights that are, g fitted over users by least squares. To do without it is to embed the user again without each
text; benchmarks/reasons.py does, and compares.

Shape suffixes: B users, N texts of all these users, V distinct texts, E encoder width, M width of the text part.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model.scores import Asked

if TYPE_CHECKING:
    from model.late import WeightedTexts


def late_drops(asked: Asked, place_N: "np.ndarray", weight_N: "np.ndarray", length_B: "np.ndarray") -> "np.ndarray":
    """float64 [N]: how much late interaction falls without each text, which is at such a place among the asked keys."""
    if not len(asked.floor_H) or not len(place_N):
        return np.zeros(len(place_N))
    part_N = weight_N * asked.near_V[place_N]
    sum_N = _summed(part_N, length_B)
    rest_N = np.maximum(sum_N - part_N, 0.0)
    drop_N = np.zeros(len(place_N))
    for gain, floor in zip(asked.gain_H.tolist(), asked.floor_H.tolist(), strict=True):
        drop_N += gain * (np.log(floor + sum_N) - np.log(floor + rest_N))
    return asked.late_weight * drop_N


def mean_drops(product_N: "np.ndarray", weight_N: "np.ndarray", length_B: "np.ndarray") -> "np.ndarray":
    """float64 [N]: how much the users' weighted means of the products fall without each text; that of no text is 0."""
    weight_N = weight_N.astype(np.float64)
    total_N, sum_N = _summed(weight_N, length_B), _summed(weight_N * product_N, length_B)
    rest_N = total_N - weight_N
    without_N = np.divide(
        sum_N - weight_N * product_N, rest_N, out=np.zeros(len(rest_N)), where=rest_N > 1e-6 * total_N
    )
    return sum_N / np.maximum(total_N, 1e-12) - without_N


def fitted_gain(model: Any, vectors: Any, users: "np.ndarray", texts: "Sequence[WeightedTexts]") -> float:
    """g, from the vectors of some users and their weighted texts; 0 where there is nothing to fit it to."""
    known = [row for row, (key, _) in enumerate(texts) if len(key)]
    if model.recipe.embedding or len(known) < 2:
        return 0.0
    centre_E, mean_BE = centre_of(model), []
    for row in known:
        key, weight = texts[row]
        text_NE = vectors.vectors[vectors.rows(key)].astype(np.float64) - centre_E
        text_NE /= np.maximum(np.linalg.norm(text_NE, axis=1, keepdims=True), 1e-12)
        mean_BE.append(np.average(text_NE, axis=0, weights=weight))
    mean_BM = np.stack(mean_BE) @ axes_of(model).T
    mean_BM -= mean_BM.mean(0)
    part_BM = users[known, 1:-1].astype(np.float64)
    spread = float((mean_BM * mean_BM).sum())
    return float((mean_BM * (part_BM - part_BM.mean(0))).sum()) / spread if spread > 0 else 0.0


def axes_of(model: Any) -> "np.ndarray":
    """float64 [M, E]: what turns a text into the space of the users' text parts."""
    return np.asarray(model.text.space.axes_EE.double().cpu().numpy()[: model.recipe.served or None])


def centre_of(model: Any) -> "np.ndarray":
    """float64 [E]: the centre of the lake's texts."""
    return np.asarray(model.text.space.centre_E.double().cpu().numpy())


def _summed(value_N: "np.ndarray", length_B: "np.ndarray") -> "np.ndarray":
    """[N]: the sum over the texts of each text's user."""
    user_N = np.repeat(np.arange(len(length_B)), length_B)
    return np.asarray(np.bincount(user_N, weights=value_N, minlength=len(length_B))[user_N])
