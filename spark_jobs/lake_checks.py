"""What a lake is refused for, each time with the table, the column, an example row and the remedy."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import PROFILE_KEYS, PROFILES, Field
from feature_repo.contracts.events import fields as fields_of
from feature_repo.contracts.lake import Lake
from feature_repo.contracts.names import JOIN_KEY, TIMESTAMP
from spark_jobs.rendering import quoted

LONGEST_ID = 256
"""Bytes; an index holds no longer ones (serving/rows.py)."""
FIRST_TIME = datetime(1971, 1, 1, tzinfo=UTC)
FARTHEST = timedelta(days=366)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAKEN = (JOIN_KEY, TIMESTAMP, "ds", "cutoff_day")
"""Names that the tables made of a lake have themselves."""
_REMEDIES = {
    "string": "cast it to string, e.g. CAST({column} AS STRING)",
    "double": "cast it to double; text such as '1,5' is no number",
    "timestamp": "write a UTC timestamp (pandas: pd.to_datetime(..., utc=True); Spark: TIMESTAMP)",
}


@dataclass(frozen=True)
class Span:
    """How many rows a table has, and their first and last time."""

    rows: int
    first: datetime
    last: datetime


def time_field(source: str) -> str:
    return "valid_from" if source == PROFILES else "event_time"


def check_columns(lake: Lake, source: str, raw: DataFrame) -> set[str]:
    """Our names of the fixed columns that the table has; an all-null one of another type is a missing one.

    Raises FoundError for a required column that is missing, a wrong type and a naive time.
    """
    kinds = {f.name: f.dataType for f in raw.schema.fields}
    _refuse_unmapped(lake, source, raw)
    present: set[str] = set()
    for field in fields_of(source):
        theirs = lake.theirs(source, field.name)
        if theirs in kinds and _fits(field, kinds[theirs]):
            present.add(field.name)
        elif theirs in kinds and not is_all_null(raw, theirs):
            _refuse_type(lake, source, raw, field, kinds[theirs])
        elif field.required and theirs not in kinds:
            _refuse_missing(lake, source, raw, field)
    return present


def _refuse_unmapped(lake: Lake, source: str, raw: DataFrame) -> None:
    """A name that lake.yaml gives and the table has not is a slip, and not a column that is missing."""
    for ours, theirs in lake.columns.get(source, {}).items():
        if theirs not in raw.columns:
            raise FoundError(
                f"{lake.name}: lake.yaml says that {ours!r} of {source!r} is called {theirs!r}, which the table lacks; "
                f"it has {raw.columns}. Correct the name under `columns:`, or take it out."
            )


def _fits(field: Field, kind: T.DataType) -> bool:
    if field.kind == "double":
        return isinstance(kind, T.NumericType)
    return isinstance(kind, T.StringType if field.kind == "string" else T.TimestampType)


def is_all_null(table: DataFrame, column: str) -> bool:
    return table.filter(F.col(quoted(column)).isNotNull()).isEmpty()


def check_profile_columns(lake: Lake, raw: DataFrame) -> dict[str, T.DataType]:
    """The types of all columns of the profile table. Raises FoundError for one that is no category or number."""
    ours = {theirs: name for name, theirs in lake.columns.get(PROFILES, {}).items()}
    keys = {lake.theirs(PROFILES, f.name) for f in PROFILE_KEYS}
    for column in raw.schema.fields:
        if column.name in keys:
            continue
        if ours.get(column.name, column.name).lower() in _TAKEN:
            raise FoundError(
                f"{lake.name}: the column {column.name!r} of 'profiles' has a name that FOUND needs itself. "
                "Rename it, or map it under `columns:` in lake.yaml."
            )
        if not isinstance(column.dataType, T.StringType | T.BooleanType | T.NumericType | T.NullType):
            raise FoundError(
                f"{lake.name}: column {column.name!r} of 'profiles' must be string or bool (a category) or a number, "
                f"found {column.dataType.simpleString()}, e.g. in {example(raw)}. Cast it to one of these, or drop it."
            )
    return {f.name: f.dataType for f in raw.schema.fields}


def check_rows(lake: Lake, source: str, table: DataFrame) -> Span:
    """Raises FoundError for a null user_id or time, an id that nobody could ask for, an event at a time that stands for
    none, a required column of nothing but nulls and for two profiles of one (user_id, valid_from)."""
    time = time_field(source)
    required = [f.name for f in fields_of(source) if f.required]
    micros = F.unix_micros(time)
    filled = [F.count(name).alias(name) for name in required]
    unaskable = F.count_if(_is_unaskable())
    found = table.agg(F.count(F.lit(1)).alias("rows"), F.min(micros), F.max(micros), unaskable, *filled).head()
    assert found is not None
    rows, first, last, unaskable_rows = found[:4]
    for column in (JOIN_KEY, time):
        if found[column] < rows:
            _refuse_null(lake, source, table, column, rows - found[column])
    for column in required:
        if rows and not found[column]:
            raise FoundError(
                f"{lake.name}: column {column!r} of {source!r} is required but null in every row, e.g. "
                f"{example(table)}. Fill it, or map yours in lake.yaml."
            )
    if unaskable_rows:
        raise FoundError(
            f"{lake.name}: {unaskable_rows} rows of {source!r} have a user_id that no list of users can name, e.g. "
            f"{example(table, _is_unaskable())}: an id has 1 to {LONGEST_ID} bytes, no control character, and no space "
            "at either end. Trim it (SQL: TRIM(user_id)), or drop these rows."
        )
    if source == PROFILES:
        _refuse_twins(lake, table)
    elif rows:
        _refuse_placeholders(lake, source, table, _instant(first), _instant(last))
    return Span(rows, _instant(first or 0), _instant(last or 0))


def _is_unaskable() -> Column:
    return ~F.octet_length(JOIN_KEY).between(1, LONGEST_ID) | F.col(JOIN_KEY).rlike(r"(?U)^\s|\s$|\p{Cntrl}")


def _refuse_placeholders(lake: Lake, source: str, table: DataFrame, first: datetime, last: datetime) -> None:
    """One event of 1970 or 9999 would stretch the lake by decades, and spread the training over nothing."""
    for at, is_odd in ((first, first < FIRST_TIME), (last, last > datetime.now(UTC) + FARTHEST)):
        if is_odd:
            micros = round((at - _EPOCH) / timedelta(microseconds=1))
            raise FoundError(
                f"{lake.name}: {source!r} has an event at {at:%Y-%m-%d %H:%M} UTC, e.g. "
                f"{example(table, F.unix_micros('event_time') == micros)}: a time before {FIRST_TIME:%Y}, or more than "
                "a year from now, stands for an unknown one. Drop these rows, or correct the time."
            )


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def example(table: DataFrame, condition: Column | None = None) -> str:
    """The first row (that meets the condition) as JSON."""
    rows = table if condition is None else table.filter(condition)
    shown = [c for c in table.columns if not isinstance(table.schema[c].dataType, T.NullType)]
    row = rows.select(F.to_json(F.struct(*map(quoted, shown)))).head()
    return str(row[0]) if row else "no row"


def _refuse_missing(lake: Lake, source: str, raw: DataFrame, field: Field) -> NoReturn:
    raise FoundError(
        f"{lake.name}: table {source!r} lacks the required column {field.name!r}; it has {raw.columns}, e.g. "
        f"{example(raw)}. "
        f"Add it, or map yours in lake.yaml: `columns: {{{source}: {{{field.name}: YOUR_NAME}}}}`."
    )


def _refuse_type(lake: Lake, source: str, raw: DataFrame, field: Field, kind: T.DataType) -> NoReturn:
    theirs = lake.theirs(source, field.name)
    where = f"{lake.name}: column {theirs!r} of {source!r}"
    row = example(raw, F.col(quoted(theirs)).isNotNull())
    if isinstance(kind, T.TimestampNTZType):
        raise FoundError(
            f"{where} holds naive times (a timestamp without time zone), e.g. in {row}: nobody can tell which "
            "instant they mean. Localise them and write UTC (pandas: .dt.tz_localize(ZONE).dt.tz_convert('UTC'))."
        )
    remedy = _REMEDIES[field.kind].format(column=theirs)
    raise FoundError(f"{where} must be {field.kind}, found {kind.simpleString()}, e.g. in {row}: {remedy}.")


def _refuse_null(lake: Lake, source: str, table: DataFrame, column: str, count: int) -> NoReturn:
    raise FoundError(
        f"{lake.name}: column {column!r} of {source!r} is null in {count} rows, e.g. "
        f"{example(table, F.col(column).isNull())}. Drop these rows or fill the column."
    )


def _refuse_twins(lake: Lake, profiles: DataFrame) -> None:
    keys = [f.name for f in PROFILE_KEYS]
    twins = profiles.groupBy(*keys).count().filter(F.col("count") > 1).orderBy(*keys).limit(1)
    row = profiles.join(twins.drop("count"), keys, how="left_semi").limit(1)
    if not row.isEmpty():
        raise FoundError(
            f"{lake.name}: table 'profiles' has two rows of one (user_id, valid_from), e.g. {example(row)}. "
            "Keep one row for each user and instant."
        )
