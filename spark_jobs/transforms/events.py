"""All sources as one narrow frame of rendered events, laid out by user.

Times are whole days since 1970-01-01 wherever a window is meant: a cut-off is 00:00 UTC of a day, so an event
lies before it exactly when its day does.
"""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from feature_repo.contracts.events import EVENT_SOURCES, EVENT_TABLES
from feature_repo.contracts.templates import EVENT_TEMPLATES
from spark_jobs.rendering import clean, event_text, text_key


def rendered_events(events: Mapping[str, DataFrame], *, partitions: int) -> DataFrame:
    """Every event once: user_id, source, day, known_day, micros, tie, text_key, text, item, status, channel, amount.

    `known_day` is the day on which the event had happened and arrived; `tie` orders a user's events of one
    instant by all their columns; `item`, `status` and `channel` are cleaned. The rows of a user share a partition.
    """
    assert set(events) <= set(EVENT_SOURCES)
    frames = [_rendered(delivered_once(frame), source) for source, frame in events.items()]
    union = frames[0]
    for frame in frames[1:]:
        union = union.unionByName(frame)
    return union.repartition(partitions, "user_id")


def delivered_once(events: DataFrame) -> DataFrame:
    """Of rows that share an event_id the one that was known first; rows without an event_id, or an empty one, all
    count."""
    events = events.withColumn("event_id", F.when(F.trim("event_id") != "", F.col("event_id")))
    in_order = Window.partitionBy("event_id").orderBy(known_at(), *[F.col(c) for c in sorted(events.columns)])
    named = events.filter(F.col("event_id").isNotNull()).withColumn("delivery", F.row_number().over(in_order))
    first = named.filter(F.col("delivery") == 1).drop("delivery")
    return events.filter(F.col("event_id").isNull()).unionByName(first)


def known_at() -> Column:
    """The instant from which an event counts: when it had happened and, where that is told, arrived."""
    return F.greatest("event_time", "arrival_time")  # greatest skips nulls


def day_of(time: Column) -> Column:
    return F.unix_date(F.to_date(time))


def _rendered(events: DataFrame, source: str) -> DataFrame:
    template = EVENT_TEMPLATES[source]
    has = {field.name for field in EVENT_TABLES[source]}
    shown = {part.field for part in template.parts} | ({"status", "channel"} & has)
    cleaned = events.select(
        "user_id",
        F.lit(source).alias("source"),
        day_of(F.col("event_time")).alias("day"),
        day_of(known_at()).alias("known_day"),
        F.unix_micros("event_time").alias("micros"),
        F.xxhash64(*sorted(set(events.columns) - {"user_id"})).alias("tie"),
        (F.col("amount") if "amount" in has else F.lit(None).cast("double")).alias("amount"),
        *(clean(F.col(name)).alias(f"shown_{name}") for name in sorted(shown)),
    )
    told = cleaned.withColumn("text", event_text(template, lambda name: F.col(f"shown_{name}")))
    empty = F.lit("")
    return told.select(
        *("user_id", "source", "day", "known_day", "micros", "tie", "amount", "text"),
        text_key(F.col("text")).alias("text_key"),
        F.col(f"shown_{template.parts[0].field}").alias("item"),
        (F.col("shown_status") if "status" in shown else empty).alias("status"),
        (F.col("shown_channel") if "channel" in shown else empty).alias("channel"),
    )
