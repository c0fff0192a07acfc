"""Users on a map: the two directions in which users differ most beside how active they are (PCA of their vectors).

How active a user is explains nine tenths of what vectors differ by, and every figure of the page says it already. So
the direction of a vector's text part is taken, less a cubic fit of it on the vector's propensity. Users who lie close
to each other did similar things; the axes themselves mean nothing. Matrices hold one user per row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.audiences.seeds import Matrix, text_part, unit
from serving.desk import Desk
from serving.rows import Vector
from serving.targeting import Targeting

MOST_POINTS = 2_000
MOST_LIT = 500
_DEGREE = 3
_SEED = 0

Point = tuple[float, float]


@dataclass(frozen=True)
class Map:
    """`points` of the sample within [-1, 1], in random order; `explained` is their share of the variance that is left
    beside activity."""

    usual: tuple[float, float]
    """Mean and spread of the sample's propensity."""
    fit: Matrix
    axes: Matrix
    points: tuple[Point, ...]
    explained: float
    users: int

    def place(self, vectors: Mapping[str, Vector], users: Iterable[str]) -> tuple[Point, ...]:
        """Where these users lie, in their order; those without a vector are left out."""
        known = [vectors[user] for user in users if user in vectors]
        if not known:
            return ()
        found = np.stack(known)
        return _points((unit(text_part(found)) - _powers(found, self.usual) @ self.fit) @ self.axes)


def drawn(vectors: NDArray[np.float32], users: int) -> Map:
    """The map of a sample of `users` users; the same for the same vectors, sign included."""
    propensity = vectors[:, 0].astype(np.float64)
    usual = float(propensity.mean()), float(propensity.std()) or 1.0
    parts, powers = unit(text_part(vectors)), _powers(vectors, usual)
    fit = np.linalg.lstsq(powers, parts, rcond=None)[0].astype(np.float64)
    rest = parts - powers @ fit
    _, lengths, turned = np.linalg.svd(rest, full_matrices=False)
    axes = np.zeros((parts.shape[1], 2))
    axes[:, : min(2, len(turned))] = turned[:2].T
    axes *= np.where(axes[np.abs(axes).argmax(0), [0, 1]] < 0, -1.0, 1.0)
    size = float(np.abs(rest @ axes).max()) or 1.0
    total = float((lengths**2).sum())
    explained = float((lengths[:2] ** 2).sum()) / total if total else 0.0
    return Map(usual, fit, axes / size, _points(rest @ axes / size), explained, users)


def _powers(vectors: NDArray[np.float32], usual: tuple[float, float]) -> Matrix:
    """1, p, p^2, p^3 of each propensity, standardised."""
    return np.vander((vectors[:, 0].astype(np.float64) - usual[0]) / usual[1], _DEGREE + 1)


def map_of(desk: Desk, targeting: Targeting) -> Map:
    """The map of what the desk answers by."""
    index, name = targeting.index, targeting.publication.collection
    sample = index.vectors(name, index.sample(name, MOST_POINTS, seed=_SEED))
    return drawn(np.stack(list(sample.values())), index.count(name))


def placed(targeting: Targeting, drawing: Map, users: Sequence[str]) -> tuple[Point, ...]:
    """Where the first MOST_LIT of these users lie."""
    lit = users[:MOST_LIT]
    return drawing.place(targeting.index.vectors(targeting.publication.collection, lit), lit)


def _points(found: NDArray[np.float64]) -> tuple[Point, ...]:
    return tuple((round(x, 4), round(y, 4)) for x, y in found.tolist())
