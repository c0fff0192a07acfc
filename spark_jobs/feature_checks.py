"""What a feature partition must satisfy before anyone sees it."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Column as InputColumn
from feature_repo.contracts.inputs import ColumnKind
from feature_repo.contracts.names import JOIN_KEY, TIMESTAMP

_ABSENT: dict[ColumnKind, float] = {"int64": -1, "int32": -(2**31), "float32": float("-inf")}
"""Values that no array holds: asked for one, array_contains answers null exactly where an element is null."""


def check_snapshots(view: str, frame: DataFrame, columns: Sequence[InputColumn]) -> None:
    """One row per user and cut-off, no nulls, fixed lengths, every event day before its cut-off's day.

    Raises FoundError with the view, what failed and in how many rows.
    """
    failures = {"a null key": F.col(JOIN_KEY).isNull() | F.col(TIMESTAMP).isNull()}
    for column in columns:
        failures |= _expectations(column)
    counts = [F.count_if(failed).alias(str(i)) for i, failed in enumerate(failures.values())]
    keys = F.count_distinct(F.struct(JOIN_KEY, TIMESTAMP))
    found = frame.agg(*counts, (F.count(F.lit(1)) - keys).alias("twice")).head()
    assert found is not None
    broken = {name: found[str(i)] for i, name in enumerate(failures) if found[str(i)]}
    if found["twice"]:
        broken["a user twice at one cut-off"] = found["twice"]
    if broken:
        told = "; ".join(f"{name} in {rows} rows" for name, rows in broken.items())
        raise FoundError(f"the view {view!r} is not published, its check failed: {told}. The old partition stays.")


def _expectations(column: InputColumn) -> dict[str, Column]:
    value = F.col(column.name)
    if column.length is None:
        return {f"{column.name}: a null": value.isNull()}
    failures = {
        f"{column.name}: a null": F.array_contains(value, _ABSENT[column.kind]).isNull(),
        f"{column.name}: not {column.length} long": F.size(value) != column.length,
    }
    if column.name.endswith("_day"):
        cutoff = F.unix_date(F.to_date(TIMESTAMP))
        failures[f"{column.name}: an event at or after the cut-off"] = F.array_max(value) >= cutoff
    return failures
