"""Resamples of a scenario's users that every method shares, and what is kept of a measure under them.

The generator is seeded by the scenario's id alone, so replicate r of two methods, computed years apart, is the same
draw of users: the difference of their replicates is the paired bootstrap. Resampling is within each kind of user, so
every replicate has the scenario's base rate.
Shape suffixes: N users, R replicates.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

REPLICATES = 200
LEVEL = 0.95
STEPS = 255
"""Replicates are kept in one byte each, as places between the smallest and the largest."""
DIGITS = 6


@dataclass(frozen=True)
class Measured:
    """A measure of the users as they are, and of their resamples where those are kept; None where it is undefined."""

    value: float | None
    replicate_R: "np.ndarray"

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        return interval(self.replicate_R, level) if len(self.replicate_R) else None

    def packed(self) -> dict[str, Any]:
        """As JSON, a byte per replicate."""
        if self.value is None or not len(self.replicate_R):
            return {"value": self.value if self.value is None else round(self.value, DIGITS)}
        low, high = (round(float(end), DIGITS + 2) for end in (self.replicate_R.min(), self.replicate_R.max()))
        place_R = np.rint((self.replicate_R - low) / (high - low or 1.0) * STEPS).clip(0, STEPS).astype(np.uint8)
        text = base64.b64encode(place_R.tobytes()).decode()
        return {"value": round(self.value, DIGITS), "low": low, "high": high, "replicates": text}

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any]) -> "Measured":
        """What `packed` gave, each replicate to half a 255th of their range; or a value alone."""
        if packed["value"] is None:
            return UNDEFINED
        if "replicates" not in packed:
            return cls(packed["value"], np.zeros(0))
        place_R = np.frombuffer(base64.b64decode(packed["replicates"]), np.uint8)
        return cls(packed["value"], packed["low"] + place_R / STEPS * (packed["high"] - packed["low"]))


UNDEFINED = Measured(None, np.zeros(0))


def measured(value_R: "np.ndarray") -> Measured:
    """From the values under `weightings`: the users as they are first, then the resamples."""
    return Measured(float(value_R[0]), value_R[1:]) if np.isfinite(value_R).all() else UNDEFINED


def generator(name: str) -> np.random.Generator:
    """The generator of a scenario, the same on every machine and in every year."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def weightings(name: str, label_N: "np.ndarray", replicates: int = REPLICATES) -> "np.ndarray":
    """1 + R rows: each user once, then how often each is in each resample. The order of users is part of the draw."""
    rng = generator(name)
    weight_RN = np.ones((1 + replicates, len(label_N)))
    for kind in (label_N > 0, label_N <= 0):
        if size := int(kind.sum()):
            drawn = rng.integers(0, size, (replicates, size)) + size * np.arange(replicates)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=replicates * size)
            weight_RN[1:, kind] = counts.reshape(replicates, size)
    return weight_RN


def interval(replicate_R: "np.ndarray", level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval."""
    low, high = np.quantile(replicate_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
