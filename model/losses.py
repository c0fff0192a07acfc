"""Losses of both stages, each as the paper writes it.

Shape suffixes:
  B  users      W  windows, oldest first      D  features      F  table columns
  N  masked cells, or texts      C  candidate sentences
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cpc_loss(
    context_BWD: Tensor, window_BWD: Tensor, is_window_BW: Tensor, *, ahead: int, weight_B: Tensor | None = None
) -> Tensor:
    """L_CL (equation 6): each context c_t against the user's next `ahead` windows z_{t+i}.

    s is the cosine similarity at temperature 1, the denominator runs over the user's K windows, terms past
    the last window are dropped and each user's sum is divided by K k. Users with one window cost nothing.
    Returns the mean over users, weighted by `weight_B`; padding takes no part.
    """
    similarity_BWW = F.normalize(context_BWD, dim=-1) @ F.normalize(window_BWD, dim=-1).transpose(1, 2)
    similarity_BWW = similarity_BWW.masked_fill(~is_window_BW[:, None], -torch.inf)
    log_share_BWW = similarity_BWW - torch.logsumexp(similarity_BWW, dim=2, keepdim=True)
    return _forecast(log_share_BWW, is_window_BW, ahead, weight_B)


def cpc_loss_in_batch(
    context_BWD: Tensor, window_BWD: Tensor, is_window_BW: Tensor, *, ahead: int, weight_B: Tensor | None = None
) -> Tensor:
    """L_CL (equation 6) with the windows of every user of the batch in the denominator; all else as in `cpc_loss`.

    The batch is what is given here: each process has its own. Users of weight 0 are nobody's negatives.
    """
    context_BWD, window_BWD = F.normalize(context_BWD, dim=-1), F.normalize(window_BWD, dim=-1)
    counts_B = _ones(context_BWD, weight_B) > 0
    is_negative_BW = is_window_BW & (counts_B | ~counts_B.any())[:, None]
    all_MN = context_BWD[is_window_BW] @ window_BWD[is_negative_BW].T
    log_total_BW = context_BWD.new_zeros(is_window_BW.shape).masked_scatter(is_window_BW, torch.logsumexp(all_MN, 1))
    log_share_BWW = context_BWD @ window_BWD.transpose(1, 2) - log_total_BW[..., None]
    return _forecast(log_share_BWW, is_window_BW, ahead, weight_B)


def _forecast(log_share_BWW: Tensor, is_window_BW: Tensor, ahead: int, weight_B: Tensor | None) -> Tensor:
    """Equation 6 from the logarithm of its fraction, for each context and window of a user."""
    steps = torch.arange(is_window_BW.shape[1], device=log_share_BWW.device)
    distance_WW = steps[None] - steps[:, None]
    is_positive_BWW = (
        ((distance_WW >= 1) & (distance_WW <= ahead))[None] & is_window_BW[:, :, None] & is_window_BW[:, None]
    )
    total_B = -torch.where(is_positive_BWW, log_share_BWW, 0.0).sum((1, 2))
    per_user_B = total_B / (is_window_BW.sum(1).clamp(min=1) * ahead)
    return weighted_mean(per_user_B, weight_B)


def cycle_loss(context_BWD: Tensor, is_window_BW: Tensor, *, cycle: int, weight_B: Tensor | None = None) -> Tensor:
    """KL(c_t || c_{t+T}) of equation 7: softmax over features, T = `cycle` windows, mean over t, then over users."""
    log_p_BWD = F.log_softmax(context_BWD, dim=-1)
    kl_BW = (log_p_BWD[:, :-cycle].exp() * (log_p_BWD[:, :-cycle] - log_p_BWD[:, cycle:])).sum(-1)
    both_BW = is_window_BW[:, :-cycle] & is_window_BW[:, cycle:]
    per_user_B = torch.where(both_BW, kl_BW, 0.0).sum(1) / both_BW.sum(1).clamp(min=1)
    return weighted_mean(per_user_B, weight_B)


def mlm_loss(
    logits_F: Sequence[Tensor], cells_BF: Tensor, is_masked_BF: Tensor, weight_B: Tensor | None = None
) -> Tensor:
    """L_MLM (equation 8): cross-entropy of the masked cells, one classifier per column; the mean over a user's masked
    cells, then over users, so that ranks which mask unequally many cells add up to one process."""
    losses = [F.cross_entropy(logits, cells_BF[:, i], reduction="none") for i, logits in enumerate(logits_F)]
    total_B = (torch.stack(losses, 1) * is_masked_BF).sum(1)
    return weighted_mean(total_B / is_masked_BF.sum(1).clamp(min=1), weight_B)


def rtd_loss(replaced_BF: Tensor, is_replaced_BF: Tensor, weight_B: Tensor | None = None) -> Tensor:
    """Replaced token detection (section 4.2.2): one binary classifier per column; mean over all cells."""
    weight_BF = _ones(replaced_BF, weight_B)[:, None].expand_as(replaced_BF)
    loss_BF = F.binary_cross_entropy_with_logits(replaced_BF, is_replaced_BF.float(), reduction="none")
    return (loss_BF * weight_BF).sum() / weight_BF.sum().clamp(min=1e-6)


def sigmoid_loss(score_BC: Tensor, happens_BC: Tensor, weight_B: Tensor | None = None) -> Tensor:
    """Pairwise sigmoid (Zhai et al. 2023, equation 1) with the future as label: does sentence c happen to user b?"""
    weight_BC = _ones(score_BC, weight_B)[:, None].expand_as(score_BC)
    loss_BC = F.binary_cross_entropy_with_logits(score_BC, happens_BC.to(score_BC.dtype), reduction="none")
    return (loss_BC * weight_BC).sum() / weight_BC.sum().clamp(min=1e-6)


def choice_loss(score_BC: Tensor, happens_BC: Tensor, weight_B: Tensor | None = None) -> Tensor:
    """Which of the candidates happen to a user: the mean of -log softmax over those that do (Khosla et al. 2020,
    equation 2, the user being the anchor); 0 where none does. What all of a user's scores share costs nothing."""
    happens_BC = happens_BC.to(score_BC.dtype)
    total_B = -(F.log_softmax(score_BC, dim=1) * happens_BC).sum(1)
    return weighted_mean(total_B / happens_BC.sum(1).clamp(min=1), weight_B)


