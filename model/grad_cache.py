"""Batches larger than memory: chunks of users, one loss, the gradient of the whole batch.

Two exact ways, each the cheapest for its kind of loss:

* `accumulated`: a loss that is a mean over users (stage 1, the sigmoid alignment) is a sum over chunks, so each chunk
  is differentiated as soon as it is computed. No work is done twice.
* `cached`: a loss in which all users of the batch meet (InfoNCE) needs all representations first. They are computed
  without a graph, and each chunk once more in backward (GradCache, Gao et al. 2021, section 3).

Both happen within one forward and one backward of the batch, so DistributedDataParallel reduces once per step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Metrics = dict[str, Tensor]
Loss = Callable[..., tuple[Tensor, Mapping[str, Tensor]]]


def slices(rows: int, chunk: int) -> list[slice]:
    """Consecutive slices of at most `chunk` rows; one of all rows where `chunk` is 0."""
    size = chunk or max(rows, 1)
    return [slice(start, min(start + size, rows)) for start in range(0, max(rows, 1), size)]


def accumulated(
    loss_of: Loss, parts: Sequence[tuple[Any, ...]], module: nn.Module, *shared: Tensor
) -> tuple[Tensor, Metrics]:
    """The mean over the users of all parts, with the graph of one part in memory at a time.

    `loss_of(columns, weight_B, ..., *shared)` gives the mean loss and metrics of one part (columns, weight_B, ...) of
    the batch. Gradients reach `shared` and the parameters of `module`, which must be all that the losses depend on.
    """
    weights = [part[1].sum() for part in parts]
    total = torch.stack(weights).sum().clamp(min=1e-6)
    metrics: Metrics = {}

    def term(place: int, *leaves: Tensor) -> Tensor:
        loss, found = loss_of(*parts[place], *leaves)
        share = weights[place] / total
        for name, value in found.items():
            metrics[name] = metrics.get(name, torch.zeros_like(share)) + share * value.detach()
        return loss * share

    if not torch.is_grad_enabled():
        return torch.stack([term(place, *shared) for place in range(len(parts))]).sum(), metrics
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return _Accumulated.apply(term, len(parts), len(shared), *shared, *parameters), metrics


class _Accumulated(torch.autograd.Function):
    """sum_i term(i, *shared): forward keeps the gradients instead of the graphs, backward hands them on."""

    @staticmethod
    def forward(ctx: Any, term: Callable[..., Tensor], parts: int, shared: int, *inputs: Tensor) -> Tensor:
        leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in inputs[:shared]]
        sources = [*leaves, *inputs[shared:]]
        asked = [place for place, source in enumerate(sources) if source.requires_grad]
        ctx.gradients = [None] * len(sources)
        total = torch.zeros((), device=sources[-1].device)
        for part in range(parts):
            with torch.enable_grad():
                loss = term(part, *leaves)
            found = torch.autograd.grad(loss, [sources[place] for place in asked], allow_unused=True)
            total += loss.detach()
            for place, gradient in zip(asked, found, strict=True):
                known = ctx.gradients[place]
                ctx.gradients[place] = gradient if known is None else known if gradient is None else known + gradient
        return total

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        found = [None if gradient is None else gradient * scale for gradient in ctx.gradients]
        del ctx.gradients
        return (None, None, None, *found)


def cached(embed: Callable[..., Tensor], parts: Sequence[tuple[Any, ...]], device: torch.device) -> Tensor:
    """The rows of embed(*part), part after part, with the graph of one part in memory at a time.

    The random state of each part is kept and replayed, so dropout falls alike both times.
    """
    if len(parts) == 1:
        return embed(*parts[0])
    anchor = torch.empty(0, device=device)  # names the device whose random state is kept

    def anchored(_: Tensor, *part: Any) -> Tensor:
        return embed(*part)

    return torch.cat([checkpoint(anchored, anchor, *part, use_reentrant=False) for part in parts])
