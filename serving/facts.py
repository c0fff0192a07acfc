"""What the index knows of a user beside the vector: the profile and the activity of a day, to filter by.

Times are kept as days since 1970-01-01, not as ages: an age changes every night, and rewriting every row every night is
how a Milvus is run out of memory. An age is asked as of the collection's day (serving/filters.py).
"""

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.inputs import COUNT_DAYS
from feature_repo.contracts.names import ACTIVITY, PROFILE, Workdir
from feature_repo.contracts.windows import day_number

Kind = Literal["number", "category", "days"]
Fact = float | str | None

MOST_COLUMNS = 48
"""A Milvus collection has at most 64 fields, ours among them."""
LONGEST_VALUE = 256
"""Bytes; a longer category names nothing that anybody asks for, and counts as unknown."""
RECENCY = "_recency_days"


@dataclass(frozen=True)
class Column:
    """`name` is what people write, `stored` the index's field. `days` are ages, kept as the day they count from."""

    name: str
    kind: Kind
    view: str
    source: str
    """What the feature view calls it."""

    @property
    def stored(self) -> str:
        """A name that Milvus takes, whatever the lake's column is called."""
        return f"f_{hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest()[:16]}"


@dataclass(frozen=True)
class Facts:
    """The columns of every user of a day, kept as arrays: about 8 bytes a user and column."""

    columns: tuple[Column, ...]
    _rows: Mapping[str, Mapping[str, int]]
    _values: Mapping[str, Any]

    def of(self, user_id: str) -> dict[str, Fact]:
        """Stored field -> value; None where nothing is known."""
        return {column.stored: self._value(column, user_id) for column in self.columns}

    def hash_of(self, user_id: str) -> str:
        """Changes when anything changes that `of` tells."""
        told = json.dumps(self.of(user_id), sort_keys=True).encode()
        return hashlib.md5(told, usedforsecurity=False).hexdigest() if self.columns else ""

    def _value(self, column: Column, user_id: str) -> Fact:
        values = self._values.get(column.name)
        row = self._rows.get(column.view, {}).get(user_id)
        if values is None or row is None:
            return None
        if column.kind == "category":
            value = values[row].as_py()
            return None if value is None or len(value.encode()) > LONGEST_VALUE else str(value)
        number = float(values[row])
        return number if math.isfinite(number) else None


NO_FACTS = Facts((), {}, {})


def normal_name(column: str) -> str:
    """A column's name as denied names are compared: case, spaces and signs make no other column of it."""
    return re.sub(r"[\W_]+", "_", column.lower()).strip("_")


def lake_columns(work: Workdir, ds: date, *, denied: Collection[str] = ()) -> tuple[Column, ...]:
    """What a new collection can be filtered by: the activity of every source that occurs, then the profile.

    Denied columns are not even stored. Of too many profile columns the first in alphabetical order are taken.
    """
    activity = _activity_columns(work, ds)
    taken = {column.name for column in activity}
    profile = [
        Column(f"profile.{name}" if name in taken else name, kind, PROFILE, name)
        for name, kind in _profile_kinds(work, ds)
        if normal_name(name) not in {normal_name(each) for each in denied}
    ]
    return tuple([*activity, *profile][:MOST_COLUMNS])


def read_facts(work: Workdir, ds: date, columns: Sequence[Column], *, denied: Collection[str] = ()) -> Facts:
    """These columns of every user of the day; unknown where the day has no such column, or it is denied."""
    hidden = {normal_name(each) for each in denied}
    rows: dict[str, dict[str, int]] = {}
    values: dict[str, Any] = {}
    for view in (ACTIVITY, PROFILE):
        own = [c for c in columns if c.view == view and not (view == PROFILE and normal_name(c.source) in hidden)]
        table = _read(work, view, ds, {"user_id", *(column.source for column in own)})
        if table is None or not own:
            continue
        rows[view] = {user: row for row, user in enumerate(table["user_id"].to_pylist())}
        for column in own:
            if column.source in table.column_names:
                values[column.name] = _kept(column, table[column.source].combine_chunks(), ds)
    return Facts(tuple(columns), rows, values)


def dumps(columns: Iterable[Column]) -> str:
    return json.dumps([[column.name, column.kind, column.view, column.source] for column in columns])


def loads(text: str) -> tuple[Column, ...]:
    """What `dumps` wrote; none of an empty text."""
    return tuple(Column(*each) for each in json.loads(text or "[]"))


def _kept(column: Column, values: pa.Array, ds: date) -> pa.Array | NDArray[np.float64]:
    if column.kind == "category":
        return values.cast(pa.string())
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(numbers < 0, np.nan, day_number(ds) - numbers) if column.kind == "days" else numbers


_COUNTS = (*(f"count_{days}d" for days in COUNT_DAYS), "count")
_SPENT = (*(f"spend_{days}d" for days in COUNT_DAYS), "spend")


def _activity_columns(work: Workdir, ds: date) -> list[Column]:
    table = _read(work, ACTIVITY, ds, {f"{source}_count" for source in EVENT_SOURCES})
    columns: list[Column] = []
    for source in EVENT_SOURCES:
        if table is not None and pc.max(table[f"{source}_count"]).as_py():
            names = [f"{source}_{name}" for name in _COUNTS] + (list(_SPENT) if source == "bills" else [])
            columns += [Column(name, "number", ACTIVITY, name) for name in names]
            columns.append(Column(source + RECENCY, "days", ACTIVITY, source + RECENCY))
    return columns


def _profile_kinds(work: Workdir, ds: date) -> list[tuple[str, Kind]]:
    if not work.profile_schema.exists() or not _files(work, PROFILE, ds):
        return []
    schema = json.loads(work.profile_schema.read_text())
    kinds: list[tuple[str, Kind]] = [(str(name), "category") for name in schema["categorical"]]
    kinds += [(str(name), "number") for name in schema["numeric"]]
    return sorted(kinds)


def _read(work: Workdir, view: str, ds: date, wanted: Collection[str]) -> pa.Table | None:
    """The wanted columns of a day's view that it has; None where the day has no such view."""
    tables = []
    for path in _files(work, view, ds):
        with pq.ParquetFile(path) as file:
            tables.append(file.read(columns=[name for name in file.schema_arrow.names if name in wanted]))
    return pa.concat_tables(tables) if tables else None


def _files(work: Workdir, view: str, ds: date) -> list[Any]:
    return sorted(work.partition(view, ds).glob("*.parquet"))
