"""Writes a synthetic lake with Spark: blocks of users, each user simulated by itself, one file per block."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.events import EVENT_SOURCES, EVENT_TABLES, PROFILES, SOURCES
from feature_repo.contracts.lake import LAKE_FILE
from spark_jobs.partitions import publish, write_files
from spark_jobs.synthetic.demands import TASKS, Task
from spark_jobs.synthetic.labels import labels
from spark_jobs.synthetic.people import Person, intent_rows, person, profile_rows
from spark_jobs.synthetic.stories import EVENT_COLUMNS, events
from spark_jobs.synthetic.world import ENDS

BLOCK_USERS = 2_500
"""About so many users per file. It depends on nothing else, so the same lake has the same files anywhere."""
BATCH_USERS = 50

_NOT_STRINGS = {"event_time": "timestamp", "amount": "double", "quantity": "double"}
EVENTS = ", ".join(f"{name} {_NOT_STRINGS.get(name, 'string')}" for name in EVENT_COLUMNS)
PROFILE = (
    "user_id string, valid_from timestamp, age double, city string, gender string, household string, "
    "income double, member_level string, newsletter boolean"
)
INTENTS = "user_id string, intent string, start timestamp, end timestamp"

Live = Callable[[int, Person], Iterator[tuple[Any, ...]]]


def write_lake(spark: SparkSession, out: Path, *, users: int, seed: int) -> None:
    """The whole lake at `out`, or nothing; the same users and seed give the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    publish(out, lambda folder: _write(spark, folder, users, seed))


def _write(spark: SparkSession, folder: Path, users: int, seed: int) -> None:
    scenarios = folder / "scenarios"
    scenarios.mkdir()
    lived = _lived(spark, users, seed, EVENTS, lambda index, who: iter(events(seed, index, who))).persist()
    try:
        for source in EVENT_SOURCES:
            own = [f.name for f in EVENT_TABLES[source] if f.name in EVENT_COLUMNS]
            write_files(lived.filter(F.col("source") == source).select(*own), folder / source)
        write_files(_lived(spark, users, seed, PROFILE, lambda _, who: profile_rows(who)), folder / PROFILES)
        intents = _lived(spark, users, seed, INTENTS, lambda _, who: intent_rows(who))
        _write_one(intents, scenarios / "intents.parquet")
        _write_one(labels(lived, intents, TASKS), scenarios / "labels.parquet")
    finally:
        lived.unpersist()
    described = _scenarios(spark.read.parquet(str(scenarios / "labels.parquet")))
    (scenarios / "scenarios.yaml").write_text(yaml.safe_dump(described, sort_keys=False, width=120))
    (folder / LAKE_FILE).write_text(yaml.safe_dump(_description(users, seed), sort_keys=False))


def _lived(spark: SparkSession, users: int, seed: int, schema: str, live: Live) -> DataFrame:
    """The rows that each user leaves, users in order, in partitions that are blocks of users."""

    def simulate(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        kinds = {"string": pa.string(), "double": pa.float64(), "boolean": pa.bool_()}
        kinds["timestamp"] = pa.timestamp("us", tz="UTC")
        arrow = pa.schema([(name, kinds[kind]) for name, kind in (f.split() for f in schema.split(", "))])
        for batch in batches:
            for some in _chunks(batch.column(0).to_pylist(), BATCH_USERS):
                rows = [row for index in some for row in live(index, person(seed, index))]
                arrays = [pa.array(list(v), f.type) for v, f in zip(zip(*rows, strict=True), arrow, strict=False)]
                if rows:
                    yield pa.RecordBatch.from_arrays(arrays, schema=arrow)

    return spark.range(0, users, 1, -(-users // BLOCK_USERS)).mapInArrow(simulate, schema)


def _chunks(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


def _write_one(frame: DataFrame, path: Path) -> None:
    """The rows as one file."""
    folder = path.with_name(f".{path.name}")
    write_files(frame.coalesce(1), folder)
    os.replace(folder / "part-00000.parquet", path)
    folder.rmdir()


def _scenarios(labelled: DataFrame) -> list[dict[str, Any]]:
    counted = labelled.groupBy("scenario_id").agg(F.count("*").alias("users"), F.avg("label").alias("rate"))
    found = {row["scenario_id"]: row for row in counted.collect()}
    return [_scenario(task, i, found) for task in TASKS for i in range(len(task.demands))]


def _scenario(task: Task, number: int, found: dict[str, Any]) -> dict[str, Any]:
    name = task.scenario_ids[number]
    counted = found.get(name)
    return {
        "id": name,
        "domain": task.domain,
        "demand": task.demands[number],
        "cutoff": task.cutoff.isoformat(),
        "horizon_days": task.horizon_days,
        "label_rule": task.label_rule,
        "users": counted["users"] if counted else 0,
        "base_rate": round(counted["rate"], 4) if counted else 0.0,
    }


def _description(users: int, seed: int) -> dict[str, Any]:
    return {
        "name": "synthetic",
        "domain": "marketing",
        "currency": "EUR",
        "timezone": "UTC",
        "source": f"simulated: {users} users, seed {seed}",
        "licence": "CC0",
        "sources": list(SOURCES),
        "ends": ENDS.date().isoformat(),
    }
