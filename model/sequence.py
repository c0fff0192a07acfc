"""The user behaviour encoder g_theta = g_mu after g_v (equation 5, section 4.2.1).

Shape suffixes: B users, E event slots, N packed real events, W windows oldest first, M packed real windows, D width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from model.batch import AGES, UserBatch
from model.blocks import Block, Packing, causal, segment_mean
from model.config import Recipe


@dataclass(frozen=True)
class EncodedText:
    """Packed texts of a batch (events or searches) with what tells them apart."""

    encoded_ND: Tensor
    text_N: Tensor
    age_N: Tensor
    user_N: Tensor


def in_user_order(*parts: EncodedText) -> EncodedText:
    """The parts as one; a user's texts stand together."""
    user_N = torch.cat([part.user_N for part in parts])
    order_N = user_N.argsort(stable=True)
    encoded_ND, text_N, age_N = (
        torch.cat([getattr(part, name) for part in parts]).index_select(0, order_N)
        for name in ("encoded_ND", "text_N", "age_N")
    )
    return EncodedText(encoded_ND, text_N, age_N, user_N[order_N])


class EventEncoder(nn.Module):
    """g_v: the event's cached text vector, source and amount; z_t is the mean over a window. No time enters z,
    else a window could be told from another by its date alone."""

    def __init__(self, recipe: Recipe, *, text_width: int) -> None:
        super().__init__()
        self.text = nn.Linear(text_width, recipe.width)
        self.source = nn.Embedding(len(BEHAVIOUR_SOURCES), recipe.width)
        self.amount = nn.Linear(1, recipe.width)

    def forward(self, batch: UserBatch, text_VE: Tensor) -> tuple[EncodedText, Tensor]:
        """The real events, and the flat (user, window) slot of each; each distinct text is projected once."""
        user_N, place_N = (batch.event_text_BE > 0).nonzero(as_tuple=True)
        text_N = batch.event_text_BE[user_N, place_N]
        rows, inverse_N = text_N.unique(return_inverse=True)
        embedded_ND = F.embedding(inverse_N, self.text(text_VE[rows]))
        embedded_ND = embedded_ND + self.source(batch.event_source_BE[user_N, place_N])
        embedded_ND = embedded_ND + self.amount(batch.event_amount_BE[user_N, place_N][:, None])
        slot_N = user_N * batch.is_window_BW.shape[1] + batch.event_window_BE[user_N, place_N]
        age_N = batch.event_age_BE[user_N, place_N]
        return EncodedText(F.gelu(embedded_ND), text_N, age_N, user_N), slot_N


class Recurrence(nn.Module):
    """One GRU layer in the place of a Block: windows stand oldest first, so a context has seen what a causal
    transformer's has, and what pads a user comes after all of them."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_MD: Tensor, windows: Packing, may_see_BWW: Tensor) -> Tensor:
        del may_see_BWW
        context_BWD, _ = self.gru(windows.unpack(x_MD))
        return self.dropout(windows.pack(context_BWD))


class SequenceEncoder(nn.Module):
    """g_mu: a causal time-aware transformer or GRU over the windows; e^(V) is the mean of its outputs."""

    def __init__(self, recipe: Recipe, *, text_width: int) -> None:
        super().__init__()
        self.events = EventEncoder(recipe, text_width=text_width)
        self.age = nn.Embedding(AGES, recipe.width)
        self.layers = nn.ModuleList(_layer(recipe) for _ in range(recipe.sequence_layers))
        self.norm = nn.LayerNorm(recipe.width)

    def forward(self, batch: UserBatch, text_VE: Tensor) -> tuple[Tensor, Tensor, EncodedText]:
        """Windows z and contexts c, both [B, W, D] with zeros where no window is, and the events."""
        events, slot_N = self.events(batch, text_VE)
        packing = Packing(batch.is_window_BW)
        users, windows = batch.is_window_BW.shape
        window_BWD = segment_mean(events.encoded_ND, slot_N, users * windows).unflatten(0, (users, windows))
        may_see = causal(windows, window_BWD.device) & batch.is_window_BW[:, None]
        context_MD = packing.pack(window_BWD) + self.age(batch.window_age_BW[batch.is_window_BW])
        for layer in self.layers:
            context_MD = layer(context_MD, packing, may_see)
        return window_BWD, packing.unpack(self.norm(context_MD)), events

    def pooled(self, context_BWD: Tensor, batch: UserBatch) -> Tensor:
        """e^(V) [B, D]: the mean over real windows (equation 5)."""
        return context_BWD.sum(1) / batch.is_window_BW.sum(1, keepdim=True).clamp(min=1)


def _layer(recipe: Recipe) -> nn.Module:
    if recipe.sequence == "gru":
        return Recurrence(recipe.width, recipe.dropout)
    return Block(recipe.width, recipe.heads, recipe.dropout)
