"""A sentence through the adapter, and the texts that it is read with beside it, in one pass of the language model: its
weights are read once for all of them, and reading them is much of the time that a sentence takes.

Shape suffixes: N texts, E encoder width.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from model.text_encoder import TextEncoder

_PROBES = ("a probe of the weights", "another one, which has some words more")
_ALIKE = 1e-4


class FirstAdapted(nn.Module):
    """A linear layer of which LoRA (Hu et al. 2022, equation 3) changes the first row of a batch alone."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        (name,) = layer.active_adapters
        self.base, self.down, self.up = layer.base_layer, layer.lora_A[name], layer.lora_B[name]
        self.scaling = layer.scaling[name]

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = self.base(rows)
        out[:1] += self.up(self.down(rows[:1])) * self.scaling
        return out


def unadapted(encoder: TextEncoder) -> TextEncoder:
    """The same weights in modules of their own, without LoRA: nothing has to be switched to and fro."""
    return _with_layers(encoder, lambda layer: layer.base_layer)


def first_adapted(encoder: TextEncoder) -> TextEncoder | None:
    """The same weights in modules of their own: of the texts encoded at once the first alone goes through LoRA. None
    where a model keeps no text in a row of its own."""
    both = _with_layers(encoder, FirstAdapted)
    with torch.no_grad():
        apart_NE = torch.cat([encoder(_PROBES[:1]), unadapted(encoder)(_PROBES[1:])])
        try:
            together_NE = both(_PROBES)
        except (RuntimeError, IndexError):
            return None
    return both if torch.allclose(together_NE, apart_NE, atol=_ALIKE) else None


def _with_layers(encoder: TextEncoder, change: Callable[[Any], nn.Module]) -> TextEncoder:
    shared = {id(each): each for each in (*encoder.parameters(), *encoder.buffers())}
    changed = copy.deepcopy(encoder, shared)
    for module in list(changed.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "base_layer"):
                setattr(module, name, change(child))
    return changed.eval()
