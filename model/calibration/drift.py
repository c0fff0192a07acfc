"""How far a size is off for that the past is another time than today: measured between two times of the past.

A line that is fitted at the earlier time says how many do something at the later one, for demands whose texts are known
(all that hold a unit), so that nothing but time is at fault.
"""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

import numpy as np

from model.calibration.calibration import Calibration, Scores
from model.calibration.line import fit_line
from model.calibration.past import Past
from model.calibration.units import Units
from model.concepts import PHRASES
from model.vectors import Demand
from model.words import MAX_SHARE

ASKED = 40
"""Demands that are looked at, from the most frequent units to the rarest."""
SOME = 20
"""What so few do is off by chance."""
FEWEST = 5
"""Of fewer demands nothing is concluded."""
UNKNOWN = 0.3
"""Where there is only one time, or nothing to look at."""
MOST = 0.4
"""What is measured in a lake's first weeks, when everyone is new, goes far beyond what comes after them."""


class Asks(Scores, Protocol):
    """A model that reads demands as they were trained."""

    def uncalibrated(self, demands: Sequence[str], day: date) -> list[Demand]: ...


def drift(model: Asks, now: Past, then: Past, day: date, horizons: float) -> float:
    """The standard deviation of the log of a size over one horizon. `horizons` lie between the two times; what drifts
    is taken for a random walk, which is off by the root of the time."""
    if horizons <= 0:
        return UNKNOWN
    names = _names(now)
    sides = [(Calibration(past).reader, Units.of(past.texts, names)) for past in (now, then)]
    off: list[float] = []
    for name, only_U in zip(names, np.eye(len(names)), strict=True):
        happened, before = (reader.happened(units.texts_with(only_U)) for reader, units in sides)
        if min(happened.sum(), before.sum()) < SOME:
            continue
        (demand,) = model.uncalibrated([PHRASES[len(off) % len(PHRASES)].format(name)], day)
        line = fit_line(model.score(then.users, demand, then.known), before)
        predicted = line.probabilities(model.score(now.users, demand, now.known)).mean()
        off.append(float(np.log(predicted / happened.mean())))
    if len(off) < FEWEST:
        return UNKNOWN
    return min(MOST, float(np.sqrt(np.mean(np.square(off)) / horizons)))


def _names(past: Past) -> list[str]:
    """Units that tell the lake's texts apart, from frequent to rare."""
    units = Units.of(past.texts, past.units)
    share_U = units.share_U(past.is_event_V)
    telling = [u for u in np.argsort(-share_U, kind="stable") if 0 < share_U[u] <= MAX_SHARE]
    return [past.units[u] for u in telling[:: 1 + len(telling) // (10 * ASKED)][:ASKED]]
