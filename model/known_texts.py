"""The distinct texts of a publication, prepared for demands.

Everybody is scored by cosines in single precision, whoever is among the best again by those of model/scores.py, which
are reckoned for the texts of these alone.

Shape suffixes: V distinct texts, E encoder width, M width of the text part, H floors.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from model.encoders import made_by
from model.found import FoundModel
from model.leave_one_out import axes_of, centre_of
from model.placed import Placed
from model.quick_reading import by_row
from model.scores import TINY
from model.text_cache import TextTable
from model.vectors import Demand

CHUNK = 256
"""So many texts in double precision, in memory of their own: they stay in a processor's cache, and no page is new."""
MOST_MET = 16
"""Of so many sentences it is kept how near texts are."""


_PARTS = 2
_BESIDE = ThreadPoolExecutor(_PARTS, thread_name_prefix="cosines")
"""So many parts of the texts are measured at once."""


class Late:
    """Late interaction with the model's constants, read once."""

    def __init__(self, model: FoundModel) -> None:
        self.interacts = model.recipe.alignment != "infonce"
        late = model.late
        self._sharpness = late.log_sharpness.detach().exp().item()
        constants = (late.gain_H, late.log_floor_H.exp())
        self._gain_H, self._floor_H = (each.detach().double().cpu().numpy() for each in constants)

    def asked(self, demand: Demand, key_V: "np.ndarray", cosine_V: "np.ndarray") -> Placed:
        """What a demand asks of histories over these keys, given the cosines of their texts to it."""
        return self.placed(demand, key_V, self.near(cosine_V))

    def near(self, cosine: "np.ndarray") -> "np.ndarray":
        return np.asarray(np.exp(self._sharpness * (cosine - 1)))

    def placed(self, demand: Demand, key_V: "np.ndarray", near_V: "np.ndarray") -> Placed:
        constants = self._gain_H, self._floor_H, demand.late_weight, demand.late_bias
        return Placed(demand.vector, key_V, near_V, *constants)

    def nothing(self, demand: Demand, key_V: "np.ndarray") -> Placed:
        """What a demand asks where there is no late interaction."""
        none = np.zeros(0)
        return Placed(demand.vector, key_V, none, none, none, demand.late_weight, demand.late_bias)


class KnownTexts:
    """`vectors` must hold every one of the keys, which ascend."""

    def __init__(self, model: FoundModel, vectors: TextTable, key_V: "np.ndarray") -> None:
        self.key_V, self._late = key_V, Late(model)
        self._axes_ME = None if model.recipe.embedding else axes_of(model)
        self._centre_E = centre_of(model)
        table = made_by(model.encoder, vectors)
        self._table, self._row_V = table.vectors, table.rows(key_V)
        square_V = self._sums(np.arange(len(key_V)), lambda text_CE: np.multiply(text_CE, text_CE, out=text_CE))
        self._norm_V = np.maximum(np.sqrt(square_V), TINY)
        self._met: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MOST_MET)

    def asked(self, demand: Demand, place_N: "np.ndarray") -> Placed:
        """What the demand asks of histories whose texts are at these places among the keys; of others NaN."""
        if not self._late.interacts:
            return self._late.nothing(demand, self.key_V)
        near_V = self._met_near(demand.late)
        wanted_V = np.zeros(len(near_V), bool)
        wanted_V[place_N] = True
        place_K = np.flatnonzero(wanted_V & np.isnan(near_V))
        unit_E = demand.late.astype(np.float64)
        halves = _BESIDE.map(lambda half_K: self._cosines(half_K, unit_E), np.array_split(place_K, _PARTS))
        near_V[place_K] = self._late.near(np.concatenate(list(halves)))
        return self._late.placed(demand, self.key_V, near_V)

    def nearly(self, demand: Demand) -> Placed:
        """What the demand asks of all histories, but for rounding."""
        if not self._late.interacts:
            return self._late.nothing(demand, self.key_V)
        return self._late.asked(demand, self.key_V, by_row(self._unit_VE, demand.late.astype(np.float32)))

    def products(self, demand: Demand, place_N: "np.ndarray") -> "np.ndarray":
        """float32 [N]: the inner products of the texts at these places with the demand's vector, in the space of the
        users' text parts; 0 for a model whose vectors are no means of texts."""
        if self._axes_ME is None:
            return np.zeros(len(place_N), np.float32)
        place_K, at_N = np.unique(place_N, return_inverse=True)
        turned_E = (demand.vector[1:-1].astype(np.float64) @ self._axes_ME).astype(np.float32)
        return by_row(self._unit_VE[place_K], turned_E)[at_N]

    def _cosines(self, place_K: "np.ndarray", unit_E: "np.ndarray") -> "np.ndarray":
        """Those of model.scores.cosines, bit by bit, without measuring the texts again."""
        return self._sums(place_K, lambda text_CE: np.multiply(text_CE, unit_E, out=text_CE)) / self._norm_V[place_K]

    def _sums(self, place_K: "np.ndarray", change: "Callable[[np.ndarray], np.ndarray]") -> "np.ndarray":
        """float64 [K]: of what is made, in place, of the texts at these places, seen from the centre."""
        sum_K = np.empty(len(place_K))
        space_CE = np.empty((CHUNK, len(self._centre_E)))
        for start in range(0, len(place_K), CHUNK):
            row_C = self._row_V[place_K[start : start + CHUNK]]
            text_CE = np.subtract(self._table[row_C], self._centre_E, out=space_CE[: len(row_C)], dtype=np.float64)
            sum_K[start : start + CHUNK] = change(text_CE).sum(1)
        return sum_K

    def hold(self) -> "KnownTexts":
        """The same, with everything in memory that `nearly` needs, rather than at the first demand."""
        assert len(self._unit_VE) == len(self.key_V)
        return self

    @cached_property
    def _unit_VE(self) -> "np.ndarray":
        text_VE = self._table[self._row_V].astype(np.float32) - self._centre_E.astype(np.float32)
        return np.asarray(text_VE / np.maximum(np.linalg.norm(text_VE, axis=1, keepdims=True), TINY))

    def _met_near(self, unit_E: "np.ndarray") -> "np.ndarray":
        """What is known of a sentence that is asked again, of other histories or calibrated: `moved` leaves its very
        array as it is."""
        near_V = next((known for unit, known in tuple(self._met) if unit is unit_E), None)
        if near_V is None:
            near_V = np.full(len(self.key_V), np.nan)
            self._met.append((unit_E, near_V))
        return near_V
