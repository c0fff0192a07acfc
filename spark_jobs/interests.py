"""Bags of interests: how often each interest occurs in each period of a user's life (LURM, stage I).

Periods are counted backwards from the cut-off: period 0 is its last `period_days` days. Counts are added up before
anything is collected, so a user costs the memory of their distinct interests, however many events they have.
"""

from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.windows import day_number
from spark_jobs.features import ROWS_PER_FILE
from spark_jobs.lake import LakeTables
from spark_jobs.partitions import write_files
from spark_jobs.transforms.events import rendered_events

ROW = ["user_id", "periods_ago"]


def known_events(tables: LakeTables, *, first: date | None, ds: date, partitions: int) -> DataFrame:
    """The rendered events of [first, ds), by event and arrival time before ds; `first` None is the full life."""
    known = rendered_events(tables.events, partitions=partitions).filter(F.col("known_day") < day_number(ds))
    return known if first is None else known.filter(F.col("day") >= day_number(first))


def distinct_texts(events: DataFrame) -> DataFrame:
    """(text_key, text), by ascending key."""
    return events.groupBy("text_key").agg(F.min("text").alias("text")).coalesce(1).sortWithinPartitions("text_key")


def text_counts(events: DataFrame, *, ds: date, period_days: int) -> DataFrame:
    """(user_id, periods_ago, text_key, count): how often a text occurs in a period."""
    days_ago = F.lit(day_number(ds) - 1) - F.col("day")
    periods_ago = F.floor(days_ago / F.lit(period_days)).cast("int").alias("periods_ago")
    counted = events.select("user_id", periods_ago, "text_key").groupBy(*ROW, "text_key")
    return counted.agg(F.count(F.lit(1)).alias("count"))


def bags(counts: DataFrame, interest_of_text: DataFrame) -> DataFrame:
    """One row per user and period with events: user_id, periods_ago, `interests` (ascending), their `counts`, all int.

    Counts add up: the bag of a longer period is the sum of the bags of the shorter ones that it is made of.
    """
    named = counts.join(interest_of_text, "text_key", how="inner").groupBy(*ROW, "interest")
    summed = named.agg(F.sum("count").cast("int").alias("count"))
    pairs = F.sort_array(F.collect_list(F.struct("interest", "count")))
    listed = summed.groupBy(*ROW).agg(pairs.alias("bag"))
    return listed.select(*ROW, _part("interest").alias("interests"), _part("count").alias("counts"))


def _part(name: str) -> Column:
    return F.transform("bag", lambda pair: pair[name].cast("int"))


def refuse_strangers(counts: DataFrame, interest_of_text: DataFrame) -> None:
    """Raises FoundError where a text has no interest yet."""
    strangers = counts.join(interest_of_text, "text_key", how="left_anti").select("text_key").distinct().count()
    if strangers:
        raise FoundError(
            f"{strangers} texts have no interest: run `build_interests.py texts` for this ds, then "
            "`python -m model.lurm.cluster assign`."
        )


def write_bags(frame: DataFrame, folder: Path, *, users: int, events: int) -> int:
    """`folder/part-*.parquet` by user and period, all rows of a user in one file; returns the number of rows.

    Raises FoundError if the counts do not add up to the number of events.
    """
    files = max(1, -(-users // ROWS_PER_FILE))
    write_files(frame.repartition(files, "user_id").sortWithinPartitions(*ROW), folder)
    counted = F.aggregate("counts", F.lit(0).cast("bigint"), lambda total, count: total + count)
    written = frame.sparkSession.read.parquet(str(folder)).agg(F.count(F.lit(1)), F.sum(counted)).head()
    assert written is not None
    if written[1] != events:
        raise FoundError(f"the bags count {written[1]} events where {events} are known: nothing is published.")
    return int(written[0])
