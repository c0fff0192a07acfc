"""Checks a lake against the contract and reports what it holds, source by source.

spark-submit spark_jobs/validate_lake.py --lake LAKE
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.events import PROFILES
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import EVENT_TEMPLATES
from spark_jobs.features import profile_schema
from spark_jobs.lake import LakeTables, open_lake
from spark_jobs.lake_checks import time_field
from spark_jobs.lake_scenarios import scenario_report
from spark_jobs.partitions import write_json
from spark_jobs.rendering import clean, event_text, quoted
from spark_jobs.session import main, parser, say, spark_session

Report = dict[str, Any]


def lake_report(spark: SparkSession, settings: Settings) -> Report:
    """What the lake holds. Raises FoundError for whatever the contract refuses."""
    tables = open_lake(spark, settings)
    return {
        "name": tables.lake.name,
        "ends": tables.ends.isoformat(),
        "first_event": tables.first_event.isoformat(),
        "last_event": tables.last_event.isoformat(),
        "sources": {source: _source(source, table, tables) for source, table in tables.tables.items()},
    }


def _source(source: str, table: DataFrame, tables: LakeTables) -> Report:
    micros = F.unix_micros(time_field(source))
    shares = [F.avg(F.col(quoted(c)).isNull().cast("int")).alias(f"null {c}") for c in table.columns]
    found = table.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct("user_id").alias("users"),
        F.min(micros).alias("first"),
        F.max(micros).alias("last"),
        *shares,
    ).head()
    assert found is not None
    return {
        "rows": found["rows"],
        "users": found["users"],
        "first": _instant(found["first"]),
        "last": _instant(found["last"]),
        "nulls": {c: round(found[f"null {c}"] or 0.0, 4) for c in table.columns},
        "distinct_texts": _texts(source, table, tables).distinct().count(),
    }


def _texts(source: str, table: DataFrame, tables: LakeTables) -> DataFrame:
    """The texts of the events, or the categories of the profiles."""
    if source != PROFILES:
        return table.select(event_text(EVENT_TEMPLATES[source], lambda name: clean(F.col(name))))
    names = profile_schema(tables.profiles).categorical
    values = F.explode(F.array(*map(quoted, names))) if names else F.lit(None).cast("string")
    return table.select(values.alias("text")).filter("text is not null")


def _instant(micros: int | None) -> str | None:
    if micros is None:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


def printed(report: Report) -> str:
    """The report for a human: one block per source, only the columns that have nulls."""
    lines = [f"lake {report['name']}: observed from {report['first_event']} until {report['ends']}"]
    for source, found in report["sources"].items():
        lines.append(
            f"  {source}: {found['rows']:,} rows of {found['users']:,} users, {found['distinct_texts']:,} distinct "
            f"texts, {found['first']} to {found['last']}"
        )
        if nulls := [f"{column} {share:.1%}" for column, share in found["nulls"].items() if share]:
            lines.append(f"    null or missing: {', '.join(nulls)}")
    return "\n".join(lines)


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("lake")
    with spark_session(settings, job="validate_lake") as spark:
        report = lake_report(spark, settings)
    say("\n".join([printed(report), *(f"  {line}" for line in scenario_report(Path(settings.lake)))]))
    if settings.workdir:
        write_json(settings.work.root / "lake_report.json", report)


if __name__ == "__main__":
    main(run, parser(__doc__, "lake", "workdir", "spark_master"))
