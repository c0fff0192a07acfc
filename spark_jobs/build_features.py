"""Snapshots of every user as of one or more cut-offs, published by ds below WORKDIR/features.

spark-submit spark_jobs/build_features.py --ds 2011-06-01
"""

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import HISTORY, INPUT_VIEWS, PROFILE, SEARCHES, TEXTS
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.turns import turn
from feature_repo.contracts.windows import cutoff_instant, day_number, parse_cutoffs
from spark_jobs import features
from spark_jobs.lake import LakeTables, open_lake
from spark_jobs.partitions import laid_out, publish_all, write_by, write_json
from spark_jobs.session import main, parser, say, spark_session
from spark_jobs.transforms.population import by_user, population
from spark_jobs.transforms.snapshots import snapshots


def build_features(spark: SparkSession, settings: Settings, cutoffs: Sequence[date]) -> None:
    """Publishes the views of these cut-offs and the texts they name; each view's partition appears whole."""
    _refuse_future(cutoffs)
    tables = open_lake(spark, settings)
    if (behind := (cutoff_instant(max(cutoffs)) - tables.ends).days) > 0:
        say(f"features: the lake ends at {tables.ends:%Y-%m-%d %H:%M} UTC, {behind} days before {max(cutoffs)}")
    schema = features.profile_schema(tables.profiles)
    write_json(settings.work.profile_schema, schema.as_dict())
    with _staging(settings, cutoffs) as staging:
        users = _stage(spark, tables, settings, cutoffs, staging)
        paths = {settings.work.partition(v, ds): staging / v / f"ds={ds}" for v in _VIEWS for ds in cutoffs}
        publish_all(paths, lambda folders: _move({paths[p]: into for p, into in folders.items()}))
    say(f"features: {users} snapshots at {', '.join(map(str, cutoffs))} in {settings.work.root / 'features'}")


_VIEWS = (TEXTS, *INPUT_VIEWS)
"""Texts first: a reader of the other views finds the text of every key."""


@contextmanager
def _staging(settings: Settings, cutoffs: Sequence[date]) -> Iterator[Path]:
    """An empty folder of these cut-offs, which is removed in the end. Runs of the same ones take turns, and what a
    killed one left goes first."""
    root, name = settings.work.root / "features", f"{cutoffs[0]}-{cutoffs[-1]}-{len(cutoffs)}"
    staging = root / f".staging-{name}"
    with turn(root / f".{name}.lock"):
        shutil.rmtree(staging, ignore_errors=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _stage(spark: SparkSession, tables: LakeTables, settings: Settings, cutoffs: Sequence[date], staging: Path) -> int:
    partitions = features.partitions_of(spark)
    events = features.load_events(tables, partitions=partitions)
    keys = population(events, tables.profiles, cutoffs).localCheckpoint()
    _refuse_nobody(keys, tables, cutoffs)
    views = snapshots(
        events,
        tables.profiles,
        by_user(keys, partitions=partitions).localCheckpoint(),
        sources=tables.lake.event_sources,
        lengths=settings.lengths,
        history_days=settings.history_days,
    )
    features.write_views(views, staging, lengths=settings.lengths, files=features.files_for(keys))
    _write_texts(spark, features.text_table(events, tables.profiles), staging, tables, cutoffs)
    users = keys.count()
    spark.catalog.clearCache()
    return users


def _refuse_future(cutoffs: Sequence[date]) -> None:
    """A day that has not begun would be the newest until it has: every night before it would be left out as older."""
    if cutoff_instant(max(cutoffs)) > datetime.now(UTC):
        raise FoundError(f"a snapshot is of a day that has begun (UTC), found {max(cutoffs)}: check the date.")


def _refuse_nobody(keys: DataFrame, tables: LakeTables, cutoffs: Sequence[date]) -> None:
    seen = {row[0] for row in keys.select("cutoff_day").distinct().collect()}
    for ds in cutoffs:
        if day_number(ds) not in seen:
            raise FoundError(
                f"no user of {tables.lake.name} is known before {ds}: its first event is at "
                f"{tables.first_event:%Y-%m-%d %H:%M} UTC. Choose a later cut-off."
            )


def _write_texts(
    spark: SparkSession, texts: DataFrame, staging: Path, tables: LakeTables, cutoffs: Sequence[date]
) -> None:
    used = None
    for view in (HISTORY, SEARCHES):
        frame = spark.read.parquet(str(staging / view))
        keys = features.used_texts(frame, features.text_arrays(frame.columns), "ds")
        used = keys if used is None else used.unionByName(keys)
    assert used is not None
    if names := features.profile_schema(tables.profiles).categorical:
        used = used.unionByName(features.profile_texts(spark.read.parquet(str(staging / PROFILE)), names, "ds"))
    named = used.distinct().join(texts, "text_key", how="inner").select("text_key", "text", "ds")
    one_file = laid_out(named, "ds", key="text_key", files=1, partitions=features.partitions_of(spark))
    write_by(one_file, staging / TEXTS, "ds")
    for ds in cutoffs:
        if not (staging / TEXTS / f"ds={ds}").exists():
            raise FoundError(
                f"nobody of {tables.lake.name} has any event or profile text before {ds}: choose a later cut-off."
            )


def _move(folders: Mapping[Path, Path]) -> None:
    for staged, folder in folders.items():
        for file in sorted(staged.iterdir()):
            file.rename(folder / file.name)


def _cutoffs(arguments: argparse.Namespace) -> tuple[date, ...]:
    if bool(arguments.ds) == bool(arguments.cutoffs):
        raise FoundError("give the day of the snapshot as --ds 2011-06-01, or several as --cutoffs FROM:TO:STEP.")
    return (cutoff_instant(arguments.ds).date(),) if arguments.ds else parse_cutoffs(arguments.cutoffs)


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("lake", "workdir")
    cutoffs = _cutoffs(arguments)
    with spark_session(settings, job="build_features") as spark:
        build_features(spark, settings, cutoffs)


def arguments() -> argparse.ArgumentParser:
    parse = parser(__doc__, "lake", "workdir", "history_days", "max_events", "max_searches", "spark_master")
    parse.add_argument("--ds", help="the cut-off: 00:00 UTC of this date")
    parse.add_argument("--cutoffs", help="several cut-offs: FROM:TO:STEP")
    return parse


if __name__ == "__main__":
    main(run, arguments())
