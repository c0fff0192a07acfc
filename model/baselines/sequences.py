"""The project's own window encoder (model/sequence.py) as the body of the baselines that read event sequences.

So baselines differ in what they learn from, not in how many layers they have. Shape suffixes: B users, W windows,
V distinct texts, E encoder width, D width.
"""

import numpy as np
import torch
from torch import Tensor, nn

from model.baselines.training import NotApplicable, Reader, Training, history_keys
from model.batch import UserBatch, View, user_batch
from model.config import Recipe
from model.data import Columns
from model.sequence import SequenceEncoder
from model.text_cache import TextTable


class UserSequences(nn.Module):
    """Columns of users -> e^(V) [B, D], the mean of the contexts of their active days."""

    def __init__(self, training: Training, recipe: Recipe) -> None:
        super().__init__()
        if not training.sources:
            raise NotApplicable("this lake has neither bills nor clicks nor visits: there is no sequence to read.")
        self.view = View(training.vocabulary, recipe.windows, training.sources)
        self.encoder = SequenceEncoder(recipe, text_width=training.encoder.cache.width)
        self.reader: Reader = training.reader
        self.texts = self.reader.centred(training.texts.keys)

    def batch(self, users: Columns, texts: TextTable) -> UserBatch:
        return user_batch(users, texts=texts, view=self.view, trim=True)

    def windows(self, users: Columns) -> tuple[UserBatch, Tensor, Tensor]:
        """The batch, windows z and contexts c [B, W, D] of users of the training pairs."""
        batch = self.batch(users, self.texts)
        window_BWD, context_BWD, _ = self.encoder(batch, torch.from_numpy(self.texts.vectors))
        return batch, window_BWD, context_BWD

    def forward(self, users: Columns) -> Tensor:
        """[B, D] of users of the training pairs."""
        batch, _, context_BWD = self.windows(users)
        return self.encoder.pooled(context_BWD, batch)

    @torch.no_grad()
    def embed(self, users: Columns) -> "np.ndarray":
        """float32 [B, D] of any users whose texts are cached."""
        texts = self.reader.centred(history_keys(users))
        batch = self.batch(users, texts)
        _, context_BWD, _ = self.encoder(batch, torch.from_numpy(texts.vectors))
        return self.encoder.pooled(context_BWD, batch).numpy()
