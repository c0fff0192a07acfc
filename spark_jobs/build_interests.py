"""What LURM counts: every distinct text before a cut-off, or each user's bag of interests by period.

spark-submit spark_jobs/build_interests.py texts --lake LAKE --ds 2011-06-01
spark-submit spark_jobs/build_interests.py bags --lake LAKE --ds 2011-06-01 --period-days 30 [--from 2010-01-01]
"""

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import INTEREST_OF_TEXT, INTERESTS_CONFIG
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import TEMPLATE_VERSION
from feature_repo.contracts.windows import cutoff_instant
from spark_jobs import interests
from spark_jobs.features import partitions_of
from spark_jobs.lake import LakeTables, open_lake
from spark_jobs.partitions import publish, write_files, write_json
from spark_jobs.session import main, parser, say, spark_session

PERIOD_DAYS = 30


def build_texts(spark: SparkSession, settings: Settings, *, ds: date, out: Path) -> None:
    """Publishes `out`: (text_key, text) of every event known before ds, each text once."""
    tables = open_lake(spark, settings)
    events = interests.known_events(tables, first=None, ds=ds, partitions=partitions_of(spark))

    def write(folder: Path) -> None:
        write_files(interests.distinct_texts(events), folder)
        _refuse_nothing(spark.read.parquet(str(folder)).count(), tables, first=None, ds=ds)

    publish(out, write)
    say(f"texts: {spark.read.parquet(str(out)).count()} distinct texts before {ds} in {out}")


def build_bags(
    spark: SparkSession,
    settings: Settings,
    *,
    ds: date,
    first: date | None = None,
    period_days: int = PERIOD_DAYS,
    clusters: Path,
    out: Path,
) -> None:
    """Publishes `out`: bags/part-*.parquet, a bag per user and period of [first, ds), and manifest.json.

    The full life of a user is counted, none of it at or after ds. `clusters` is one version of the interests.
    Raises FoundError for a text without an interest.
    """
    if period_days < 1:
        raise FoundError(f"a period has at least 1 day, found --period-days {period_days}.")
    known = _interests(clusters)
    tables = open_lake(spark, settings)
    events = interests.known_events(tables, first=first, ds=ds, partitions=partitions_of(spark))
    counts = interests.text_counts(events, ds=ds, period_days=period_days).localCheckpoint()
    total = counts.agg(F.countDistinct("user_id").alias("users"), F.sum("count").alias("events")).head()
    assert total is not None
    _refuse_nothing(total.users, tables, first=first, ds=ds)
    interest_of_text = spark.read.parquet(str(clusters / INTEREST_OF_TEXT))
    interests.refuse_strangers(counts, interest_of_text)
    told = {
        "template_version": TEMPLATE_VERSION,
        "lake": tables.lake.name,
        "ds": ds.isoformat(),
        "from": first.isoformat() if first else None,
        "period_days": period_days,
        "interests": known["version"],
        "clusters": known["clusters"],
        "users": total.users,
        "events": total.events,
    }

    def write(folder: Path) -> None:
        found = interests.bags(counts, interest_of_text)
        rows = interests.write_bags(found, folder / "bags", users=total.users, events=total.events)
        write_json(folder / "manifest.json", told | {"rows": rows})

    publish(out, write)
    spark.catalog.clearCache()
    say(f"bags: {total.events} events of {total.users} users before {ds} in {out}")


def _refuse_nothing(found: int, tables: LakeTables, *, first: date | None, ds: date) -> None:
    if not found:
        since = f" from {first} on" if first else ""
        raise FoundError(
            f"no event of {tables.lake.name} is known before {ds}{since}: its first event is at "
            f"{tables.first_event:%Y-%m-%d %H:%M} UTC. Choose a later cut-off."
        )


def _interests(clusters: Path) -> dict[str, Any]:
    """What model.lurm.cluster says of the interests. Raises FoundError where there are none."""
    path = clusters / INTERESTS_CONFIG
    if not path.is_file():
        raise FoundError(f"no interests in {clusters}: run `python -m model.lurm.cluster fit` first.")
    known: dict[str, Any] = json.loads(path.read_text())
    if known.get("template_version") != TEMPLATE_VERSION:
        raise FoundError(
            f"the interests in {clusters} are of template version {known.get('template_version')}, this code renders "
            f"version {TEMPLATE_VERSION}: run `python -m model.lurm.cluster fit` again."
        )
    return known


def _current(clusters: Path) -> Path:
    pointer = clusters / "CURRENT"
    return clusters / (pointer.read_text().strip() if pointer.is_file() else "")


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("lake", "workdir")
    work, ds = settings.work, cutoff_instant(arguments.ds).date()
    out = Path(arguments.out).absolute() if arguments.out else None
    first = cutoff_instant(arguments.first).date() if arguments.first else None
    with spark_session(settings, job="build_interests") as spark:
        if arguments.what == "texts":
            build_texts(spark, settings, ds=ds, out=out or work.interest_texts)
        else:
            build_bags(
                spark,
                settings,
                ds=ds,
                first=first,
                period_days=arguments.period_days,
                clusters=_current(work.interest_clusters),
                out=out or work.interest_bags(ds),
            )


def arguments() -> argparse.ArgumentParser:
    parse = parser(__doc__, "lake", "workdir", "spark_master")
    parse.add_argument("what", choices=("texts", "bags"))
    parse.add_argument("--ds", required=True, help="the cut-off: 00:00 UTC of this date")
    parse.add_argument("--from", dest="first", help="bags: count events from 00:00 UTC of this date on; default: all")
    parse.add_argument("--period-days", type=int, default=PERIOD_DAYS, help="bags: default %(default)s")
    parse.add_argument("--out", help="default: below WORKDIR/interests")
    return parse


if __name__ == "__main__":
    main(run, arguments())
