"""Which of a lake's texts a topic means: by the stems of its words, and by what the encoder holds to be alike.

A word is met by a unit of the same stem, or by one near to it ("jewellery": necklace). A topic of several words is met
by the texts that hold most of it, rare words counting more (inverse document frequency, Sparck Jones 1972). Words that
nearly all texts hold count little: "another film" in a lake of films asks for anything at all.

Shape suffixes: T words, U units, V texts, I texts of events, E encoder width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.calibration.line import sigmoid
from model.calibration.units import SHORTEST_START, Units, stem
from model.words import MAX_SHARE, words_of

WORD_NEAR, WORD_SHARPNESS = 0.68, 20.0
"""A unit at this cosine from a word means it by even odds."""
PHRASE_NEAR, PHRASE_MARGIN, PHRASE_SHARPNESS = 0.78, 0.03, 60.0
"""The same for a whole topic of which no text holds all words; and how far from the nearest unit others may lie."""
COVERED, COVERED_SHARPNESS = 0.6, 20.0
"""A text means the topic by even odds when it holds so much of what the best text holds."""
ALIKE, ALIKE_FROM = 1.5, 0.4
"""A text with some words of several counts as if it held so much more per cosine to the topic above this one: cake
cases are about cake decorating, a box of sushi is not about moving boxes."""
SOME, ALL = 0.1, 0.9
"""The shares of the best text's words between which a text holds some of them."""
WHOLE = 0.8
"""The share of a topic's words, by weight, that makes its units unnecessary."""
UNKNOWN = 0.5
"""What a word that the lake does not have counts for, beside a word of one text in a thousand."""
RAREST = 1e-3
LEAST_WEIGHT = 0.3
"""A topic of a smaller weight says nothing: anything is meant."""
LEAST = 0.05
"""Smaller probabilities are none, since a future holds up to a hundred texts."""
_SAYS_NOTHING = frozenset(
    "again another any anything each every everything goods item items kind kinds one ones other product products some "
    "something soon stuff style thing things type their his her its our all not new more".split()
)

Encode = Callable[[Sequence[str]], "np.ndarray"]


@dataclass(frozen=True)
class Match:
    """How probably each text means the topic (None: any event does), and the share of the topic that is found."""

    probability_V: "np.ndarray | None"
    coverage: float = 1.0


class Matcher:
    """`is_event_V` marks the texts of events; `unit_UE` are unit vectors in the encoder's own space, `text_VE` those of
    the texts."""

    def __init__(self, units: Units, is_event_V: "np.ndarray", unit_UE: "np.ndarray", text_VE: "np.ndarray") -> None:
        self.units, self.is_event_V = units, np.asarray(is_event_V, bool)
        self.unit_UE, self.text_VE = np.asarray(unit_UE, np.float32), np.asarray(text_VE, np.float32)
        self.stems = np.array([stem(name) for name in units.names], dtype=object)
        self._is_word_U = np.array([" " not in name for name in units.names], bool)
        self._tells_U = units.share_U(self.is_event_V) <= MAX_SHARE

    def match(self, topic: str, encode: Encode, *, exact: bool = False) -> Match:
        """`exact`: a word whose stem the lake has means nothing else, as behind a "not"."""
        words = telling(topic)
        if not words or not self.is_event_V.any():
            return Match(None)
        vectors = np.asarray(encode([topic, *words]))
        near_TV = np.stack([self._word(w, v, exact) for w, v in zip(words, vectors[1:], strict=True)])
        near_TI = near_TV[:, self.is_event_V]
        known_T = near_TI.max(1) >= 0.5
        weight_T = -np.log(np.clip(near_TI.mean(1), RAREST, 1.0)) * np.where(known_T, 1.0, UNKNOWN)
        if not known_T.any():
            alike_V = sigmoid(WORD_SHARPNESS * (self.text_VE @ vectors[0] - WORD_NEAR)) * self.is_event_V
            return _match(np.maximum(alike_V, self._phrase(vectors[0])))
        if weight_T[known_T].sum() < LEAST_WEIGHT:
            return Match(None)
        covered_V = weight_T @ near_TV / weight_T.sum()
        most = float(covered_V.max())
        share_V = covered_V / most
        holds_some_V = (share_V >= SOME) & (share_V < ALL)
        if len(words) > 1 and holds_some_V.any():
            share_V += np.where(holds_some_V, ALIKE * (self.text_VE @ vectors[0] - ALIKE_FROM), 0.0)
        probability_V = sigmoid(COVERED_SHARPNESS * (share_V - COVERED))
        if most >= WHOLE:
            return _match(probability_V, most)
        phrase_V = self._phrase(vectors[0])
        return _match(np.maximum(probability_V, phrase_V), max(most, float(phrase_V.max() > 0.5)))

    def named(self, words: Sequence[str]) -> Match:
        """Texts that hold a word of one of these words' stems, of those words that tell the lake's texts apart."""
        each = [self._events_with(self._same_U(word)) for word in words]
        few = MAX_SHARE * self.is_event_V.sum()
        kept = [near_V for near_V in each if 1 <= near_V[self.is_event_V].sum() <= few]
        return _match(np.max([np.zeros(self.units.texts), *kept], axis=0), float(bool(kept)))

    def _same_U(self, word: str) -> "np.ndarray":
        root = stem(word)
        same_U = self.stems == root
        if len(root) >= SHORTEST_START:
            same_U |= self._is_word_U & np.array([name.startswith(root) for name in self.units.names], bool)
        return np.asarray(same_U, bool)

    def _word(self, word: str, vector_E: "np.ndarray", exact: bool) -> "np.ndarray":
        same_U = self._same_U(word)
        near_U = sigmoid(WORD_SHARPNESS * (self.unit_UE @ vector_E - WORD_NEAR)) * self._tells_U
        if exact and same_U.any():
            near_U = np.zeros(len(near_U))
        return self._events_with(np.where(same_U, 1.0, near_U))

    def _phrase(self, vector_E: "np.ndarray") -> "np.ndarray":
        cosine_U = (self.unit_UE @ vector_E) * self._tells_U
        limit = max(PHRASE_NEAR, float(cosine_U.max(initial=0.0)) - PHRASE_MARGIN)
        return self._events_with(sigmoid(PHRASE_SHARPNESS * (cosine_U - limit)))

    def _events_with(self, unit_U: "np.ndarray") -> "np.ndarray":
        """[V]: of each event's text the largest value of its units: that one paid by card is about no topic."""
        return np.asarray(self.units.texts_with(unit_U) * self.is_event_V)


def telling(topic: str) -> list[str]:
    """The words of a topic that may say what it is about."""
    return [word for word in dict.fromkeys(words_of(topic)) if word not in _SAYS_NOTHING]


def _match(probability_V: "np.ndarray", coverage: float | None = None) -> Match:
    kept_V = np.where(probability_V < LEAST, 0.0, probability_V)
    return Match(kept_V, float(kept_V.max(initial=0.0)) if coverage is None else coverage)
