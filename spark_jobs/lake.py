"""Reads a lake into DataFrames of the contract's names and types, or refuses it by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import PROFILE_KEYS, PROFILES
from feature_repo.contracts.events import fields as fields_of
from feature_repo.contracts.lake import LAKE_FILE, Lake, read_lake
from feature_repo.contracts.names import JOIN_KEY
from feature_repo.contracts.settings import Settings
from spark_jobs.blocked import blocked_users, without_blocked
from spark_jobs.lake_checks import check_columns, check_profile_columns, check_rows
from spark_jobs.lake_files import refuse_other_files, with_micros
from spark_jobs.rendering import quoted
from spark_jobs.schemas import EVENT_TYPES

AMOUNT_LIMIT = 1e11
"""A number beyond it is not money; like NaN it counts as missing."""


@dataclass(frozen=True)
class LakeTables:
    """A checked lake: every event column of the contract is there, typed; what the lake lacks is null."""

    lake: Lake
    tables: Mapping[str, DataFrame]
    first_event: datetime
    last_event: datetime

    @property
    def ends(self) -> datetime:
        """The first instant not observed."""
        return self.lake.ends or self.last_event + timedelta(microseconds=1)

    @property
    def events(self) -> dict[str, DataFrame]:
        return {source: self.tables[source] for source in self.lake.event_sources}

    @property
    def profiles(self) -> DataFrame | None:
        """user_id, valid_from, then the lake's own columns: string or double."""
        return self.tables.get(PROFILES)


def open_lake(spark: SparkSession, settings: Settings) -> LakeTables:
    """The lake of the settings without erased users, read and checked. Raises FoundError for whatever the contract
    refuses."""
    settings.require("lake")
    lake = read_lake(Path(settings.lake))
    raw = {source: _read(spark, lake, source) for source in lake.sources}
    ids = {source: lake.theirs(source, JOIN_KEY) for source in lake.sources}
    known = without_blocked(raw, blocked_users(settings), ids=ids)
    tables = {source: _table(lake, source, known[source]) for source in lake.sources}
    spans = {source: check_rows(lake, source, table) for source, table in tables.items()}
    observed = [span for source, span in spans.items() if source in lake.event_sources and span.rows]
    if not observed:
        raise FoundError(
            f"the lake {lake.name} is empty: no row in {list(lake.event_sources)}. Fill at least one event table."
        )
    first = min(span.first for span in observed)
    if lake.ends and lake.ends <= first:
        raise FoundError(
            f"{lake.name}: `ends` in {LAKE_FILE} is {lake.ends:%Y-%m-%d %H:%M}, but the first event is at "
            f"{first:%Y-%m-%d %H:%M} UTC: it is the first instant that was not observed."
        )
    return LakeTables(lake, tables, first, max(span.last for span in observed))


def _table(lake: Lake, source: str, raw: DataFrame) -> DataFrame:
    present = check_columns(lake, source, raw)
    fixed = [
        _typed(raw, lake.theirs(source, f.name), EVENT_TYPES[f.kind]).alias(f.name)
        if f.name in present
        else F.lit(None).cast(EVENT_TYPES[f.kind]).alias(f.name)
        for f in fields_of(source)
    ]
    return raw.select(*fixed, *(_profile_columns(lake, raw) if source == PROFILES else ()))


def _read(spark: SparkSession, lake: Lake, source: str) -> DataFrame:
    """The table as its owner wrote it: a parquet folder, else a table of the catalogue."""
    named = lake.table(source)
    folder = Path(lake.root) / named
    if not folder.exists():
        if source in lake.tables and "/" not in named and spark.catalog.tableExists(named):
            return spark.read.table(named)
        raise FoundError(
            f"{lake.name}: source {source!r} is listed in {LAKE_FILE}, but neither the folder {folder} nor a table "
            f"{named!r} exists. Write the table, map it under `tables:`, or take the source off the list."
        )
    where = f"{lake.name}: the table {source!r} at {folder}"
    refuse_other_files(folder, where)
    try:
        raw = spark.read.option("mergeSchema", "true").parquet(str(folder))
    except (AnalysisException, Py4JJavaError) as error:
        raise FoundError(
            f"{where} cannot be read as one parquet table: {_first_line(error)} "
            "Write parquet files of one schema there."
        ) from error
    return with_micros(raw, folder)


def _first_line(error: Exception) -> str:
    """Of what Spark says; of Java's trace, the cause."""
    lines = str(error).splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return causes[-1] if causes else lines[0]


def _typed(raw: DataFrame, theirs: str, kind: T.DataType) -> Column:
    value = F.col(quoted(theirs)).cast(kind)
    if not isinstance(kind, T.DoubleType):
        return value
    return F.when(F.abs(value) <= AMOUNT_LIMIT, value)


def _profile_columns(lake: Lake, raw: DataFrame) -> list[Column]:
    """The owner's columns in alphabetical order of our names: categories as strings, numbers as doubles."""
    kinds = check_profile_columns(lake, raw)
    keys = {lake.theirs(PROFILES, f.name) for f in PROFILE_KEYS}
    ours = {theirs: name for name, theirs in lake.columns.get(PROFILES, {}).items()}
    columns = {ours.get(c, c): (c, kind) for c, kind in kinds.items() if c not in keys}
    return [_profile_value(*columns[name]).alias(name) for name in sorted(columns)]


def _profile_value(theirs: str, kind: T.DataType) -> Column:
    value = F.col(quoted(theirs))
    if isinstance(kind, T.NumericType):
        number = value.cast("double")
        return F.when(~F.isnan(number), number)
    return value.cast("string")
