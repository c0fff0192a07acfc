"""A small language model on a processor, faster for a sentence: its weights are laid out once, and short texts share a
row.

Shape suffixes: N texts, T tokens of all of them, L those of the longest, E encoder width.
"""

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.text_encoder import TextEncoder

_log = logging.getLogger(__name__)

SMALL = 100_000_000
"""So many parameters at most. A sentence is then encoded by one thread: others would be awaited longer than they work.
So its numbers are the same on any number of processors."""
_PROBES = ("a probe of the weights", "another one, which has some words more", "a third", "four")
_ALIKE = 1e-4
_FEWEST_TOKENS = 2
"""Of an exported model, which may take a single one for a constant."""

Encode = Callable[[Sequence[str]], Tensor]
"""From texts to their unit vectors [N, E]."""


class LaidOut(nn.Module):
    """A linear layer, its weights as oneDNN reads them: torch lays them out anew at every call, which for the tokens of
    a sentence takes as long as the product."""

    def __init__(self, layer: nn.Linear, added: Tensor | float = 0.0) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach() + added, None)
        self.bias = layer.bias

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return out


class OneRow(nn.Module):
    """All texts in one row, each of which sees itself alone (sequence packing, Krell et al. 2021): none is padded to
    the length of another."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder, self.hidden = encoder, _Hidden(encoder.transformer)
        self._exported: nn.Module = self.hidden

    def forward(self, texts: Sequence[str]) -> Tensor:
        """[N, E]"""
        return self._encoded(texts, self._exported)

    def _encoded(self, texts: Sequence[str], exported: nn.Module) -> Tensor:
        encoder = self.encoder
        tokens = encoder.tokenizer(list(texts), truncation=True, max_length=encoder.max_tokens)["input_ids"]
        length_N = np.array([len(own) for own in tokens])
        text_T, start_N = np.repeat(np.arange(len(tokens)), length_N), np.cumsum(length_N) - length_N
        row = _row(np.concatenate(tokens), np.arange(len(text_T)) - start_N[text_T], text_T)
        hidden = exported if len(text_T) >= _FEWEST_TOKENS else self.hidden
        is_token_NL = np.arange(length_N.max()) < length_N[:, None]
        at_NL = np.where(is_token_NL, start_N[:, None] + np.arange(length_N.max()), 0)
        return encoder.pooled(hidden(*row)[0][torch.from_numpy(at_NL)], torch.from_numpy(is_token_NL).long())

    @torch.no_grad()
    def export(self) -> None:
        """Makes one list of operations of the language model, without the modules around them: what takes
        seconds pays off over many questions. A model that gives other numbers then, or cannot be exported, stays."""
        row = _row(*(np.arange(_FEWEST_TOKENS + 7) for _ in range(3)))
        size = torch.export.Dim("tokens", min=_FEWEST_TOKENS)
        try:
            shapes = {1: size}, {1: size}, {2: size, 3: size}
            exported = torch.export.export(self.hidden, row, dynamic_shapes=shapes).module()
            if torch.equal(self._encoded(_PROBES, exported), self._encoded(_PROBES, self.hidden)):
                self._exported = exported
        except Exception:  # a model's own code is traced, which may raise anything
            _log.info("a language model cannot be exported: it is asked as it is", exc_info=True)


class _Hidden(nn.Module):
    """The last hidden states [1, T, E] of one row of tokens."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, tokens: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        out: Tensor = self.transformer(input_ids=tokens, position_ids=places, attention_mask=mask).last_hidden_state
        return out


def _row(token_T: "np.ndarray", place_T: "np.ndarray", text_T: "np.ndarray") -> tuple[Tensor, Tensor, Tensor]:
    """What a language model is given: tokens, their places in their texts, and what is added where one sees another."""
    unseen_TT = torch.from_numpy(text_T[:, None] != text_T)
    mask_TT = torch.zeros(unseen_TT.shape).masked_fill(unseen_TT, torch.finfo().min)
    return torch.from_numpy(token_T)[None], torch.from_numpy(place_T)[None], mask_TT[None, None]


def plain_and_adapted(encoder: TextEncoder) -> tuple[Encode, Encode]:
    """What encodes texts without LoRA, and with it, by the weights of an encoder that has it: to rounding the same, in
    the quickest way that keeps to that."""
    return (
        _quickest(unadapted(encoder), lambda: _with_layers(encoder, lambda layer: LaidOut(layer.base_layer))),
        _quickest(encoder, lambda: _with_layers(encoder, lambda layer: LaidOut(layer.base_layer, _added(layer)))),
    )


def unadapted(encoder: TextEncoder) -> TextEncoder:
    """The same weights in modules of their own, without LoRA: nothing has to be switched to and fro."""
    return _with_layers(encoder, lambda layer: layer.base_layer)


def is_small(encoder: TextEncoder) -> bool:
    return sum(each.numel() for each in encoder.parameters()) <= SMALL


@torch.no_grad()
def _quickest(encoder: TextEncoder, changed: Callable[[], TextEncoder]) -> Encode:
    if not is_small(encoder):
        return encoder
    vector_NE = encoder(_PROBES)
    try:
        quick = changed()
    except (RuntimeError, AttributeError):  # no oneDNN
        quick = encoder
    return next((way for way in (OneRow(quick), quick) if _gives(way, vector_NE)), encoder)


def _gives(encode: Encode, vector_NE: Tensor) -> bool:
    try:
        return torch.allclose(encode(_PROBES), vector_NE, atol=_ALIKE)
    except (RuntimeError, IndexError, TypeError, ValueError):
        return False


def _added(layer: Any) -> Tensor:
    """What LoRA adds to the weights of a layer (Hu et al. 2022, equation 3)."""
    (name,) = layer.active_adapters
    added: Tensor = layer.get_delta_weight(name)
    return added


def _with_layers(encoder: TextEncoder, change: Callable[[Any], nn.Module]) -> TextEncoder:
    shared = {id(each): each for each in (*encoder.parameters(), *encoder.buffers())}
    changed = copy.deepcopy(encoder, shared)
    for module in list(changed.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "base_layer"):
                setattr(module, name, change(child))
    return changed.eval()
