"""The feature views of many cut-offs in one pass over the events.

`asked` is (user_id, cutoff_days). Each view has one row per user and cut-off asked about: user_id, cutoff_day
and the columns of contracts/inputs.py, the arrays without padding. Nothing at or after a cut-off, by event or
arrival, reaches its row.
"""

from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.inputs import COUNT_DAYS, Lengths, activity_columns, history_columns, search_columns
from feature_repo.contracts.inputs import Column as InputColumn
from feature_repo.contracts.names import ACTIVITY, HISTORY, PROFILE, SEARCHES
from feature_repo.contracts.templates import AMOUNT_UNITS
from spark_jobs.rendering import quoted, units
from spark_jobs.schemas import column_type
from spark_jobs.transforms.events import day_of

KEYS = ["user_id", "cutoff_day"]


def snapshots(
    events: DataFrame,
    profiles: DataFrame | None,
    asked: DataFrame,
    *,
    sources: Sequence[str],
    lengths: Lengths,
    history_days: int,
) -> dict[str, DataFrame]:
    """The four input views. `sources` are the event sources that the lake has; the others' columns are padding."""
    behaviours = [s for s in BEHAVIOUR_SOURCES if s in sources]
    searches = [s for s in ("searches",) if s in sources]
    return {
        HISTORY: newest_events(
            events, asked, behaviours, history_columns(lengths), limit=lengths.events, history_days=history_days
        ),
        SEARCHES: newest_events(
            events, asked, searches, search_columns(lengths), limit=lengths.searches, history_days=history_days
        ),
        PROFILE: profiles_as_of(profiles, asked),
        ACTIVITY: activity(events, asked, sources, history_days=history_days),
    }


def keys_of(asked: DataFrame) -> DataFrame:
    return asked.select("user_id", F.explode("cutoff_days").alias("cutoff_day"))


def known_in_history(events: DataFrame, asked: DataFrame, *, history_days: int) -> DataFrame:
    """Each event once per cut-off of its user whose history [t - h, t) holds it and that knew it."""

    def holds(cutoff: Column) -> Column:
        return (F.col("known_day") < cutoff) & (F.col("day") >= cutoff - F.lit(history_days))

    each = events.join(asked, "user_id", how="inner")
    return each.withColumn("cutoff_day", F.explode(F.filter("cutoff_days", holds))).drop("cutoff_days")


def newest_events(
    events: DataFrame,
    asked: DataFrame,
    sources: Sequence[str],
    columns: Sequence[InputColumn],
    *,
    limit: int,
    history_days: int,
) -> DataFrame:
    """The newest `limit` events per source as arrays, newest first; ties ordered by all columns.

    A user's events are sorted once, and every cut-off takes its part of them: many cut-offs cost little more than one.
    """
    if not sources:
        return keys_of(asked).select(*KEYS, *(_nothing(c).alias(c.name) for c in columns))
    lives = events.filter(F.col("source").isin(*sources)).groupBy("user_id").agg(*map(_newest_first, sources))
    each = asked.join(lives, "user_id", how="left")
    each = each.select("user_id", F.explode("cutoff_days").alias("cutoff_day"), *sources)
    kept = each.select(*KEYS, *(_known_newest(s, limit, history_days).alias(s) for s in sources))
    return kept.select(*KEYS, *(_array(c, sources) for c in columns))


def _newest_first(source: str) -> Column:
    amount = F.coalesce("amount", F.lit(0.0)).cast("float").alias("amount")
    event = F.struct("micros", "tie", "text_key", amount, "day", "known_day")
    return F.sort_array(F.collect_list(F.when(F.col("source") == source, event)), asc=False).alias(source)


def _known_newest(source: str, limit: int, history_days: int) -> Column:
    starts = F.col("cutoff_day") - F.lit(history_days)
    known = F.filter(source, lambda e: (e["known_day"] < F.col("cutoff_day")) & (e["day"] >= starts))
    return F.slice(known, 1, limit)


