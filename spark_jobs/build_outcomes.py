"""What happened in windows that have passed: which users had which of the texts that stored audiences ask about.

spark-submit spark_jobs/build_outcomes.py --lake LAKE --workdir DIR

WORKDIR/audiences/asked.json lists the windows: [{"ds": DATE, "horizon_days": N, "gap_days": N, "keys": [KEY, ...]}].
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Lengths
from feature_repo.contracts.names import outcome_name
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import TEMPLATE_VERSION
from feature_repo.contracts.windows import Windows, cutoff_instant
from spark_jobs import features
from spark_jobs.lake import LakeTables, open_lake
from spark_jobs.partitions import publish, write_files, write_json
from spark_jobs.session import main, parser, say, spark_session
from spark_jobs.transforms.futures import future_sentences
from spark_jobs.transforms.population import by_user, population

EVERY_SENTENCE = Lengths(events=1, searches=1, future=2**31 - 1)
"""A training pair keeps some of a future's sentences; here all count."""


@dataclass(frozen=True)
class Asked:
    """One window and the keys of the texts that matter in it."""

    ds: date
    horizon_days: int
    gap_days: int
    keys: tuple[int, ...]

    @property
    def windows(self) -> Windows:
        return Windows(1, self.horizon_days, self.gap_days)

    @property
    def name(self) -> str:
        return outcome_name(self.ds, self.horizon_days, self.gap_days)


def build_outcomes(spark: SparkSession, settings: Settings, asked: Sequence[Asked], *, out: Path) -> None:
    """Publishes `out`: manifest.json and, per window that the lake was observed to the end of, NAME/part-*.parquet
    with user_id and text_key, each pair once, of the users known at ds."""
    tables = open_lake(spark, settings)
    events = features.load_events(tables, partitions=features.partitions_of(spark))

    def write(root: Path) -> None:
        told = {window.name: _window(spark, tables, events, window, root) for window in asked}
        write_json(root / "manifest.json", {"template_version": TEMPLATE_VERSION, "windows": told})

    publish(out, write)
    spark.catalog.clearCache()


def _window(
    spark: SparkSession, tables: LakeTables, events: DataFrame, asked: Asked, root: Path
) -> dict[str, int | bool]:
    observed = asked.windows.future(cutoff_instant(asked.ds)).end <= tables.ends
    if not observed:
        say(f"outcomes: the lake is observed until {tables.ends:%Y-%m-%d}, the window of {asked.name} ends later")
        return {"observed": False}
    known = population(events, tables.profiles, (asked.ds,)).localCheckpoint()
    users = by_user(known, partitions=features.partitions_of(spark))
    currency = tables.lake.currency
    futures = future_sentences(events, users, asked.windows, currency=currency, lengths=EVERY_SENTENCE)
    happened = futures.select("user_id", F.explode("future_text").alias("text_key"))
    wanted = spark.createDataFrame([(key,) for key in asked.keys], "text_key bigint")
    pairs = happened.join(F.broadcast(wanted), "text_key", how="left_semi").select("user_id", "text_key")
    write_files(pairs.coalesce(1).sortWithinPartitions("user_id", "text_key"), root / asked.name)
    count = known.count()
    say(f"outcomes: {asked.name}, {count} users, {len(asked.keys)} texts")
    return {"observed": True, "population": count}


def read_asked(path: Path) -> list[Asked]:
    """The windows of asked.json. Raises FoundError for a file that is not as the docstring above says."""
    try:
        return [_asked(window) for window in json.loads(path.read_text())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FoundError(
            f"{path} must be a list of windows with ds, horizon_days, gap_days and keys, it cannot be read as one: "
            f"{type(error).__name__}: {error}. `found backtest` writes it."
        ) from error


def _asked(window: dict[str, Any]) -> Asked:
    keys = tuple(sorted({int(key) for key in window["keys"]}))
    return Asked(date.fromisoformat(window["ds"]), int(window["horizon_days"]), int(window["gap_days"]), keys)


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("lake", "workdir")
    asked = read_asked(settings.work.outcomes_asked)
    with spark_session(settings, job="build_outcomes") as spark:
        build_outcomes(spark, settings, asked, out=settings.work.outcomes)


def arguments() -> argparse.ArgumentParser:
    return parser(__doc__, "lake", "workdir", "spark_master")


if __name__ == "__main__":
    main(run, arguments())
