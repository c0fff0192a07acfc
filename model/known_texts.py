"""The distinct texts of a publication, prepared for demands: centred once, their lengths measured once.

Cosines are those of model/scores.py, bit by bit: each is a sum over one text's own numbers in their own order.

Shape suffixes: V distinct texts, E encoder width, M width of the text part, H floors.
"""

from collections import deque

import numpy as np

from model.encoders import made_by
from model.found import FoundModel
from model.leave_one_out import axes_of, centre_of
from model.placed import Placed
from model.scores import CHUNK, TINY
from model.text_cache import TextTable
from model.vectors import Demand

MOST_MET = 16
"""So many sentences' cosines are kept."""


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
        near_V = np.exp(self._sharpness * (cosine_V - 1))
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
        table = made_by(model.encoder, vectors)
        self._text_VE = table.vectors[table.rows(key_V)].astype(np.float64) - centre_of(model)
        self._norm_V = np.maximum(np.sqrt((self._text_VE * self._text_VE).sum(1)), TINY)
        self._met: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MOST_MET)

    @property
    def nbytes(self) -> int:
        return int(self._text_VE.nbytes)

    def asked(self, demand: Demand) -> Placed:
        """What the demand asks of histories over these keys."""
        if not self._late.interacts:
            return self._late.nothing(demand, self.key_V)
        return self._late.asked(demand, self.key_V, self._met_cosines(demand.late))

    def products(self, demand: Demand) -> "np.ndarray":
        """float64 [V]: the inner products of the texts with the demand's vector, in the space of the users' text parts;
        0 for a model whose vectors are no means of texts."""
        if self._axes_ME is None:
            return np.zeros(len(self.key_V))
        return self._cosines(demand.vector[1:-1].astype(np.float64) @ self._axes_ME)

    def _met_cosines(self, unit_E: "np.ndarray") -> "np.ndarray":
        """Those of a sentence that is asked again, calibrated, are known: `moved` leaves its very array as it is."""
        cosine_V = next((known for unit, known in tuple(self._met) if unit is unit_E), None)
        if cosine_V is None:
            cosine_V = self._cosines(unit_E)
            self._met.append((unit_E, cosine_V))
        return cosine_V

    def _cosines(self, unit_E: "np.ndarray") -> "np.ndarray":
        wide_E, sum_V = unit_E.astype(np.float64), np.empty(len(self.key_V))
        for start in range(0, len(sum_V), CHUNK):
            sum_V[start : start + CHUNK] = (self._text_VE[start : start + CHUNK] * wide_E).sum(1)
        return np.asarray(sum_V / self._norm_V)
