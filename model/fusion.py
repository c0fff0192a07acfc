"""Fusion of the sources: by attention (equation 11, section 4.3.1), or plainly, its ablation (section 5.3.2).

Shape suffixes: B users, Q = 3 sources, K tokens of all sources, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.blocks import Block, Packing
from model.config import Recipe

SOURCES = ("behaviour", "table", "searches")


@dataclass(frozen=True)
class SourceTokens:
    """One source of a batch: its embedding, its tokens, and which users and tokens are there."""

    embedding_BD: Tensor
    token_BTD: Tensor
    is_token_BT: Tensor
    is_there_B: Tensor


class Fusion(nn.Module):
    """CA: the three source embeddings look at the tokens of all sources; e^f is their mean.

    A source that is missing, or dropped at random in training, gives a learned absent token and no keys.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.source_dropout = recipe.source_dropout
        self.absent = nn.Parameter(torch.randn(len(SOURCES), recipe.width) * 0.02)
        self.source = nn.Parameter(torch.randn(len(SOURCES), recipe.width) * 0.02)
        self.layers = nn.ModuleList(
            Block(recipe.width, recipe.heads, recipe.dropout) for _ in range(recipe.fusion_layers)
        )
        self.norm = nn.LayerNorm(recipe.width)

    def forward(self, sources: tuple[SourceTokens, ...]) -> Tensor:
        """e^f [B, D]."""
        there_BQ = available(sources, dropout=self.source_dropout if self.training else 0.0)
        query_BQD = torch.stack([s.embedding_BD for s in sources], 1)
        query_BQD = torch.where(there_BQ[..., None], query_BQD, self.absent) + self.source
        seen_BK = torch.cat([s.is_token_BT & there_BQ[:, i, None] for i, s in enumerate(sources)], 1)
        keys, queries = Packing(seen_BK), Packing(torch.ones_like(there_BQ))
        key_BKD = torch.cat([s.token_BTD + self.source[i] for i, s in enumerate(sources)], 1)
        key_ND, query_ND = keys.pack(key_BKD), query_BQD.flatten(0, 1)
        may_see_BQK = seen_BK[:, None].expand(-1, len(SOURCES), -1)
        for layer in self.layers:
            query_ND = layer(query_ND, queries, may_see_BQK, key_ND, keys)
        return self.norm(query_ND).unflatten(0, (len(there_BQ), len(SOURCES))).mean(1)


class Concatenation(nn.Module):
    """The ablation: e^f is a projection of the three source embeddings side by side; their tokens are not read."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.source_dropout = recipe.source_dropout
        self.absent = nn.Parameter(torch.randn(len(SOURCES), recipe.width) * 0.02)
        self.project = nn.Linear(len(SOURCES) * recipe.width, recipe.width)
        self.norm = nn.LayerNorm(recipe.width)

    def forward(self, sources: tuple[SourceTokens, ...]) -> Tensor:
        """e^f [B, D]."""
        there_BQ = available(sources, dropout=self.source_dropout if self.training else 0.0)
        embedding_BQD = torch.stack([s.embedding_BD for s in sources], 1)
        embedding_BQD = torch.where(there_BQ[..., None], embedding_BQD, self.absent)
        return self.norm(self.project(embedding_BQD.flatten(1)))


def fusion(recipe: Recipe) -> Fusion | Concatenation:
    """The recipe's."""
    return Fusion(recipe) if recipe.fusion == "cross_attention" else Concatenation(recipe)


def available(sources: tuple[SourceTokens, ...], *, dropout: float) -> Tensor:
    """bool [B, Q]: which sources a user has, but for a share of them forgotten at random."""
    there_BQ = torch.stack([s.is_there_B for s in sources], 1)
    if not dropout:
        return there_BQ
    return there_BQ & (torch.rand(there_BQ.shape, device=there_BQ.device) >= dropout)
