"""Training pairs of (inputs at t, sentences of the future), as a dataset that Petastorm reads.

spark-submit spark_jobs/build_pairs.py --lake LAKE --cutoffs 2010-06-01:2011-03-01:21 --horizon-days 90 --out DIR
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import DESCRIPTION, SCHEMA_VERSION
from feature_repo.contracts.pair_files import fingerprint
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import NOTHING, TEMPLATE_VERSION
from feature_repo.contracts.templates import text_key as key_of
from feature_repo.contracts.windows import Windows, cutoff_instant
from spark_jobs import features
from spark_jobs.lake import LakeTables, open_lake
from spark_jobs.pairs import PairWriter, chosen_cutoffs
from spark_jobs.partitions import publish, write_json
from spark_jobs.session import main, parser, say, spark_session
from spark_jobs.transforms.futures import future_descriptions, future_sentences, sentence_table
from spark_jobs.transforms.population import by_user, population, sampled
from spark_jobs.transforms.snapshots import snapshots


def build_pairs(
    spark: SparkSession, settings: Settings, windows: Windows, *, out: Path, until: date | None = None
) -> None:
    """Publishes the dataset `out` whole: pairs/, texts/, features/ and manifest.json.

    No future passes the lake's end nor 00:00 UTC of `until`. Of more than `max_pairs` rows the same sample is
    kept on every run.
    """
    tables = open_lake(spark, settings)
    ends = min(tables.ends, cutoff_instant(until)) if until else tables.ends
    cutoffs = chosen_cutoffs(settings.cutoffs, first_event=tables.first_event, ends=ends, windows=windows)
    publish(out, lambda root: _write(spark, tables, settings, cutoffs, root))
    spark.catalog.clearCache()


def _write(spark: SparkSession, tables: LakeTables, settings: Settings, cutoffs: tuple[date, ...], root: Path) -> None:
    partitions = features.partitions_of(spark)
    events = features.load_events(tables, partitions=partitions)
    keys, rows = _keys(events, tables, settings, cutoffs)
    asked = by_user(keys, partitions=partitions).localCheckpoint()
    say(f"pairs: {rows} users x cut-offs, at {len(cutoffs)} cut-offs from {cutoffs[0]} to {cutoffs[-1]}")
    _write_features(events, asked, tables, settings, root, files=features.files_for(keys))
    profile = features.profile_schema(tables.profiles)
    writer = PairWriter(spark, root, settings.lengths, profile)
    currency = tables.lake.currency
    futures = future_sentences(events, asked, settings.windows, currency=currency, lengths=settings.lengths)
    files = writer.write(keys, futures, rows=rows)
    texts = features.text_table(events, tables.profiles).unionByName(sentence_table(spark, events, currency=currency))
    writer.write_texts(texts.dropDuplicates(["text_key"]), always=[key_of(NOTHING)])
    write_json(root / "manifest.json", _manifest(tables, settings, cutoffs, root, rows=rows, files=files))
    say(f"pairs: {rows} rows in {files} files")


def _keys(
    events: DataFrame, tables: LakeTables, settings: Settings, cutoffs: tuple[date, ...]
) -> tuple[DataFrame, int]:
    keys = population(events, tables.profiles, cutoffs).localCheckpoint()
    rows = keys.count()
    if not rows:
        raise FoundError(
            f"no user of {tables.lake.name} is known before the cut-offs {cutoffs[0]} to {cutoffs[-1]}: its first "
            f"event is at {tables.first_event:%Y-%m-%d %H:%M} UTC. Choose later cut-offs."
        )
    if rows <= settings.max_pairs:
        return keys, rows
    return sampled(keys, at_most=settings.max_pairs).localCheckpoint(), settings.max_pairs


def _write_features(
    events: DataFrame, asked: DataFrame, tables: LakeTables, settings: Settings, root: Path, *, files: int
) -> None:
    views = snapshots(
        events,
        tables.profiles,
        asked,
        sources=tables.lake.event_sources,
        lengths=settings.lengths,
        history_days=settings.history_days,
    )
    views[DESCRIPTION] = future_descriptions(events, asked, settings.windows, currency=tables.lake.currency)
    features.write_views(views, root / "features", lengths=settings.lengths, files=files)


def _manifest(
    tables: LakeTables, settings: Settings, cutoffs: tuple[date, ...], root: Path, *, rows: int, files: int
) -> dict[str, Any]:
    windows, lengths = settings.windows, settings.lengths
    return {
        "schema_version": SCHEMA_VERSION,
        "template_version": TEMPLATE_VERSION,
        "lake": tables.lake.name,
        "currency": tables.lake.currency,
        "windows": {
            "history_days": windows.history_days,
            "horizon_days": windows.horizon_days,
            "gap_days": windows.gap_days,
        },
        "cutoffs": [cutoff.isoformat() for cutoff in cutoffs],
        "rows": rows,
        "files": files,
        "lengths": {"events": lengths.events, "searches": lengths.searches, "future": lengths.future},
        "profile": features.profile_schema(tables.profiles).as_dict(),
        "fingerprint": fingerprint(root),
    }


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("lake", *(() if arguments.out else ("workdir",)), "cutoffs", "horizon_days")
    out = Path(arguments.out).absolute() if arguments.out else settings.work.pairs
    until, windows = _date(arguments.until), settings.windows
    with spark_session(settings, job="build_pairs") as spark:
        build_pairs(spark, settings, windows, out=out, until=until)


def _date(text: str | None) -> date | None:
    return cutoff_instant(text).date() if text else None


def arguments() -> argparse.ArgumentParser:
    parse = parser(
        __doc__,
        *("lake", "workdir", "cutoffs", "history_days", "horizon_days", "gap_days"),
        *("max_events", "max_searches", "max_future", "max_pairs", "spark_master"),
    )
    parse.add_argument("--until", help="no future passes 00:00 UTC of this date")
    parse.add_argument("--out", help="the dataset's folder; default: WORKDIR/pairs")
    return parse


if __name__ == "__main__":
    main(run, arguments())
