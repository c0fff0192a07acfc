"""Plain values of users (an online lookup) as the columns that the model reads."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from feature_repo.contracts.inputs import Column
from feature_repo.contracts.names import PROFILE
from feature_repo.contracts.templates import text_key
from feature_repo.contracts.windows import day_number


def columns_of(
    values: Mapping[str, Sequence[Any]],
    columns: Sequence[Column],
    *,
    profile: Mapping[str, Sequence[str]],
    day: date,
) -> dict[str, "np.ndarray"]:
    """The input columns among `columns` of users given by column; a profile column c is `profile__c`.

    Does for an online lookup what spark_jobs/model_inputs.py does for a snapshot.
    """
    users = len(next(iter(values.values())))
    given = {c.name: _array(values[c.name], c) for c in columns if c.name in values}
    given["profile_categories"] = _by_column(values, profile["categorical"], users, _category, np.int64, 0)
    given["profile_numbers"] = _by_column(values, profile["numeric"], users, _number, np.float32, np.nan)
    given["cutoff_day"] = np.full(users, day_number(day), np.int32)
    return given


def _array(values: Sequence[Any], column: Column) -> "np.ndarray":
    if column.length is None:
        return np.array(values, column.kind)
    padded = np.zeros((len(values), column.length), column.kind)
    for row, items in enumerate(values):
        padded[row, : len(items)] = items
    return padded


def _by_column(
    values: Mapping[str, Sequence[Any]], names: Sequence[str], users: int, read: Any, kind: Any, empty: float
) -> "np.ndarray":
    listed = [[read(v) for v in values.get(f"{PROFILE}__{name}", [None] * users)] for name in sorted(names)]
    return np.array(listed or [[empty] * users], kind).T


def _category(value: str | None) -> int:
    return 0 if value is None else text_key(value)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
