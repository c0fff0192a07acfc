"""Writes what an adapter read as a lake: the contract's columns, in one order, whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES, PROFILES, SOURCES
from feature_repo.contracts.events import fields as fields_of
from feature_repo.contracts.lake import LAKE_FILE
from spark_jobs.lake_checks import time_field
from spark_jobs.originals.opened import Original
from spark_jobs.partitions import publish, write_files
from spark_jobs.rendering import quoted
from spark_jobs.schemas import EVENT_TYPES

FILE_ROWS = 2_000_000
"""About so many rows per file."""
_NEVER_GIVEN = ("arrival_time", "event_id")
"""No original tells when a row arrived or was delivered: every row counts."""


@dataclass(frozen=True)
class Tables:
    """The sources that an original holds; `ends` where it is observed for longer than its last event says."""

    tables: Mapping[str, DataFrame]
    ends: date | None = None


@dataclass(frozen=True)
class Dataset:
    """One adapter: how the original is read, and what its lake.yaml says."""

    name: str
    domain: str
    source: str
    licence: str
    read: Callable[[Original], Tables]
    currency: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """The MD5 that the source itself publishes, by file name; no other is known for certain."""
    counts_days: bool = False


def write_lake(out: Path, dataset: Dataset, read: Tables) -> dict[str, int]:
    """The lake at `out`, or nothing; the rows of each source. The same rows give the same bytes.

    A source without a row is left out. Raises FoundError where no event is left.
    """
    shaped = {source: _shaped(read.tables[source], source) for source in SOURCES if source in read.tables}
    counted = {source: frame.count() for source, frame in shaped.items()}
    rows = {source: count for source, count in counted.items() if count}
    if not rows.keys() & set(EVENT_SOURCES):
        raise FoundError(f"the original of {dataset.name} must hold events, found none. Download it again.")
    out.parent.mkdir(parents=True, exist_ok=True)

    def write(folder: Path) -> None:
        for source, count in rows.items():
            write_files(_laid_out(shaped[source], source, count), folder / source)
        (folder / LAKE_FILE).write_text(yaml.safe_dump(_description(dataset, list(rows), read.ends), sort_keys=False))

    publish(out, write)
    return rows


def _shaped(frame: DataFrame, source: str) -> DataFrame:
    """The contract's columns in its order, typed nulls for those that the original lacks; then a profile's own."""
    fixed = [f for f in fields_of(source) if f.name not in _NEVER_GIVEN]
    own = [c for c in frame.columns if c not in {f.name for f in fixed}]
    assert source == PROFILES or not own, f"{source} has no column {own}"
    columns = [
        (F.col(f.name) if f.name in frame.columns else F.lit(None)).cast(EVENT_TYPES[f.kind]).alias(f.name)
        for f in fixed
    ]
    return frame.select(*columns, *map(quoted, own))


def _laid_out(frame: DataFrame, source: str, rows: int) -> DataFrame:
    """By user, then time, then every other column: one order of rows, whatever the order of the original."""
    first = ["user_id", time_field(source)]
    order = [*first, *(c for c in frame.columns if c not in first)]
    return frame.repartition(-(-rows // FILE_ROWS), "user_id").sortWithinPartitions(*map(quoted, order))


def _description(dataset: Dataset, sources: list[str], ends: date | None) -> dict[str, Any]:
    told = {
        "name": dataset.name,
        "domain": dataset.domain,
        "currency": dataset.currency,
        "timezone": "UTC",
        "source": dataset.source,
        "licence": dataset.licence,
        "sources": sources,
        "ends": ends.isoformat() if ends else "",
    }
    return {key: value for key, value in told.items() if value}
