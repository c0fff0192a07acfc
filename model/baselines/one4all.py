"""One4all (Shin et al. 2021): one general-purpose user vector from the texts of behaviour, and its MLP decoder U-MLP.

The vector is trained by contrast as SimCSE is (Gao et al. 2021, equation 4): a user read twice, each time under
another dropout, is its own positive among the batch. Alone it stands behind the shared head; U-MLP decodes it for each
demand from labelled users (the few-shot rows of table 3). Shape suffixes: B users, D width, S seeds.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.baselines.head import embedded
from model.baselines.loop import Draw, optimise, pretrain, seeded
from model.baselines.protocol import Scores, Seeds
from model.baselines.sequences import UserSequences
from model.baselines.training import Training
from model.config import Optimisation
from model.data import Columns, rows_of
from model.lurm.contrast import nt_xent

DROPOUT = 0.1
TEMPERATURE = 0.05
HIDDEN = 64
DECODING = Optimisation(steps=200, batch_users=512, learning_rate=3e-3)


@dataclass(frozen=True)
class Decoded:
    """U-MLP: a small network from the frozen vectors to a demand's labels, trained for each demand anew."""

    users: UserSequences
    effort: float
    seed: int

    def vectors(self, users: Columns) -> "np.ndarray":
        return embedded(self.users.embed, users)

    def seed_scores(self, users: Columns, demand: str, seeds: Seeds) -> Scores:
        """[B]: log odds."""
        del demand
        vector_BD = torch.from_numpy(self.vectors(users))
        vector_BD = (vector_BD - vector_BD.mean(0)) / vector_BD.std(0, correction=0).clamp(min=1e-4)
        own_SD = vector_BD[torch.from_numpy(seeds.rows)]
        label_S = torch.from_numpy(seeds.labels).float()
        with seeded(self.seed):
            decoder = nn.Sequential(
                nn.Linear(vector_BD.shape[1], HIDDEN), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1)
            )

            def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
                del draw
                rows = torch.from_numpy(batch)
                return F.binary_cross_entropy_with_logits(decoder(own_SD[rows])[:, 0], label_S[rows])

            optimise(decoder, loss, rows=len(label_S), optimisation=DECODING, effort=self.effort, seed=self.seed)
        with torch.no_grad():
            return decoder(vector_BD)[:, 0].double().numpy()


def fit_u_mlp(training: Training) -> Decoded:
    return Decoded(pretrained(training), training.effort.alignment, training.seed)


def pretrained(training: Training) -> UserSequences:
    """The sequence encoder after NT-Xent between two readings of each user's newest history."""
    lives = training.newest()
    with seeded(training.seed):
        users = UserSequences(training, replace(training.recipe, dropout=DROPOUT))

        def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
            del draw
            own = rows_of(lives, batch)
            return nt_xent(users(own), users(own), temperature=TEMPERATURE)

        pretrain(training, users, loss, rows=len(lives["cutoff_day"]))
    return users
