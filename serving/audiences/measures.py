"""What became of a promise, in figures: realised rate, precision, lift by decile, hold-out against the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECILES = 10
PRECISION_AT = (10, 50, 100, 500, 1_000, 5_000, 10_000)
EFFECT_LEVEL = 0.95
FEWEST_HELD_OUT = 50
"""With fewer, the interval of an effect is too wide to be read."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Realised:
    """The members in rank order: their probability, whether they did it, whether they were held out."""

    probability: NDArray[np.float64]
    did: Flags
    holdout: Flags


@dataclass(frozen=True)
class Population:
    """Everybody who was known at ds: how many, and how many of them did it."""

    users: int
    did: int

    @property
    def rate(self) -> float:
        return self.did / self.users if self.users else 0.0


def backtested(realised: Realised, population: Population, prediction: dict[str, Any]) -> dict[str, Any]:
    """All figures of one audience, as JSON values."""
    did = realised.did
    count, users = int(did.sum()), len(did)
    return {
        "realised": {"count": count, "users": users, "rate": count / users if users else 0.0},
        "predicted": {
            "expected": prediction["expected"],
            "within": bool(prediction["low"] <= count <= prediction["high"]),
            "factor": prediction["expected"] / count if count else None,
        },
        "base_rate": population.rate,
        "population": population.users,
        "lift": lift(count, users, population.rate),
        "precision": {str(k): float(did[:k].mean()) for k in (*PRECISION_AT, users) if 0 < k <= users},
        "deciles": deciles(realised, population.rate),
        "effect": effect(realised),
    }


def deciles(realised: Realised, base_rate: float) -> list[dict[str, Any]]:
    """Tenths of the audience by rank, the best first; fewer where there are fewer members."""
    parts = np.array_split(np.arange(len(realised.did)), min(DECILES, max(1, len(realised.did))))
    return [_decile(at, part, realised, base_rate) for at, part in enumerate(parts, start=1) if len(part)]


def _decile(at: int, part: NDArray[np.intp], realised: Realised, base_rate: float) -> dict[str, Any]:
    count = int(realised.did[part].sum())
    return {
        "decile": at,
        "users": len(part),
        "probability": float(realised.probability[part].mean()),
        "rate": count / len(part),
        "lift": lift(count, len(part), base_rate),
    }


def lift(count: int, users: int, base_rate: float) -> float | None:
    """How many times the rate of everybody; none where nobody did it."""
    return count / users / base_rate if users and base_rate else None


def effect(realised: Realised) -> dict[str, Any] | None:
    """Members that were exported against the hold-out; None without a hold-out.

    The difference of the rates with Newcombe's interval (1998, method 10). It is the effect of what was done to the
    exported members, if anything was: who was held out is random.
    """
    if not realised.holdout.any():
        return None
    sides = {"treated": realised.did[~realised.holdout], "holdout": realised.did[realised.holdout]}
    told = {
        name: {"users": len(did), "count": int(did.sum()), "rate": float(did.mean()) if len(did) else 0.0}
        for name, did in sides.items()
    }
    low, high = newcombe(*[(int(did.sum()), len(did)) for did in sides.values()], level=EFFECT_LEVEL)
    return {
        **told,
        "difference": told["treated"]["rate"] - told["holdout"]["rate"],
        "low": low,
        "high": high,
        "level": EFFECT_LEVEL,
        "enough": min(len(did) for did in sides.values()) >= FEWEST_HELD_OUT,
    }


def newcombe(one: tuple[int, int], other: tuple[int, int], *, level: float) -> tuple[float, float]:
    """The interval of the difference of two rates, each given as (count, users)."""
    first, second = rate_and_wilson(*one, level=level), rate_and_wilson(*other, level=level)
    difference = first[0] - second[0]
    below = sqrt((first[0] - first[1]) ** 2 + (second[2] - second[0]) ** 2)
    above = sqrt((first[2] - first[0]) ** 2 + (second[0] - second[1]) ** 2)
    return max(-1.0, difference - below), min(1.0, difference + above)


def rate_and_wilson(count: int, users: int, *, level: float) -> tuple[float, float, float]:
    """A rate with the bounds of Wilson's interval (1927); anything is possible where there is nobody."""
    if not users:
        return 0.0, 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, scale = count / users, 1 + z * z / users
    centre = (rate + z * z / (2 * users)) / scale
    half = z * sqrt(rate * (1 - rate) / users + z * z / (4 * users * users)) / scale
    return rate, max(0.0, centre - half), min(1.0, centre + half)


def flags(users: Sequence[str], doers: frozenset[str]) -> Flags:
    """Which of the users are among the doers."""
    return np.array([user in doers for user in users], dtype=bool)