def infonce_loss(
    user_BD: Tensor, text_ND: Tensor, weight_B: Tensor | None = None, positive_B: Tensor | None = None
) -> Tensor:
    """L_CP (equation 13): user to text only, s the cosine similarity at temperature 1. Row i's positive is text
    `positive_B[i]`, by default text i; all other texts are its negatives."""
    similarity_BN = F.normalize(user_BD, dim=-1) @ F.normalize(text_ND, dim=-1).T
    if positive_B is None:
        positive_B = torch.arange(len(user_BD), device=user_BD.device)
    return weighted_mean(F.cross_entropy(similarity_BN, positive_B, reduction="none"), weight_B)


def triplet_loss(query_D: Tensor, positive_PD: Tensor, negative_ND: Tensor, *, margin: float) -> Tensor:
    """L_Tri (equation 14): squared Euclid on unit vectors, summed over all (positive, negative) pairs."""
    query_D = F.normalize(query_D, dim=-1)
    near_P = (query_D - F.normalize(positive_PD, dim=-1)).square().sum(-1)
    far_N = (query_D - F.normalize(negative_ND, dim=-1)).square().sum(-1)
    return (near_P[:, None] - far_N[None] + margin).clamp(min=0).sum()


def weighted_mean(per_user_B: Tensor, weight_B: Tensor | None) -> Tensor:
    weight_B = _ones(per_user_B, weight_B)
    return (per_user_B * weight_B).sum() / weight_B.sum().clamp(min=1e-6)


def _ones(like: Tensor, weight_B: Tensor | None) -> Tensor:
    return like.new_ones(len(like)) if weight_B is None else weight_B


def column_classifiers(width: int, sizes: Sequence[int]) -> nn.ModuleList:
    """A classifier per column, since each column has its own values (section 4.2.2)."""
    return nn.ModuleList(nn.Linear(width, size) for size in sizes)
