"""The texts of a batch's histories, live through the event encoder's LoRA.

Shape suffixes: N distinct texts of the batch, E encoder width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.batch import text_keys
from model.data import Columns
from model.found import FoundModel
from model.grad_cache import cached, slices
from model.text_cache import TextTable

Texts = tuple[TextTable, Tensor]
"""The rows of texts, and the centred vectors in these rows; row 0 is padding."""


def live_texts(model: FoundModel, columns: Columns, texts: TextTable, strings: Sequence[str]) -> Texts:
    """The distinct texts of these users' events and searches alone, vectors [N + 1, E] with gradient.

    Each is encoded once, however many users and sources share it. `strings` are those of `texts`, by row. With
    `chunk_users` in stage 2 the graph of that many texts is in memory at a time.
    """
    keys = text_keys(columns, model.view)
    chosen = texts.select(keys)
    if not len(keys):
        return chosen, model.centred(chosen)
    asked = [strings[row - 1] for row in texts.rows(keys)]
    parts = [(asked[part],) for part in slices(len(asked), model.recipe.stage2.chunk_users)]
    live_NE = cached(model.encoder, parts, model.device).float()
    return chosen, torch.cat([torch.zeros_like(live_NE[:1]), model.text.space.centred(live_NE)])
