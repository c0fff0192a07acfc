"""Who of everybody in memory may be among the best for what was asked, before anybody is scored to the last bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.bounds import Bounds
from model.combining import answered
from serving.audience import Demand
from serving.question import Asked
from serving.remembered import Everybody
from serving.telemetry.stages import stage

ROUNDING = 1e-3
"""In log odds: far above what sums in float32 are off by."""


@dataclass
class Nearly:
    """Scores of everybody for one question: of a single sentence between bounds, while these tell who is among the
    best; else but for rounding."""

    everybody: Everybody
    asked: Sequence[Asked]
    demands: Sequence[Demand]
    probabilities: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    _are_bounds_enough: bool = True

    def __post_init__(self) -> None:
        self._are_bounds_enough = len(self.asked) == 1 and not self.asked[0].negated

    @property
    def scores(self) -> NDArray[np.float64]:
        """Nearly those of all users."""
        return self._bounds.likely_B.astype(np.float64) if self._are_bounds_enough else self._close

    @stage("search")
    def best(self, within: NDArray[np.int64], length: int, most: int) -> NDArray[np.int64]:
        """All who may be among the `length` best of those at these places; more than `most` only if they are tied."""
        if length >= len(within):
            return within
        if self._are_bounds_enough:
            found = _best(within, length, self._bounds.low_B, self._bounds.high_B)
            if len(found) <= most:
                return found
            self._are_bounds_enough = False
        return _best(within, length, self._close, self._close)

    @cached_property
    def _bounds(self) -> Bounds:
        return self.everybody.between(self.demands[0])

    @cached_property
    def _close(self) -> NDArray[np.float64]:
        each = [self.everybody.nearly(demand) for demand in self.demands]
        return answered(self.probabilities, self.asked, each)[0]


def _best(
    within: NDArray[np.int64], length: int, low: NDArray[np.floating], high: NDArray[np.floating]
) -> NDArray[np.int64]:
    if len(within) < len(low):
        return within[_best(np.arange(len(within)), length, low[within], high[within])]
    last = np.partition(low, -length)[-length]
    return np.flatnonzero(high >= last - ROUNDING)
