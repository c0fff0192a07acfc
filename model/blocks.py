"""Pre-norm attention blocks that compute real positions only.

Most users have few windows and events, so a padded batch is mostly padding: linear layers run on the packed
real positions, and only the attention itself sees the padded shape.

Shape suffixes: B users, T positions, Q queries, K keys, D features, N packed real positions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Packing:
    """Where the real positions of a padded [B, T] batch are."""

    def __init__(self, is_real_BT: Tensor) -> None:
        self.is_real_BT = is_real_BT
        self.shape = is_real_BT.shape
        self.place_N = is_real_BT.flatten().nonzero()[:, 0]

    def pack(self, x_BTD: Tensor) -> Tensor:
        """[N, D]"""
        return x_BTD.flatten(0, 1).index_select(0, self.place_N)

    def unpack(self, x_ND: Tensor) -> Tensor:
        """[B, T, D], zero where nothing is."""
        users, positions = self.shape
        padded = x_ND.new_zeros(users * positions, x_ND.shape[1]).index_copy(0, self.place_N, x_ND)
        return padded.unflatten(0, (users, positions))


class Attention(nn.Module):
    """Multi-head attention of packed queries over packed keys; a query without any key gets zeros."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, query_ND: Tensor, queries: Packing, key_ND: Tensor, keys: Packing, may_see_BQK: Tensor) -> Tensor:
        blind_BQ = ~may_see_BQK.any(-1)
        mask_BQK = may_see_BQK | blind_BQ[..., None]
        query, key, value = (
            packing.unpack(linear(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear, x, packing in (
                (self.query, query_ND, queries),
                (self.key, key_ND, keys),
                (self.value, key_ND, keys),
            )
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask_BQK[:, None])
        seen_BQD = mixed.transpose(1, 2).flatten(2).masked_fill(blind_BQ[..., None], 0.0)
        return self.out(queries.pack(seen_BQD))


class Block(nn.Module):
    """x + Attention(x, keys), then x + MLP(x). Without keys: self-attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.before_attention, self.before_keys, self.before_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x_ND: Tensor,
        queries: Packing,
        may_see_BQK: Tensor,
        key_ND: Tensor | None = None,
        keys: Packing | None = None,
    ) -> Tensor:
        query_ND = self.before_attention(x_ND)
        seen_ND = query_ND if key_ND is None else self.before_keys(key_ND)
        mixed_ND = self.attention(query_ND, queries, seen_ND, keys or queries, may_see_BQK)
        x_ND = x_ND + self.dropout(mixed_ND)
        return x_ND + self.dropout(self.mlp(self.before_mlp(x_ND)))


def segment_sum(x_ND: Tensor, user_N: Tensor, users: int) -> Tensor:
    """[B, D]: the sum of each user's packed rows."""
    return x_ND.new_zeros(users, x_ND.shape[1]).index_add(0, user_N, x_ND)


def segment_mean(x_ND: Tensor, user_N: Tensor, users: int) -> Tensor:
    """[B, D]: the mean of each user's packed rows, zero where there are none."""
    count_B1 = segment_sum(x_ND.new_ones(len(x_ND), 1), user_N, users)
    return segment_sum(x_ND, user_N, users) / count_B1.clamp(min=1)


def segment_softmax(logit_NH: Tensor, user_N: Tensor, users: int) -> Tensor:
    """[N, H]: the softmax of each user's packed rows, per column."""
    index_NH = user_N[:, None].expand_as(logit_NH)
    most_BH = logit_NH.new_full((users, logit_NH.shape[1]), -torch.inf)
    most_BH = most_BH.scatter_reduce(0, index_NH, logit_NH.detach(), "amax")
    share_NH = (logit_NH - most_BH[user_N]).exp()
    return share_NH / segment_sum(share_NH, user_N, users)[user_N]


def weighted_sum(x_VD: Tensor, row_N: Tensor, weight_N: Tensor, user_N: Tensor, users: int) -> Tensor:
    """[B, D]: each user's weighted sum of the rows of a table; `user_N` ascends."""
    count_B = user_N.bincount(minlength=users)
    return F.embedding_bag(row_N, x_VD, count_B.cumsum(0) - count_B, per_sample_weights=weight_N, mode="sum")


def causal(length: int, device: torch.device) -> Tensor:
    """bool [length, length]: a position sees itself and what came before."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
