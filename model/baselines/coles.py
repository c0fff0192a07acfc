"""CoLES (Babaev et al. 2022): slices of one user's sequence are nearer to each other than to other users' slices.

    L = mean over pairs of one user   1/2 d^2
      + mean over the hardest pairs of different users   1/2 max(0, margin - d)^2

d is the Euclidean distance of unit vectors, the margin is 0.5 (contrastive loss, Hadsell et al. 2006). Frozen,
behind the shared head. Shape suffixes: B users, S slices of a user, N = B S slices, D width.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.baselines.loop import PRETRAINING, Draw, pretrain, seeded
from model.baselines.sequences import UserSequences
from model.baselines.slices import ordered_days, random_slice
from model.baselines.training import Training
from model.data import rows_of

SLICES = 4
SHORTEST, LONGEST = 3, 60
MARGIN = 0.5
HARDEST = 5
"""Of each slice the nearest slices of other users that count as negatives."""
OPTIMISATION = replace(PRETRAINING, batch_users=64)


def coles_loss(vector_ND: Tensor, user_N: Tensor) -> Tensor:
    """L of slices whose users are `user_N`; each slice has at most HARDEST negatives."""
    vector_ND = F.normalize(vector_ND, dim=1)
    square_NN = (2 - 2 * vector_ND @ vector_ND.T).clamp(min=1e-8)
    is_same_NN = user_N[:, None] == user_N[None]
    itself_NN = torch.eye(len(user_N), dtype=torch.bool)
    near = square_NN[is_same_NN & ~itself_NN].mean() / 2
    others_NN = square_NN.masked_fill(is_same_NN, torch.inf)
    hardest = others_NN.topk(min(HARDEST, len(user_N) - 1), largest=False).values
    distance = hardest[hardest.isfinite()].sqrt()
    return near + (MARGIN - distance).clamp(min=0).square().mean() / 2


def pretrained(training: Training) -> UserSequences:
    """The sequence encoder after contrasting slices of each user's newest history."""
    lives = training.newest()
    with seeded(training.seed):
        users = UserSequences(training, training.recipe)
        sources = users.view.sources
        lives = rows_of(lives, np.flatnonzero(ordered_days(lives, sources)[1] > 1))

        def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
            own = rows_of(lives, np.repeat(batch, SLICES))
            cut = random_slice(own, sources, shortest=SHORTEST, longest=LONGEST, draw=draw)
            return coles_loss(users(cut), torch.arange(len(batch)).repeat_interleave(SLICES))

        pretrain(training, users, loss, rows=len(lives["cutoff_day"]), optimisation=OPTIMISATION)
    return users
