"""What calibration reads of a demand, prepared once: the numbers of model/calibration, to rounding, in less time.

The words of a lake's units are encoded when a model is opened, other texts of a demand together when it is read, and
any other when it is met.

Shape suffixes: N past users, V texts of futures, T those that they have, K occurrences of units, U units, E encoder
width.
"""

from bisect import bisect_left
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property, lru_cache, partial
from itertools import takewhile
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from model.calibration.matching import Matcher, telling
from model.calibration.past import Past
from model.calibration.reading import Reader, Reading
from model.calibration.units import SHORTEST_START, Units, stem
from model.rewriting.document import Behaviour
from model.rewriting.grammar import Grammar

MOST_WORDS = 20_000
MOST_MET, MOST_READ, MOST_NEAR = 4_096, 64, 64 << 20
"""So many encodings of texts that were met alone are kept, so many demands as they were read, and so many bytes of how
near texts are to words."""

Encode = Callable[[Sequence[str]], "np.ndarray"]


def by_row(row_NE: "np.ndarray", vector_E: "np.ndarray") -> "np.ndarray":
    """[N]: row_NE @ vector_E by this thread alone. A BLAS waits for its other threads, which is long where Milvus has
    their processors."""
    return np.asarray(np.einsum("ne,e->n", row_NE, vector_E))


class Encodings:
    """Vectors of single texts: of the words of a lake, of texts that are encoded together for a demand, of any other
    alone. So that of a demand is the same whatever else is asked."""

    def __init__(self, encode: Encode, together: Encode, words: Sequence[str]) -> None:
        known = sorted(set(words))[:MOST_WORDS]
        self._known = dict(zip(known, encode(known), strict=True)) if known else {}
        self._together = together
        self._alone = lru_cache(MOST_MET)(lambda text: encode([text])[0])

    def unknown(self, texts: Iterable[str]) -> list[str]:
        return [text for text in dict.fromkeys(texts) if text not in self._known]

    def for_these(self, texts: Sequence[str]) -> Encode:
        """What encodes for a demand that has these unknown texts."""
        known: Mapping[str, np.ndarray] = self._known
        if texts:
            known = ChainMap(dict(zip(texts, self._together(texts), strict=True)), self._known)
        return lambda asked: self._later(asked, known)

    def later(self, texts: Sequence[str]) -> "np.ndarray":
        """An array of objects that stand for the vectors: a product with a matrix is what asks for one."""
        return self._later(texts, self._known)

    def _later(self, texts: Sequence[str], known: "Mapping[str, np.ndarray]") -> "np.ndarray":
        found = np.empty(len(texts), object)
        found[:] = [_Later(text, known, self._alone, lasts=text in self._known) for text in texts]
        return found


class _Later:
    """The vector of a text, looked up or encoded when it is multiplied; one that lasts is the same for all demands."""

    __array_ufunc__ = None

    def __init__(
        self, text: str, known: "Mapping[str, np.ndarray]", encode: "Callable[[str], np.ndarray]", *, lasts: bool
    ) -> None:
        self._text, self._known, self._encode, self.lasts = text, known, encode, lasts

    def __rmatmul__(self, rows: "np.ndarray") -> "np.ndarray":
        known = self._known.get(self._text)
        return by_row(rows, self._encode(self._text) if known is None else known)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Later) and self.lasts and other.lasts and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class QuickUnits(Units):
    """Occurrences ordered by text, so that a text's largest value is a reduction over neighbours."""

    @classmethod
    def like(cls, units: Units) -> "QuickUnits":
        return cls(units.names, units.of_K, units.text_K, units.texts)

    @cached_property
    def _by_text(self) -> tuple["np.ndarray", "np.ndarray", "np.ndarray"]:
        order = np.argsort(self.text_K, kind="stable")
        texts, starts = np.unique(self.text_K[order], return_index=True)
        return self.of_K[order], texts, starts

    def texts_with(self, unit_U: "np.ndarray") -> "np.ndarray":
        of_K, texts, starts = self._by_text
        value_V = np.zeros(self.texts)
        if len(texts):
            value_V[texts] = np.maximum(np.maximum.reduceat(np.asarray(unit_U, np.float64)[of_K], starts), 0.0)
        return value_V


class QuickMatcher(Matcher):
    """Finds the units of a stem by looking it up."""

    def __init__(self, matcher: Matcher) -> None:
        super().__init__(QuickUnits.like(matcher.units), matcher.is_event_V, matcher.unit_UE, matcher.text_VE)
        self._of_stem: dict[str, list[int]] = {}
        for unit, root in enumerate(self.stems):
            self._of_stem.setdefault(root, []).append(unit)
        words = sorted((name, unit) for unit, name in enumerate(self.units.names) if self._is_word_U[unit])
        self._names, self._units = [name for name, _ in words], [unit for _, unit in words]
        self._kept_word = lru_cache(max(1, MOST_NEAR // (8 * max(1, self.units.texts))))(super()._word)

    @property
    def words(self) -> list[str]:
        """The units that are single words."""
        return list(self._names)

    def _word(self, word: str, vector_E: Any, exact: bool) -> "np.ndarray":
        """That of a word of the lake is the same in every demand."""
        lasts = isinstance(vector_E, _Later) and vector_E.lasts
        return (self._kept_word if lasts else super()._word)(word, vector_E, exact)

    def _same_U(self, word: str) -> "np.ndarray":
        root = stem(word)
        same_U = np.zeros(len(self.units.names), bool)
        same_U[self._of_stem.get(root, [])] = True
        if len(root) >= SHORTEST_START:
            same_U[list(self._beginning(root))] = True
        return same_U

    def _beginning(self, root: str) -> Iterator[int]:
        first = bisect_left(self._names, root)
        names = takewhile(lambda name: name.startswith(root), self._names[first:])
        return (self._units[first + at] for at, _ in enumerate(names))


class QuickReader(Reader):
    """Sums over the texts that futures have, without the empty slots; the newest demands are read once."""

    def __init__(self, past: Past, matcher: QuickMatcher, encodings: Encodings) -> None:
        super().__init__(past.texts, past.source_VS, matcher, past.words, past.future_NF)
        is_text_NF = past.future_NF >= 0
        text_T, end_N = past.future_NF[is_text_NF], np.append(0, np.cumsum(is_text_NF.sum(1)))
        self._has_NV = csr_array((np.ones(len(text_T)), text_T, end_N), shape=(len(past.future_NF), len(past.texts)))
        self._encodings = encodings
        self._read = lru_cache(MOST_READ)(self._newly_read)
        self._grammar = lru_cache(1)(partial(Grammar, self.words))

    def needed(self, demand: str, day: date) -> list[str]:
        """The texts that have to be encoded, at most, to read the demand."""
        parsed = self._grammar(day).parse(demand).conditions
        topics = [wish.topic for wish in parsed if isinstance(wish, Behaviour) and not wish.amount]
        return self._encodings.unknown(text for topic in topics if (told := telling(topic)) for text in (topic, *told))

    def read(self, demand: str, day: date, encode: Encode) -> Reading:
        """By these encodings, whatever `encode` is."""
        return self._read(demand, day)

    def _newly_read(self, demand: str, day: date) -> Reading:
        return super().read(demand, day, self._encodings.for_these(self.needed(demand, day)))

    def happened(self, probability_V: "np.ndarray") -> "np.ndarray":
        missed_V = np.log1p(-np.clip(probability_V, 0.0, 1 - 1e-9))
        return np.asarray(1 - np.exp(self._has_NV @ missed_V))
