"""The demands of one question and the texts that they meet: how near each is, reckoned once for all who ask."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.placed import Histories, Placed
from serving.audience import Demand, DemandModel, Known


class Meeting:
    """`known` are texts that are prepared already; others are prepared when histories have them."""

    def __init__(self, model: DemandModel, vectors: Any, demands: Sequence[Demand], known: Known | None) -> None:
        self.model, self.demands = model, demands
        self._vectors = vectors
        self._known = {id(known.key_V): known} if known else {}

    def asked(self, at: int, histories: Histories) -> Placed:
        """What the demand asks of these histories."""
        return self._of(histories).asked(self.demands[at], histories.place_N)

    def products(self, at: int, histories: Histories) -> NDArray[np.float32]:
        """See model.known_texts.KnownTexts.products, of each text of these histories."""
        return self._of(histories).products(self.demands[at], histories.place_N)

    def _of(self, histories: Histories) -> Known:
        name = id(histories.key_V)
        if name not in self._known:
            self._known[name] = self.model.known(self._vectors, histories.key_V)
        return self._known[name]
