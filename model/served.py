"""The model as a service asks it: the numbers of FoundModel, to rounding, with all prepared that no question changes.

Whatever promises the service's own scores asks this one too: a line that is fitted to other roundings ends in another
last bit.

Shape suffixes: N past users, K distinct texts of their histories, E encoder width.
"""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.calibration.calibration import Calibration
from model.found import FoundModel
from model.known_texts import KnownTexts, Late
from model.leave_one_out import centre_of
from model.placed import Histories
from model.quick_encoding import Encode, OneRow, is_small, plain_and_adapted, unadapted
from model.quick_reading import Encodings, QuickMatcher, QuickReader, by_row
from model.text_cache import TextTable
from model.text_encoder import TextEncoder
from model.text_space import TextSpace
from model.vectors import Demand, Users


class ServedModel(FoundModel):
    """Opened with `from_pretrained`. What it prepares does not follow a training of its weights."""

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "ServedModel":
        model = super().from_pretrained(folder)
        assert isinstance(model, ServedModel)
        if model.calibration is not None:
            model._past = PastUsers(model, model.calibration)
        if is_small(model.encoder):
            torch.set_num_threads(1)
        model.text.space = AskedOnce.like(model.text.space)
        assert model._encoders  # made now rather than by the first question
        return model

    _past: "PastUsers | None" = None

    @cached_property
    def plain(self) -> TextEncoder:
        """The encoder of events and searches without the text tower's LoRA."""
        return unadapted(self.encoder) if self.encoder is self.text.encoder else self.encoder

    def hasten(self) -> None:
        """Prepares what takes seconds and pays off over many questions; answers stay what they are."""
        for encode in self._encoders:
            if isinstance(encode, OneRow):
                encode.export()

    @cached_property
    def _encoders(self) -> tuple[Encode, Encode]:
        """Of plain texts, and of demands."""
        plain, adapted = plain_and_adapted(self.text.encoder)
        return plain if self.encoder is self.text.encoder else self.encoder, adapted

    @torch.inference_mode()
    def encode_together(self, texts: Sequence[str]) -> "np.ndarray":
        """float32 [N, E]: few texts at once, to rounding those of `encode_texts`."""
        plain, _ = self._encoders
        return np.asarray(plain(texts).float().cpu().numpy())

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        return np.asarray(self.plain(texts).float().cpu().numpy()) if len(texts) == 1 else self.plain.encode(texts)

    def read_demands(self, demands: Sequence[str], day: date) -> list[Demand]:
        return self.calibrated(demands, self.uncalibrated(demands, day), day)

    @torch.inference_mode()
    def uncalibrated(self, demands: Sequence[str], day: date) -> list[Demand]:
        """Each is the same whatever else is asked."""
        _, adapted = self._encoders
        return [self.demands(adapted([self.read(said)]), day)[0] for said in demands]

    def calibrated(self, demands: Sequence[str], asked: Sequence[Demand], day: date) -> list[Demand]:
        """What `read_demands` gives for sentences that were read by `uncalibrated`."""
        if self.calibration is None or self._past is None:
            return list(asked)
        both = zip(demands, asked, strict=True)
        return [self.calibration.calibrated(self._past, said, demand, day) for said, demand in both]

    def known(self, vectors: TextTable, keys: "np.ndarray") -> KnownTexts:
        """These texts, prepared for demands; `vectors` must hold them all."""
        return KnownTexts(self, vectors, keys)


class AskedOnce(TextSpace):
    """What a demand asks, reckoned once for its vector, its late interaction and its biases."""

    _met: tuple[Tensor, Tensor] | None = None

    @classmethod
    def like(cls, space: TextSpace) -> "AskedOnce":
        """Over the very same tensors."""
        made = cls.__new__(cls)
        made.__dict__.update(space.__dict__)
        return made

    def asked(self, encoded_NE: Tensor) -> Tensor:
        met = self._met
        if met is None or met[0] is not encoded_NE:
            met = self._met = encoded_NE, super().asked(encoded_NE)
        return met[1]


class PastUsers:
    """What a calibration asks of a model (model.calibration.calibration.Scores), prepared for its own past users; the
    calibration reads by stems that are looked up."""

    def __init__(self, model: ServedModel, calibration: Calibration) -> None:
        past = calibration.past
        matcher = QuickMatcher(calibration.reader.matcher)
        self.encodings = Encodings(model.encode_texts, model.encode_together, matcher.words)
        calibration.reader = self.reader = QuickReader(past, matcher, self.encodings)
        self._past, self._late = past.users, Late(model)
        self._histories = Histories.of(past.users.texts)
        rows = past.known.rows(self._histories.key_V)
        text_KE = past.known.vectors[rows].astype(np.float32) - centre_of(model).astype(np.float32)
        self._text_KE = text_KE / np.maximum(np.linalg.norm(text_KE, axis=1, keepdims=True), 1e-12)

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        return self.encodings.later(texts)

    def score(self, users: Users, demand: Demand, vectors: TextTable) -> "np.ndarray":
        assert users is self._past
        product_N = by_row(users.vectors, demand.vector).astype(np.float64)
        cosine_K = by_row(self._text_KE, demand.late.astype(np.float32)).astype(np.float64)
        return self._histories.nearly(self._late.asked(demand, self._histories.key_V, cosine_K), product_N)
