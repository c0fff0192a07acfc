"""Who is asked about, and when: the keys (user, cut-off) of every snapshot and pair."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from feature_repo.contracts.names import TIMESTAMP
from feature_repo.contracts.windows import day_number
from spark_jobs.transforms.events import day_of


def event_timestamp() -> Column:
    """The instant of a `cutoff_day`: 00:00 UTC."""
    return F.timestamp_micros(F.col("cutoff_day").cast("bigint") * F.lit(86_400_000_000)).alias(TIMESTAMP)


def population(events: DataFrame, profiles: DataFrame | None, cutoffs: Sequence[date]) -> DataFrame:
    """(user_id, cutoff_day): a user is known at a cut-off once an event or a profile is known before it."""
    known = events.groupBy("user_id").agg(F.min("known_day").alias("known_day"))
    if profiles is not None:
        registered = profiles.groupBy("user_id").agg(F.min(day_of(F.col("valid_from"))).alias("known_day"))
        known = known.unionByName(registered).groupBy("user_id").agg(F.min("known_day").alias("known_day"))
    days = F.array(*[F.lit(day_number(c)) for c in sorted(set(cutoffs))])
    return known.select("user_id", F.explode(F.filter(days, lambda day: day > F.col("known_day"))).alias("cutoff_day"))


def sampled(keys: DataFrame, *, at_most: int) -> DataFrame:
    """The `at_most` keys of the smallest hash: the same ones on every run, few of each user and cut-off."""
    order = F.xxhash64("user_id", "cutoff_day")
    return keys.orderBy(order, "user_id", "cutoff_day").limit(at_most)


def by_user(keys: DataFrame, *, partitions: int) -> DataFrame:
    """(user_id, cutoff_days): each user once, laid out as the events are."""
    grouped = keys.repartition(partitions, "user_id").groupBy("user_id")
    return grouped.agg(F.array_sort(F.collect_list("cutoff_day")).alias("cutoff_days"))


def numbered(keys: DataFrame) -> DataFrame:
    """The keys with their `rank` 0.. in the order of their hash, which mixes users and cut-offs."""
    order = Window.orderBy(F.xxhash64("user_id", "cutoff_day"), "user_id", "cutoff_day")
    return keys.withColumn("rank", F.row_number().over(order) - 1)
