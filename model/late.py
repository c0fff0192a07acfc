"""Late interaction: a sentence meets the texts of a user's history one by one.

One vector per user is an average of what a user did, and cosines to an average hardly tell one interest from
another. Late interaction (ColBERT, Khattab and Zaharia 2020, equation 3) compares the sentence with every text.
Its maximum is softened here to the logarithm of a sum, at two floors: one that only near texts exceed, and one
that counts every likeness.

    S(u, q) = sum_i w_i exp(beta (cos(q, t_i) - 1))
    late(u, q) = b(q) + sum_h gamma_h log(eps_h + S(u, q))

q and t_i are centred encodings. The weights w_i depend on the user alone, q and b(q) on the sentence alone, so a
user is stored as weighted texts.

Shape suffixes: B users, C sentences, N texts of all users, V distinct texts, E encoder width, H floors.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.batch import AGES
from model.blocks import weighted_sum
from model.config import Recipe
from model.sequence import EncodedText

SHARPNESS = 15.0
GAIN = 0.25
LOG_FLOORS = (-5.0, -13.0)
"""The starts of beta, gamma_h and log eps_h; training moves them."""
BIAS_LATE = -0.5 * GAIN * sum(LOG_FLOORS)
"""The start of b(q): half-way between no history at all and a text that says what the sentence says."""


WeightedTexts = tuple["np.ndarray", "np.ndarray"]
"""What late interaction keeps of a user: the keys of distinct texts, int64 ascending, and their float32 weights."""


def by_user(user_N: "np.ndarray", key_N: "np.ndarray", weight_N: "np.ndarray", users: int) -> list[WeightedTexts]:
    """The texts of each user; the weights of a text that a user has several times are added up."""
    pairs_N2, place_N = np.unique(np.stack([user_N, key_N], 1), axis=0, return_inverse=True)
    weights = np.bincount(place_N.ravel(), weights=weight_N, minlength=len(pairs_N2)).astype(np.float32)
    ends = np.searchsorted(pairs_N2[:, 0], np.arange(1, users))
    return list(zip(np.split(pairs_N2[:, 1], ends), np.split(weights, ends), strict=True))


class LateInteraction(nn.Module):
    """The user's side (weights) and what turns sums into log odds."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.attend = nn.Linear(recipe.width, 1)
        self.attend_age = nn.Embedding(AGES, 1)
        self.log_sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())
        self.gain_H = nn.Parameter(torch.full((len(LOG_FLOORS),), GAIN))
        self.log_floor_H = nn.Parameter(torch.tensor(LOG_FLOORS))
        for quiet in (self.attend.weight, self.attend_age.weight):
            nn.init.zeros_(quiet)
        nn.init.constant_(self.attend.bias, float(np.log(np.e - 1)))

    def weights(self, texts: EncodedText) -> Tensor:
        """[N]: how much each text of a history counts, 1 before training."""
        return F.softplus(self.attend(texts.encoded_ND) + self.attend_age(texts.age_N))[:, 0]

    def forward(self, texts: EncodedText, users: int, text_VE: Tensor, query_CE: Tensor) -> Tensor:
        """[B, C] without the sentences' biases; `text_VE` and `query_CE` are unit vectors."""
        rows, inverse_N = texts.text_N.unique(return_inverse=True)
        near_VC = self.nearness(text_VE[rows] @ query_CE.T)
        return self.of_sums(weighted_sum(near_VC, inverse_N, self.weights(texts), texts.user_N, users))

    def nearness(self, cosine: Tensor) -> Tensor:
        return (self.log_sharpness.exp() * (cosine - 1)).exp()

    def of_sums(self, sum_BC: Tensor) -> Tensor:
        """sum_h gamma_h log(eps_h + S)"""
        floored_HBC = (self.log_floor_H.exp()[:, None, None] + sum_BC).log()
        return (self.gain_H[:, None, None] * floored_HBC).sum(0)
