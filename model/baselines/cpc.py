"""CPC alone: the behaviour half of the project's own stage 1 (equations 6 and 7), frozen, behind the shared head."""

import numpy as np
from torch import Tensor

from model.baselines.head import Aligned, align
from model.baselines.loop import Draw, optimise, seeded
from model.baselines.sequences import PRETRAINING, UserSequences
from model.baselines.training import Training
from model.data import rows_of
from model.losses import cpc_loss, cycle_loss


def fit(training: Training) -> Aligned:
    return align(training, pretrained(training).embed)


def pretrained(training: Training) -> UserSequences:
    """The sequence encoder after L_CL + lambda KL on the pairs' histories."""
    recipe = training.recipe
    with seeded(training.seed):
        users = UserSequences(training, recipe)

        def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
            del draw
            tensors, window_BWD, context_BWD = users.windows(rows_of(training.columns, batch))
            forecast = cpc_loss(context_BWD, window_BWD, tensors.is_window_BW, ahead=recipe.cpc_ahead)
            cycle = cycle_loss(context_BWD, tensors.is_window_BW, cycle=recipe.cycle_windows)
            return forecast + recipe.cycle_weight * cycle

        optimise(
            users,
            loss,
            rows=len(training),
            optimisation=PRETRAINING,
            effort=training.effort.pretraining,
            seed=training.seed,
        )
    return users
