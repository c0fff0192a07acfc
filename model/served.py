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

from model.calibration.calibration import Calibration
from model.found import FoundModel
from model.known_texts import KnownTexts, Late
from model.leave_one_out import centre_of
from model.placed import Histories
from model.quick_reading import Encodings, QuickMatcher, QuickReader, by_row
from model.text_cache import TextTable
from model.text_encoder import TextEncoder
from model.together import first_adapted, unadapted
from model.vectors import Demand, Users

SMALL = 100_000_000
"""A language model of at most so many parameters encodes a sentence by one thread: others would be awaited longer than
they work. So its numbers are the same on any number of processors."""


class ServedModel(FoundModel):
    """Opened with `from_pretrained`. What it prepares does not follow a training of its weights."""

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "ServedModel":
        model = super().from_pretrained(folder)
        assert isinstance(model, ServedModel)
        if model.calibration is not None:
            model._past = PastUsers(model, model.calibration)
        if model.is_small:
            torch.set_num_threads(1)
        assert model.together is None or model.plain  # made now rather than by the first question
        return model

    _past: "PastUsers | None" = None

    @cached_property
    def plain(self) -> TextEncoder:
        """The encoder of events and searches without the text tower's LoRA."""
        return unadapted(self.encoder) if self.encoder is self.text.encoder else self.encoder

    @cached_property
    def together(self) -> TextEncoder | None:
        """What encodes a demand and plain texts at once, where the same weights do both."""
        return first_adapted(self.text.encoder) if self.encoder is self.text.encoder else None

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        return np.asarray(self.plain(texts).float().cpu().numpy()) if len(texts) == 1 else self.plain.encode(texts)

    @property
    def is_small(self) -> bool:
        return sum(each.numel() for each in self.encoder.parameters()) <= SMALL

    def read_demands(self, demands: Sequence[str], day: date) -> list[Demand]:
        return self.calibrated(demands, self.uncalibrated(demands, day), day)

    def uncalibrated(self, demands: Sequence[str], day: date) -> list[Demand]:
        """Each with what `calibrated` will read beside it: its encoding is the same whatever else is asked."""
        if self.together is None:
            return super().uncalibrated(demands, day)
        return [self._uncalibrated(said, day) for said in demands]

    @torch.no_grad()
    def _uncalibrated(self, said: str, day: date) -> Demand:
        assert self.together is not None
        texts = self._past.reader.needed(said, day) if self._past else []
        encoded_NE = self.together([self.read(said), *texts])
        if self._past:
            self._past.encodings.keep(said, texts, encoded_NE[1:].float().cpu().numpy())
        return self.demands(encoded_NE[:1], day)[0]

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
        self.encodings = Encodings(model.encode_texts, matcher.words)
        calibration.reader = self.reader = QuickReader(past, matcher, self.encodings)
        self._past, self._late = past.users, Late(model)
        self._vector_NM = past.users.vectors.astype(np.float64)
        self._histories = Histories.of(past.users.texts)
        rows = past.known.rows(self._histories.key_V)
        text_KE = past.known.vectors[rows].astype(np.float32) - centre_of(model).astype(np.float32)
        self._text_KE = text_KE / np.maximum(np.linalg.norm(text_KE, axis=1, keepdims=True), 1e-12)

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        return self.encodings.later(texts)

    def score(self, users: Users, demand: Demand, vectors: TextTable) -> "np.ndarray":
        assert users is self._past
        product_N = by_row(self._vector_NM, demand.vector.astype(np.float64))
        cosine_K = by_row(self._text_KE, demand.late.astype(np.float32)).astype(np.float64)
        return self._histories.nearly(self._late.asked(demand, self._histories.key_V, cosine_K), product_N)
