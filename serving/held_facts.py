"""The columns that users are filtered by, in memory: of all users of a publication, as arrays."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serving.comparisons import AMONG, BETWEEN, DIFFERS, EQUALS, NOT_AMONG, Clause, Comparison
from serving.facts import Column

_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Numbers:
    """NaN is unknown."""

    values: NDArray[np.float64]

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    @property
    def known(self) -> Mask:
        return ~np.isnan(self.values)

    def among(self, values: Sequence[float]) -> Mask:
        return np.isin(self.values, np.array(values, np.float64))

    def ordered(self, comparison: Comparison) -> Mask:
        if comparison.sign == BETWEEN:
            low, high = comparison.value
            return np.asarray((self.values >= low) & (self.values <= high))
        return np.asarray(_ORDERS[comparison.sign](self.values, comparison.value), bool)


@dataclass(frozen=True)
class _Categories:
    """Places in a list of words; -1 is unknown."""

    places: NDArray[np.int32]
    words: pa.Array

    @property
    def nbytes(self) -> int:
        return int(self.places.nbytes + self.words.nbytes)

    @property
    def known(self) -> Mask:
        return self.places >= 0

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {word: place for place, word in enumerate(self.words.to_pylist())}

    def among(self, values: Sequence[str]) -> Mask:
        return np.isin(self.places, [self._places[value] for value in values if value in self._places])


@dataclass(frozen=True)
class HeldFacts:
    """Of `count` users; by the columns' stored names."""

    count: int
    columns: Mapping[str, _Numbers | _Categories]

    @property
    def nbytes(self) -> int:
        return sum(values.nbytes for values in self.columns.values())

    def meet(self, clauses: Sequence[Clause]) -> Mask:
        """Which users meet every clause [count]."""
        meets = np.ones(self.count, bool)
        for clause in clauses:
            meets &= np.any([self._met(comparison) for comparison in clause], axis=0)
        return meets

    def _met(self, comparison: Comparison) -> Mask:
        values = self.columns[comparison.stored]
        if comparison.sign in (EQUALS, DIFFERS):
            met = values.among([comparison.value])
        elif comparison.sign in (AMONG, NOT_AMONG):
            met = values.among(comparison.value)
        else:
            assert isinstance(values, _Numbers)  # serving.filters orders no categories
            met = values.ordered(comparison)
        if comparison.sign in (DIFFERS, NOT_AMONG):
            met = ~met
        return np.where(values.known, met, comparison.is_met_by_unknown)


def of_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> HeldFacts:
    """Those of some rows of the index."""
    return HeldFacts(len(rows), {c.stored: _held(c, [row.get(c.stored) for row in rows]) for c in columns})


def joined(columns: Sequence[Column], parts: Sequence[HeldFacts]) -> HeldFacts:
    """Those of all parts, in their order."""
    count = sum(part.count for part in parts)
    return HeldFacts(count, {c.stored: _joined([part.columns[c.stored] for part in parts]) for c in columns})


def _held(column: Column, values: list[Any]) -> _Numbers | _Categories:
    if column.kind != "category":
        return _Numbers(np.array(values, np.float64))
    return _encoded(pa.array(values, pa.string()).dictionary_encode())


def _joined(parts: Sequence[Any]) -> _Numbers | _Categories:
    if isinstance(parts[0], _Numbers):
        return _Numbers(np.concatenate([part.values for part in parts]))
    chunks = [pa.DictionaryArray.from_arrays(pa.array(part.places, mask=~part.known), part.words) for part in parts]
    return _encoded(pa.chunked_array(chunks).unify_dictionaries().combine_chunks())


def _encoded(values: pa.DictionaryArray) -> _Categories:
    return _Categories(values.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32), values.dictionary)
