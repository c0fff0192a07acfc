"""ARALLM (Wang et al. 2024): a demand becomes a logical expression over tags (SELL), executed on users.

Here the grammar reads the demand and retrieval finds the tags, the lake's own texts (model/rewriting); where a causal
language model is at hand, plain or fine-tuned, it is asked first. A tag is a set of texts that a history holds, or
what a profile says. Tags have degrees: n matching events hold a tag to n / (n + 1); NOT is the complement, OR the
maximum, AND the mean over its parts, so that users who meet most of an expression come before those who meet little.
Shape suffixes: B users, C demands, L history slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import text_key
from model.baselines.activity import event_counts
from model.baselines.protocol import Scores
from model.baselines.training import Training, count_of, history_days, history_keys
from model.data import Columns
from model.rewriting.document import BETWEEN, PAST, Behaviour, Comparison, Condition, Profile, Rewritten
from model.rewriting.lake import KnownLake, know_lake
from model.rewriting.language_model import LanguageModel, LanguageModelRewriter
from model.rewriting.offline import Encode, OfflineRewriter

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Arallm:
    """The rewriter of a lake, and the execution of what it writes."""

    lake: KnownLake
    vectors_VE: "np.ndarray"
    encode: Encode
    language_model: LanguageModel | None = None

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        rewriter = self.rewriter(_day(users))
        return np.stack([self.executed(rewriter.rewrite(demand), users) for demand in demands], axis=1)

    def rewriter(self, day: date) -> OfflineRewriter | LanguageModelRewriter:
        """What reads demands as of a day."""
        offline = OfflineRewriter(self.lake, self.vectors_VE, self.encode, day)
        return offline if self.language_model is None else LanguageModelRewriter(self.language_model, offline)

    def executed(self, rewritten: Rewritten, users: Columns) -> Scores:
        """[B] in [0, 1]: the degree to which each user meets the expression; 0 where it has no tag."""
        place = 0
        groups: list[Scores] = []
        for group in rewritten.groups:
            degrees = [self._degree(c, _texts(rewritten, place + i), users) for i, c in enumerate(group)]
            place += len(group)
            if known := [degree for degree in degrees if degree is not None]:
                groups.append(np.max(known, axis=0))
        return np.mean(groups, axis=0) if groups else np.zeros(count_of(users))

    def _degree(self, condition: Condition, texts: list[str], users: Columns) -> Scores | None:
        """[B], or None where the lake has no tag for it."""
        if isinstance(condition, Profile):
            held = self._profile(condition, users).astype(np.float64)
        elif condition.topic and not texts:
            return None
        else:
            count_B = _events(condition, texts, users)
            held = count_B / (count_B + 1)
        return 1 - held if condition.negated else held

    def _profile(self, condition: Profile, users: Columns) -> "np.ndarray":
        """bool [B]"""
        words = self.lake.words
        if condition.comparison is None:
            column = sorted(words.categories).index(condition.column)
            return users["profile_categories"][:, column] == text_key(condition.value)
        return compared(users["profile_numbers"][:, words.numbers.index(condition.column)], condition.comparison)


def fit(training: Training, language_model: LanguageModel | None = None) -> Arallm:
    """The lake of the pairs; nothing is trained here (model/rewriting/fine_tune.py teaches language models)."""
    vectors = np.asarray(training.texts.vectors[1:])
    return Arallm(know_lake(training.pairs), vectors, training.encoder.encoder.encode, language_model)


def sell(rewritten: Rewritten) -> str:
    """The expression as text: groups joined by AND, of OR, of tags."""
    place = 0
    groups: list[str] = []
    for group in rewritten.groups:
        parts = [_tag(condition, _texts(rewritten, place + i)) for i, condition in enumerate(group)]
        place += len(group)
        groups.append(parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})")
    return " AND ".join(groups)


def compared(values_B: "np.ndarray", comparison: Comparison) -> "np.ndarray":
    """bool [B]; a missing value meets nothing."""
    value = comparison.value
    if comparison.op == BETWEEN:
        return (values_B >= value) & (values_B <= float(comparison.upper or value))
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal}
    return np.asarray(compare[comparison.op](values_B, value))


def _events(condition: Behaviour, texts: list[str], users: Columns) -> Scores:
    """[B]: the events that carry the tag, within the condition's days where it looks back."""
    if not condition.topic and condition.window is None:
        counts = users[f"{condition.source}_count"] if condition.source else event_counts(users)
        return np.asarray(counts, np.float64)
    sources = (condition.source,) if condition.source else EVENT_SOURCES
    key_BL, day_BL = history_keys(users, sources), history_days(users, sources)
    carries_BL = np.isin(key_BL, [text_key(text) for text in texts]) if condition.topic else key_BL != 0
    if condition.window and condition.tense == PAST and condition.window.within_days:
        carries_BL &= day_BL >= users["cutoff_day"][:, None] - condition.window.within_days
    return carries_BL.sum(1).astype(np.float64)


def _texts(rewritten: Rewritten, place: int) -> list[str]:
    """The lake's texts that stand for a condition's topic."""
    return [s.text for s in rewritten.sentences if s.condition == place]


def _tag(condition: Condition, texts: list[str]) -> str:
    if isinstance(condition, Profile):
        bound = condition.comparison
        said = (
            f"{condition.column} = {condition.value}"
            if bound is None
            else f"{condition.column} {bound.op} {bound.value:g}"
        )
    else:
        said = " | ".join(texts) or condition.topic or f"any {condition.source or 'event'}"
    return f"NOT [{said}]" if condition.negated else f"[{said}]"


def _day(users: Columns) -> date:
    return EPOCH + timedelta(days=int(users["cutoff_day"].max(initial=0)))
