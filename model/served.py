"""The model as a service asks it: the numbers of FoundModel, to rounding, with all prepared that no question changes.

Whatever promises the service's own scores asks this one too: a line that is fitted to other roundings ends in another
last bit.

Shape suffixes: N past users, K distinct texts of their histories, E encoder width.
"""

import copy
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from model.calibration.calibration import Calibration
from model.found import FoundModel
from model.known_texts import KnownTexts, Late
from model.leave_one_out import centre_of
from model.placed import Histories
from model.quick_reading import Encodings, QuickMatcher, QuickReader, by_row
from model.text_cache import TextTable
from model.text_encoder import TextEncoder
from model.vectors import Demand, Users


class ServedModel(FoundModel):
    """Opened with `from_pretrained`. What it prepares does not follow a training of its weights."""

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "ServedModel":
        model = super().from_pretrained(folder)
        assert isinstance(model, ServedModel)
        if model.calibration is not None:
            model._past = PastUsers(model, model.calibration)
        return model

    _past: "PastUsers | None" = None

    @cached_property
    def plain(self) -> TextEncoder:
        """The encoder of events and searches without the text tower's LoRA: the same weights, in modules of its own, so
        that nothing has to be switched to and fro."""
        shared = {id(each): each for each in (*self.encoder.parameters(), *self.encoder.buffers())}
        return _without_lora(copy.deepcopy(self.encoder, shared)) if self.encoder is self.text.encoder else self.encoder

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        return np.asarray(self.plain(texts).float().cpu().numpy()) if len(texts) == 1 else self.plain.encode(texts)

    def read_demands(self, demands: Sequence[str], day: date) -> list[Demand]:
        return self.calibrated(demands, self.uncalibrated(demands, day), day)

    def prepare(self, demands: Sequence[str], day: date) -> None:
        """Reads what `calibrated` will need of these sentences, for which their encodings are not needed."""
        if self.calibration is not None and self._past is not None:
            for said in demands:
                self.calibration.reader.read(said, day, self._past.encode_texts)

    def calibrated(self, demands: Sequence[str], asked: Sequence[Demand], day: date) -> list[Demand]:
        """What `read_demands` gives for sentences that were read by `uncalibrated`."""
        if self.calibration is None or self._past is None:
            return list(asked)
        both = zip(demands, asked, strict=True)
        return [self.calibration.calibrated(self._past, said, demand, day) for said, demand in both]

    def known(self, vectors: TextTable, keys: "np.ndarray") -> KnownTexts:
        """These texts, prepared for demands; `vectors` must hold them all."""
        return KnownTexts(self, vectors, keys)


class PastUsers:
    """What a calibration asks of a model (model.calibration.calibration.Scores), prepared for its own past users; the
    calibration reads by stems that are looked up."""

    def __init__(self, model: ServedModel, calibration: Calibration) -> None:
        past = calibration.past
        matcher = QuickMatcher(calibration.reader.matcher)
        calibration.reader = QuickReader(past, matcher)
        self._encodings = Encodings(model.encode_texts, matcher.words)
        self._past, self._late = past.users, Late(model)
        self._vector_NM = past.users.vectors.astype(np.float64)
        self._histories = Histories.of(past.users.texts)
        rows = past.known.rows(self._histories.key_V)
        text_KE = past.known.vectors[rows].astype(np.float32) - centre_of(model).astype(np.float32)
        self._text_KE = text_KE / np.maximum(np.linalg.norm(text_KE, axis=1, keepdims=True), 1e-12)

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        return self._encodings.later(texts)

    def score(self, users: Users, demand: Demand, vectors: TextTable) -> "np.ndarray":
        assert users is self._past
        product_N = by_row(self._vector_NM, demand.vector.astype(np.float64))
        cosine_K = by_row(self._text_KE, demand.late.astype(np.float32)).astype(np.float64)
        return self._histories.nearly(self._late.asked(demand, self._histories.key_V, cosine_K), product_N)


def _without_lora(encoder: TextEncoder) -> TextEncoder:
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "base_layer"):
                setattr(module, name, child.base_layer)
    return encoder.eval()
