"""CPC alone: the behaviour half of the project's own stage 1 (equations 6 and 7), frozen, behind the shared head."""

import numpy as np
from torch import Tensor

from model.baselines.loop import Draw, pretrain, seeded
from model.baselines.sequences import UserSequences
from model.baselines.training import Training
from model.data import rows_of
from model.losses import cpc_loss, cycle_loss


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

        pretrain(training, users, loss, rows=len(training))
    return users
