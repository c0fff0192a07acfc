"""A demand's line: from the scores that it gives to past users, to whether they did what it says.

Probabilities need three things that a trained score does not have: how broad the demand is (read off the texts of
past futures), how far scores lie apart (the slope), and how active today's users are, which their scores tell once the
line is fitted to past users one by one.

Shape suffix: N past users.
"""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

import numpy as np

from model.calibration.line import Line, fit_bias, fit_line
from model.calibration.matching import Matcher
from model.calibration.past import Past
from model.calibration.reading import MATCHED, PARTLY, UNMATCHED, Reader
from model.calibration.units import Units
from model.text_cache import TextTable
from model.vectors import Demand, Users

OFF = {MATCHED: 0.75, PARTLY: 0.8, UNMATCHED: 1.4}
"""How far the log of a size is off (a standard deviation) for how the demand was read: the least by which the intervals
hold 80 % of the scenarios of each of four lakes, on their fit splits (docs/experiments.md)."""


class Scores(Protocol):
    """What calibration needs of a model."""

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray": ...

    def score(self, users: Users, demand: Demand, vectors: TextTable) -> "np.ndarray": ...


class Calibration:
    """Of one model. The same demand and day give the same line."""

    def __init__(self, past: Past) -> None:
        self.past = past
        matcher = Matcher(Units.of(past.texts, past.units), past.is_event_V, past.unit_UE, past.text_VE)
        self.reader = Reader(past.texts, past.source_VS, matcher, past.words, past.future_NF)

    def calibrated(self, model: Scores, said: str, demand: Demand, day: date) -> Demand:
        """The demand whose scores are log odds that hold. What is read in part gives no slope, and where no text of the
        lake is near to what is said the demand stays as it was, but for its spread."""
        reading = self.reader.read(said, day, model.encode_texts)
        spread = float(np.hypot(OFF[reading.kind], self.past.drift))
        if reading.kind == UNMATCHED:
            return demand.moved(Line(), spread=spread)
        score_N = model.score(self.past.users, demand, self.past.known)
        fit = fit_line if reading.kind == MATCHED else fit_bias
        return demand.moved(fit(score_N, reading.happened_N), spread=spread)
