"""The columns that carry a user from Spark through Feast and Petastorm to the model.

The same columns lie in the feature tables (Feast), in the training pairs (Petastorm) and in the rows
that inference reads; `model/batch.py` alone turns them into tensors. Arrays have one length each,
padded with 0 at the end, newest event first.
"""

from dataclasses import dataclass
from typing import Literal

from feature_repo.contracts.events import BEHAVIOUR_SOURCES, EVENT_SOURCES

ColumnKind = Literal["int64", "int32", "float32"]


@dataclass(frozen=True)
class Column:
    """A scalar (length None) or an array of one fixed length."""

    name: str
    kind: ColumnKind
    length: int | None = None


@dataclass(frozen=True)
class Lengths:
    """How many of each are kept: newest events per behaviour source, newest searches, future sentences."""

    events: int = 128
    searches: int = 32
    future: int = 128


COUNT_DAYS = (7, 30, 90, 365)


def history_columns(lengths: Lengths) -> tuple[Column, ...]:
    """Per source the text keys, days since 1970-01-01, amounts (bills only) and the true length."""
    columns: list[Column] = []
    for source in BEHAVIOUR_SOURCES:
        columns.append(Column(f"{source}_text", "int64", lengths.events))
        columns.append(Column(f"{source}_day", "int32", lengths.events))
        if source == "bills":
            columns.append(Column(f"{source}_amount", "float32", lengths.events))
        columns.append(Column(f"{source}_length", "int32"))
    return tuple(columns)


def search_columns(lengths: Lengths) -> tuple[Column, ...]:
    return (
        Column("searches_text", "int64", lengths.searches),
        Column("searches_day", "int32", lengths.searches),
        Column("searches_length", "int32"),
    )


def activity_columns() -> tuple[Column, ...]:
    """Counts per source: events in the last d days and in the history, active days, days since the last
    and the first (-1 = never), and the successful spend over the same spans."""
    columns: list[Column] = []
    for source in EVENT_SOURCES:
        columns += [Column(f"{source}_count_{days}d", "float32") for days in COUNT_DAYS]
        columns += [
            Column(f"{source}_count", "float32"),
            Column(f"{source}_active_days", "float32"),
            Column(f"{source}_recency_days", "float32"),
            Column(f"{source}_tenure_days", "float32"),
        ]
    columns += [Column(f"spend_{days}d", "float32") for days in COUNT_DAYS]
    return (*columns, Column("spend", "float32"))


def profile_arrays(categorical: int, numeric: int) -> tuple[Column, ...]:
    """Profiles have any columns: categories as text keys (0 = null), numbers as floats (NaN = null).

    Columns are in alphabetical order; an array has at least one slot, so that its length is fixed.
    """
    return (
        Column("profile_categories", "int64", max(1, categorical)),
        Column("profile_numbers", "float32", max(1, numeric)),
    )


def future_columns(lengths: Lengths) -> tuple[Column, ...]:
    """Text keys of the distinct sentences of the future, in key order; never part of a user's input."""
    return (Column("future_text", "int64", lengths.future), Column("future_length", "int32"))


def pair_columns(lengths: Lengths, *, categorical: int, numeric: int) -> tuple[Column, ...]:
    """The training pairs: the user by key, the cut-off as days since 1970-01-01, inputs, future."""
    return (
        Column("user_key", "int64"),
        Column("cutoff_day", "int32"),
        *history_columns(lengths),
        *search_columns(lengths),
        *profile_arrays(categorical, numeric),
        *activity_columns(),
        *future_columns(lengths),
    )
