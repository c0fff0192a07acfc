"""Other views of the columns of users: with a source left out, and with the past in the place of the future.

Shape suffixes: B users, L slots of the history, F slots of the future, S summary sentences.
"""

from collections.abc import Sequence

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES, PROFILES
from feature_repo.contracts.templates import (
    AMOUNT_UNITS,
    EVENT_TEMPLATES,
    LEVELS,
    NOTHING,
    SPENT_SUMMARY,
    money,
    text_key,
)
from model.data import Columns
from model.vocabulary import NEVER, is_age

SPEND = "spend"
NO_KEY = np.iinfo(np.int64).max
"""Sorts behind every key."""


def without(columns: Columns, sources: Sequence[str]) -> Columns:
    """The same users as if nothing of these sources had ever been seen of them; their futures stay."""
    return {name: _never(name, values) if _is_of(name, sources) else values for name, values in columns.items()}


def _is_of(name: str, sources: Sequence[str]) -> bool:
    spent = "bills" in sources and name.split("_")[0] == SPEND
    profiled = PROFILES in sources and name.startswith("profile_")
    return spent or profiled or name.startswith(tuple(f"{source}_" for source in sources))


def _never(name: str, values: "np.ndarray") -> "np.ndarray":
    empty: float = NEVER if is_age(name) else np.nan if name == "profile_numbers" else 0
    return np.full_like(values, empty)


def past_as_future(columns: Columns, horizon_days: int, *, currency: str, known: "np.ndarray") -> Columns:
    """The same users with the sentences of [t - H, t) where those of the future were: what a model learns that
    describes users instead of forecasting.

    As in a future: the texts of the events and the summaries of sources and spend, the summaries first where there are
    more than fit; "did nothing" where there is none. Only `known` keys, which have a text. The columns hold neither the
    channel nor the status of a bill: their sentences are left out, and every bill counts as spent.
    """
    shape = columns["future_text"].shape
    summaries_BS = _summaries(columns, horizon_days, currency)
    summaries_BS = np.where(np.isin(summaries_BS, known), summaries_BS, NO_KEY)
    slots = [_recent(columns, source, "text", horizon_days) for source in EVENT_SOURCES]
    others_BL = _distinct(np.concatenate([np.where(text == 0, NO_KEY, text) for text in slots], axis=1))
    room_B = shape[1] - (summaries_BS != NO_KEY).sum(1)
    others_BL = np.where(np.arange(others_BL.shape[1])[None] < room_B[:, None], others_BL, NO_KEY)
    padding = np.full(shape, NO_KEY)
    told_BF = np.sort(np.concatenate([summaries_BS, others_BL, padding], axis=1), axis=1)[:, : shape[1]]
    told_BF[told_BF[:, 0] == NO_KEY, 0] = text_key(NOTHING)
    length_B = (told_BF != NO_KEY).sum(1)
    told = {"future_text": np.where(told_BF == NO_KEY, 0, told_BF), "future_length": length_B.astype(np.int32)}
    return columns | told


def _recent(columns: Columns, source: str, what: str, horizon_days: int) -> "np.ndarray":
    """[B, L]: the values of the source's events in [t - H, t), 0 elsewhere."""
    values, day = columns[f"{source}_{what}"], columns[f"{source}_day"]
    is_real = np.arange(values.shape[1])[None] < columns[f"{source}_length"][:, None]
    return np.where(is_real & (day >= columns["cutoff_day"][:, None] - horizon_days), values, 0)


def _summaries(columns: Columns, horizon_days: int, currency: str) -> "np.ndarray":
    """[B, S]: the keys of the summaries that are true of [t - H, t)."""
    told = [
        np.where(_recent(columns, source, "day", horizon_days).any(1), text_key(template.summary), NO_KEY)
        for source, template in EVENT_TEMPLATES.items()
    ]
    paid = _recent(columns, "bills", "amount", horizon_days).astype(np.float64)
    spent_B = np.round(paid * AMOUNT_UNITS).sum(1) / AMOUNT_UNITS
    steps = [(step, text_key(SPENT_SUMMARY.format(amount=money(step, currency)))) for step in LEVELS]
    return np.stack([*told, *(np.where(step <= spent_B, key, NO_KEY) for step, key in steps)], axis=1)


def _distinct(keys_BL: "np.ndarray") -> "np.ndarray":
    """Each row's distinct keys ascending, NO_KEY behind."""
    ascending = np.sort(keys_BL, axis=1)
    ascending[:, 1:][ascending[:, 1:] == ascending[:, :-1]] = NO_KEY
    return np.sort(ascending, axis=1)
