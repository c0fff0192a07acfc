"""What calibration reads of a demand, prepared once: the numbers of model/calibration, to rounding, in less time.

The words of a lake's units are encoded when a model is opened, other texts together with the demand that has them
(model/together.py), or else when they are met.

Shape suffixes: N past users, V texts of futures, T those that they have, K occurrences of units, U units, E encoder
width.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import cached_property, lru_cache, partial
from itertools import takewhile

import numpy as np
from scipy.sparse import csr_array

from model.calibration.matching import Matcher, telling
from model.calibration.past import Past
from model.calibration.reading import Reader, Reading
from model.calibration.units import SHORTEST_START, Units, stem
from model.rewriting.document import Behaviour
from model.rewriting.grammar import Grammar

MOST_WORDS = 20_000
MOST_MET, MOST_READ = 4_096, 64
"""So many encodings of texts that were met alone are kept, and so many demands as they were read."""

Encode = Callable[[Sequence[str]], "np.ndarray"]


def by_row(row_NE: "np.ndarray", vector_E: "np.ndarray") -> "np.ndarray":
    """[N]: row_NE @ vector_E by this thread alone. A BLAS waits for its other threads, which is long where Milvus has
    their processors."""
    return np.asarray(np.einsum("ne,e->n", row_NE, vector_E))


class Encodings:
    """Vectors of single texts: of the words of a lake, of texts that were encoded beside a demand, of any other alone.
    So that of a demand is the same whatever else is asked."""

    def __init__(self, encode: Encode, words: Sequence[str]) -> None:
        known = sorted(set(words))[:MOST_WORDS]
        self._known = dict(zip(known, encode(known), strict=True)) if known else {}
        self._beside: dict[str, dict[str, np.ndarray]] = {}
        self._alone = lru_cache(MOST_MET)(lambda text: encode([text])[0])

    def unknown(self, texts: Iterable[str]) -> list[str]:
        return [text for text in dict.fromkeys(texts) if text not in self._known]

    def keep(self, demand: str, texts: Sequence[str], vector_NE: "np.ndarray") -> None:
        """What was encoded beside a demand, until so many others were."""
        self._beside[demand] = dict(zip(texts, vector_NE, strict=True))
        if len(self._beside) > MOST_READ:
            del self._beside[next(iter(self._beside))]

    def of(self, text: str, demand: str = "") -> "np.ndarray":
        """float32 [E]"""
        known: np.ndarray | None = self._known.get(text)
        if known is None:
            known = self._beside.get(demand, {}).get(text)
        return self._alone(text) if known is None else known

    def later(self, texts: Sequence[str], demand: str = "") -> "np.ndarray":
        """An array of objects that stand for the vectors: a product with a matrix is what asks for one."""
        found = np.empty(len(texts), object)
        found[:] = [_Later(text, demand, self) for text in texts]
        return found


class _Later:
    """The vector of a text, looked up or encoded when it is multiplied."""

    __array_ufunc__ = None

    def __init__(self, text: str, demand: str, encodings: Encodings) -> None:
        self._text, self._demand, self._encodings = text, demand, encodings

    def __rmatmul__(self, rows: "np.ndarray") -> "np.ndarray":
        return by_row(rows, self._encodings.of(self._text, self._demand))


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

    @property
    def words(self) -> list[str]:
        """The units that are single words."""
        return list(self._names)

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

    def needed(self, demand: str, day: date) -> list[str]:
        """The texts that have to be encoded, at most, to read the demand."""
        parsed = Grammar(self.words, day).parse(demand).conditions
        topics = [wish.topic for wish in parsed if isinstance(wish, Behaviour) and not wish.amount]
        return self._encodings.unknown(text for topic in topics if (told := telling(topic)) for text in (topic, *told))

    def read(self, demand: str, day: date, encode: Encode) -> Reading:
        """By these encodings, whatever `encode` is."""
        return self._read(demand, day)

    def _newly_read(self, demand: str, day: date) -> Reading:
        return super().read(demand, day, partial(self._encodings.later, demand=demand))

    def happened(self, probability_V: "np.ndarray") -> "np.ndarray":
        missed_V = np.log1p(-np.clip(probability_V, 0.0, 1 - 1e-9))
        return np.asarray(1 - np.exp(self._has_NV @ missed_V))
