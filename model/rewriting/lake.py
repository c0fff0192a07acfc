"""A lake as the rewriter sees it: its distinct texts, where they occur, and the words of its grammar."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import EVENT_TEMPLATES, NOTHING, PAYMENT, SPENT_SUMMARY, STATUS_SUMMARY
from model.data import Pairs, array
from model.rewriting.document import Behaviour, Rewritten
from model.rewriting.words import LakeWords, compounds_of


@dataclass(frozen=True)
class KnownLake:
    """V distinct texts in key order. `source_VS` [V, sources]: whose events have this text in some history.

    `is_event_V` marks the texts of events, `is_summary_V` the templates' sentences about a whole future.
    """

    words: LakeWords
    texts: tuple[str, ...]
    source_VS: "np.ndarray"
    is_event_V: "np.ndarray"
    is_summary_V: "np.ndarray"

    @property
    def distinct(self) -> frozenset[str]:
        return frozenset(self.texts)

    def texts_of(self, source: str) -> list[str]:
        """The texts of a source's events."""
        rows = np.flatnonzero(self.source_VS[:, EVENT_SOURCES.index(source)])
        return [self.texts[row] for row in rows]

    def refuse_strangers(self, rewritten: Rewritten) -> None:
        """Raises FoundError for the first source, channel, column, value or sentence that the lake does not have."""
        words = self.words
        for condition in rewritten.conditions:
            if isinstance(condition, Behaviour):
                _known("source", condition.source, ("", *words.sources))
                _known("channel", condition.channel, ("", *words.channels))
            elif condition.comparison:
                _known("numeric profile column", condition.column, words.numbers)
            else:
                _known("categorical profile column", condition.column, tuple(words.categories))
                _known(f"value of {condition.column}", condition.value, words.categories[condition.column])
        for sentence in rewritten.sentences:
            if sentence.text not in self.texts:
                raise FoundError(f"the lake has no text {sentence.text!r}: choose one that it has.")


def know_lake(pairs: Pairs) -> KnownLake:
    """The lake of these training pairs."""
    keys, strings = pairs.texts()
    order = np.argsort(keys)
    keys, texts = keys[order], tuple(strings[row] for row in order)
    source_VS, profile_VC = _occurrences(pairs, keys)
    is_summary_V = np.array([_is_summary(text) for text in texts], bool)
    only_profile_V = profile_VC.any(1) & ~source_VS.any(1)
    names = sorted(pairs.manifest["profile"]["categorical"])
    categories = {
        name: tuple(sorted(texts[row] for row in np.flatnonzero(profile_VC[:, place])))
        for place, name in enumerate(names)
    }
    words = LakeWords(
        sources=tuple(s for place, s in enumerate(EVENT_SOURCES) if source_VS[:, place].any()),
        currency=str(pairs.manifest["currency"]),
        categories=categories,
        numbers=tuple(sorted(pairs.manifest["profile"]["numeric"])),
        channels=tuple(sorted(t.removeprefix(PAYMENT.lead) for t in texts if t.startswith(PAYMENT.lead))),
        compounds=compounds_of(texts),
    )
    return KnownLake(words, texts, source_VS, ~is_summary_V & ~only_profile_V, is_summary_V)


def _occurrences(pairs: Pairs, keys: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """bool [V, sources] and [V, categorical columns]: where in the pairs' inputs each text occurs."""
    histories = [f"{source}_text" for source in EVENT_SOURCES]
    columns = len(pairs.manifest["profile"]["categorical"])
    found = np.zeros((len(keys), len(histories)), bool), np.zeros((len(keys), columns), bool)
    for path in pairs.files:
        table = pq.read_table(str(path), columns=[*histories, "profile_categories"])
        for place, name in enumerate(histories):
            found[0][_rows(keys, array(table[name])), place] = True
        for place in range(columns):
            found[1][_rows(keys, array(table["profile_categories"])[:, place]), place] = True
    return found


def _rows(keys: "np.ndarray", named: "np.ndarray") -> "np.ndarray":
    unique = np.unique(named)
    return np.searchsorted(keys, unique[np.isin(unique, keys)])


_STARTS = (PAYMENT.lead, *(text.split("{")[0] for text in (SPENT_SUMMARY, STATUS_SUMMARY)))
_WHOLE = frozenset([NOTHING, *(template.summary for template in EVENT_TEMPLATES.values())])


def _is_summary(text: str) -> bool:
    return text in _WHOLE or text.startswith(_STARTS)


def _known(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        shown = ", ".join(repr(each) for each in allowed[:10] if each)
        raise FoundError(f"the lake has no {what} {value!r}; it has {shown or 'none'}.")
