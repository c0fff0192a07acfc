"""What each text of a history adds to a score: the score with it, less the score without it.

    drop_i = w(q) sum_h gamma_h [log(eps_h + S) - log(eps_h + S - w_i near_i)],   S = sum_i w_i near_i

This is exact for late interaction (model/scores.py). The user's vector stays what it is: it is an attention over the
same texts, so to take a text out of it is to embed the user again (benchmarks/reasons.py does, and compares).

Shape suffixes: B users, N texts of all these users.
"""

import numpy as np

from model.scores import Asked


def drops(asked: Asked, key_N: "np.ndarray", weight_N: "np.ndarray", length_B: "np.ndarray") -> "np.ndarray":
    """float64 [N]: how much lower the user's score is without each text. `asked` must know every key."""
    if not len(asked.floor_H) or not len(key_N):
        return np.zeros(len(key_N))
    user_N = np.repeat(np.arange(len(length_B)), length_B)
    part_N = weight_N * asked.near_V[np.searchsorted(asked.key_V, key_N)]
    sum_N = np.bincount(user_N, weights=part_N, minlength=len(length_B))[user_N]
    rest_N = np.maximum(sum_N - part_N, 0.0)
    drop_N = np.zeros(len(key_N))
    for gain, floor in zip(asked.gain_H.tolist(), asked.floor_H.tolist(), strict=True):
        drop_N += gain * (np.log(floor + sum_N) - np.log(floor + rest_N))
    return asked.late_weight * drop_N
