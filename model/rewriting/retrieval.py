"""The texts of the lake nearest to a topic, by cosine in the encoder's space; nothing where nothing is near.

Shape suffixes: V texts, E encoder width, C candidates.
"""

from dataclasses import dataclass

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import PAYMENT, STATUS_SUMMARY
from model.rewriting.document import ANY
from model.rewriting.lake import KnownLake

MOST_SENTENCES = 8
NEAR = 0.4
"""The least cosine to the topic."""
NEAR_BEST = 0.75
"""And the least share of the best text's cosine."""
TOO_ALIKE = 0.93
"""A text this near to a better one says nothing new."""
CANDIDATES = 64

_TELLING = (PAYMENT.lead, STATUS_SUMMARY.split("{")[0])


@dataclass(frozen=True)
class Found:
    """Texts, best first, and the cosine of the best text there was."""

    texts: tuple[tuple[str, float], ...]
    best: float


class Retrieval:
    """Search over one lake; `vectors_VE` are its texts' unit vectors. Ties go to the smaller text key."""

    def __init__(self, lake: KnownLake, vectors_VE: "np.ndarray") -> None:
        self.lake, self.vectors_VE = lake, vectors_VE
        telling_V = np.array([text.startswith(_TELLING) for text in lake.texts], bool) & lake.is_summary_V
        known_V = lake.source_VS.any(1)
        self._allowed = {ANY: lake.is_event_V | telling_V}
        for place, source in enumerate(EVENT_SOURCES):
            own_V = lake.is_event_V & (lake.source_VS[:, place] | ~known_V)
            self._allowed[source] = own_V | telling_V if source == "bills" else own_V

    def nearest(self, vector_E: "np.ndarray", source: str = ANY) -> Found:
        """At most MOST_SENTENCES texts of the source's events (and what templates say of bills) near a unit vector."""
        rows_C = np.flatnonzero(self._allowed[source])
        if not len(rows_C):
            return Found((), 0.0)
        cosine_V = self.vectors_VE @ vector_E
        best_first = rows_C[np.argsort(-cosine_V[rows_C], kind="stable")[:CANDIDATES]]
        best = float(cosine_V[best_first[0]])
        kept: list[int] = []
        for row in best_first.tolist():
            if len(kept) == MOST_SENTENCES or cosine_V[row] < max(NEAR, NEAR_BEST * best):
                break
            if not kept or float((self.vectors_VE[kept] @ self.vectors_VE[row]).max()) < TOO_ALIKE:
                kept.append(row)
        return Found(tuple((self.lake.texts[row], round(float(cosine_V[row]), 4)) for row in kept), best)

    def all_near(self, vector_E: "np.ndarray", source: str = ANY) -> Found:
        """Every text that is as near as `nearest` asks, however many and however alike they are."""
        rows_C = np.flatnonzero(self._allowed[source])
        if not len(rows_C):
            return Found((), 0.0)
        cosine_C = self.vectors_VE[rows_C] @ vector_E
        best = float(cosine_C.max())
        best_first = [at for at in np.argsort(-cosine_C, kind="stable") if cosine_C[at] >= max(NEAR, NEAR_BEST * best)]
        return Found(tuple((self.lake.texts[rows_C[at]], round(float(cosine_C[at]), 4)) for at in best_first), best)