def _array(column: InputColumn, sources: Sequence[str]) -> Column:
    source, part = column.name.split("_")
    if source not in sources:
        return _nothing(column).alias(column.name)
    if part == "length":
        return F.coalesce(F.size(source), F.lit(0)).cast("int").alias(column.name)
    field = {"text": "text_key", "day": "day", "amount": "amount"}[part]
    values = F.transform(source, lambda event: event[field])
    return F.coalesce(values, _nothing(column)).cast(column_type(column)).alias(column.name)


def _nothing(column: InputColumn) -> Column:
    return (F.lit(0) if column.length is None else F.array()).cast(column_type(column))


def activity(events: DataFrame, asked: DataFrame, sources: Sequence[str], *, history_days: int) -> DataFrame:
    """Counts, active days, recency, tenure and successful spend. Sums are of whole numbers, so exact."""
    facts = known_in_history(_days_with_events(events), asked, history_days=history_days)
    found = facts.groupBy(*KEYS).agg(*_measures(sources))
    columns = [_measured(c.name, c.name.split("_")[0] in (*sources, "spend")) for c in activity_columns()]
    return keys_of(asked).join(found, KEYS, how="left").select(*KEYS, *columns)


def _days_with_events(events: DataFrame) -> DataFrame:
    """Events added up per user, source, day and day of knowledge. `opens` marks the first known of a day."""
    successful = F.col("status").isin("", "successful")
    facts = events.groupBy("user_id", "source", "day", "known_day").agg(
        F.count(F.lit(1)).alias("events"), F.sum(F.when(successful, units(F.col("amount")))).alias("spent")
    )
    day = Window.partitionBy("user_id", "source", "day")
    return facts.withColumn("opens", (F.col("known_day") == F.min("known_day").over(day)).cast("int"))


def _measures(sources: Iterable[str]) -> list[Column]:
    age = F.col("cutoff_day") - F.col("day")
    measures = [F.sum("spent").alias("spend")]
    measures += [F.sum(F.when(age <= days, F.col("spent"))).alias(f"spend_{days}d") for days in COUNT_DAYS]
    for source in sources:
        of = F.col("source") == source
        measures += [
            F.sum(F.when(of & (age <= days), F.col("events"))).alias(f"{source}_count_{days}d") for days in COUNT_DAYS
        ]
        measures += [
            F.sum(F.when(of, F.col("events"))).alias(f"{source}_count"),
            F.sum(F.when(of, F.col("opens"))).alias(f"{source}_active_days"),
            F.min(F.when(of, age)).alias(f"{source}_recency_days"),
            F.max(F.when(of, age)).alias(f"{source}_tenure_days"),
        ]
    return measures


def _measured(name: str, exists: bool) -> Column:
    never = -1.0 if name.endswith(("_recency_days", "_tenure_days")) else 0.0
    value = F.col(name) if exists else F.lit(None)
    scale = AMOUNT_UNITS if name.startswith("spend") else 1
    return F.coalesce(value.cast("double") / F.lit(float(scale)), F.lit(never)).cast("float").alias(name)


def profiles_as_of(profiles: DataFrame | None, asked: DataFrame) -> DataFrame:
    """The newest profile with valid_from < t, its columns as they are; nulls for a user without one."""
    keys = keys_of(asked)
    if profiles is None:
        return keys
    own = [c for c in profiles.columns if c not in ("user_id", "valid_from")]
    row = F.struct("valid_from", *map(quoted, own))
    each = profiles.withColumn("known_day", day_of(F.col("valid_from"))).join(asked, "user_id", how="inner")
    each = each.withColumn("cutoff_day", F.explode("cutoff_days")).filter(F.col("known_day") < F.col("cutoff_day"))
    newest = each.groupBy(*KEYS).agg(F.max_by(row, "valid_from").alias("row"))
    return keys.join(newest, KEYS, how="left").select(*KEYS, *(F.col("row").getField(c).alias(c) for c in own))
