"""TabTransformer (Huang et al. 2020) with the MLM and RTD tasks of section 4.2.2, frozen, behind the shared head.

Shape suffixes: B users, F table columns, D width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from model.baselines.loop import Draw, pretrain, seeded
from model.baselines.training import Training
from model.data import Columns
from model.table import TableEncoder, TableTasks
from model.vocabulary import Vocabulary


@dataclass(frozen=True)
class Tables:
    """Columns of users -> float32 [B, D]: the mean of their cells' contextual embeddings (equation 9)."""

    vocabulary: Vocabulary
    encoder: TableEncoder

    @torch.no_grad()
    def embed(self, users: Columns) -> "np.ndarray":
        return self.encoder(torch.from_numpy(self.vocabulary.ids(users))).mean(1).numpy()


def pretrained(training: Training) -> Tables:
    """The table encoder after L_MLM (equation 8) and RTD on the pairs' profile and activity columns."""
    vocabulary, recipe = training.vocabulary, training.recipe
    cells_PF = torch.from_numpy(vocabulary.ids(training.columns))
    with seeded(training.seed):
        encoder = TableEncoder(recipe, sizes=vocabulary.sizes, numbers=len(vocabulary.activity))
        encoder.numbers.requires_grad_(False)  # no task reads it
        tasks = TableTasks(recipe, sizes=vocabulary.sizes)

        def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
            noise_BF3 = torch.from_numpy(draw.random((len(batch), cells_PF.shape[1], 3), dtype=np.float32))
            own_BF = cells_PF[torch.from_numpy(batch)]
            mlm, rtd = tasks(encoder, own_BF, noise_BF3=noise_BF3, weight_B=torch.ones(len(batch)))
            return mlm + rtd

        pretrain(training, nn.ModuleList([encoder, tasks]), loss, rows=len(training))
    return Tables(vocabulary, encoder)
