"""Why an audience is one: what its members did more than the rest, by the texts of their histories and by their words.

Both sides are counted in users. The log odds ratio has a prior of what both sides do together, worth PRIOR users
(Monroe et al. 2008, "Fightin' words", equations 15, 19 and 20), and must be above chance for all that was compared.

    delta = log (a + p) / (n + P - a - p) - log (b + p) / (m + P - b - p),   p = P (a + b + 1/2) / (n + m + 1)
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from model.placed import Histories, over_one_table
from model.words import words_of
from serving.audience import Trait
from serving.texts import TextTable

WORD, TEXT = "word", "text"
MOST_TRAITS = 5
"""Of words, and of texts."""
FEWEST_MEMBERS = 5
"""What fewer members did says nothing of an audience, and too much of them."""
MOST_COMPARED = 500
"""So many members, evenly by rank, stand for a larger audience."""
CHANCE = 0.01
"""How probable it may be that anything at all is told of an audience that is like the rest."""
PRIOR = 10.0

Counts = NDArray[np.int64]


class Things:
    """The texts of some keys and the words in these: what a user can have done. A text without its words is none."""

    def __init__(self, texts: TextTable, keys: NDArray[np.int64]) -> None:
        self.keys = keys
        known = texts.of(keys.tolist())
        said = [known.get(key, "") for key in keys.tolist()]
        places: dict[str, int] = {}
        own = [[places.setdefault(word, len(places)) for word in dict.fromkeys(words_of(text))] for text in said]
        words = np.array([at for words in own for at in words], np.int32)
        ends = np.cumsum([0, *map(len, own)])
        self._words = csr_array((np.ones(len(words), bool), words, ends), shape=(len(own), len(places)))
        self._unknown = np.array([not text for text in said], bool)
        self._said = (*places, *said)
        self._many = len(places)

    def named(self, at: int) -> tuple[str, str]:
        """Kind, and how it is said, of a counted thing: words come first."""
        return WORD if at < self._many else TEXT, self._said[at]

    def counts(self, histories: Histories) -> Counts:
        """How many of the users did each thing. A user's texts are distinct; the histories are over the same keys."""
        texts = np.bincount(histories.place_N, minlength=len(self.keys))
        texts[self._unknown] = 0
        did = histories.matrix(np.ones(len(histories.place_N), bool))
        words = np.bincount((did @ self._words).indices, minlength=self._many)
        return np.concatenate([words, texts])


class Rest:
    """A sample of all users, to whom members are compared."""

    def __init__(self, texts: TextTable, names: Sequence[str], histories: Histories) -> None:
        self._texts, self._histories = texts, histories
        self._rows = {user: row for row, user in enumerate(names)}
        self._things = Things(texts, histories.key_V)
        self._counts = self._things.counts(histories)

    def traits(self, members: Sequence[str], histories: Histories) -> tuple[Trait, ...]:
        """What the members, best first, did more than the rest: words, then texts, the surest first."""
        step = max(1, -(-len(members) // MOST_COMPARED))
        shared = np.array([self._rows[user] for user in members if user in self._rows], np.int64)
        others = len(self._rows) - len(shared)
        compared, rest = histories.take(np.arange(0, len(members), step)), self._histories
        if histories.key_V is rest.key_V:
            things, everybody = self._things, self._counts
        else:
            compared, rest = over_one_table(compared, rest)
            things = Things(self._texts, rest.key_V)
            everybody = things.counts(rest)
        return traits(
            things, things.counts(compared), len(compared), everybody - things.counts(rest.take(shared)), others
        )


def traits(things: Things, did: Counts, members: int, others_did: Counts, others: int) -> tuple[Trait, ...]:
    """Those whose log odds ratio is above chance, by its lower end, of what so many members and others did."""
    told = np.flatnonzero(did >= FEWEST_MEMBERS)
    if not len(told) or not others:
        return ()
    both = np.stack([did[told], others_did[told]]).astype(float)
    prior = PRIOR * (both.sum(0) + 0.5) / (members + others + 1)
    yes = both + prior
    no = np.array([[members], [others]]) + PRIOR - yes
    delta = np.subtract(*np.log(yes / no))
    low = delta - NormalDist().inv_cdf(1 - CHANCE / len(told)) * np.sqrt((1 / yes + 1 / no).sum(0))
    share = yes / np.array([[members + PRIOR], [others + PRIOR]])
    found: dict[str, list[Trait]] = {WORD: [], TEXT: []}
    for at in sorted(np.flatnonzero(low > 0).tolist(), key=lambda at: (-low[at], things.named(int(told[at])))):
        kind, said = things.named(int(told[at]))
        if len(found[kind]) < MOST_TRAITS:
            lift = float(share[0, at] / share[1, at])
            found[kind].append(Trait(kind, said, float(both[0, at] / members), float(both[1, at] / others), lift))
    return (*found[WORD], *found[TEXT])
