"""The labels of the scenarios, from the true intents and what they did in the window."""

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.synthetic.demands import Task
from spark_jobs.synthetic.people import LAPSE

HARD_DAYS = 90
"""A hard negative looked into the topic in these days before the cut-off, yet has no part in it later."""
FIT_SHARE = 5
"""One user in five is for fitting, the others for evaluation."""


def labels(events: DataFrame, intents: DataFrame, tasks: Sequence[Task]) -> DataFrame:
    """scenario_id, user_id, label, split, hard: a task's candidates, for each of its wordings.

    Candidates are the users known before the cut-off; of a lapse, those who bought in the HARD_DAYS before it.
    One pass over the events, whatever the number of tasks.
    """
    facts = [fact for number, task in enumerate(tasks) for fact in _facts(number, task)]
    gone = intents.filter(F.col("intent") == LAPSE).groupBy("user_id").agg(F.min("start").alias("gone"))
    users = events.groupBy("user_id").agg(*facts).join(gone, "user_id", "left")
    rows = F.flatten(F.array(*(_rows(number, task) for number, task in enumerate(tasks))))
    fit = F.pmod(F.xxhash64("user_id"), F.lit(FIT_SHARE)) == 0
    split = F.when(fit, "fit").otherwise("eval").alias("split")
    found = users.select("user_id", split, F.explode(rows).alias("row")).filter("row.candidate")
    columns = ["row.scenario_id", "user_id", "row.label", "split", "row.hard"]
    return found.select(*columns).orderBy("scenario_id", "user_id")


def _facts(number: int, task: Task) -> list[Column]:
    time = F.col("event_time")
    before = time < F.lit(task.start)
    lately = before & (time >= F.lit(task.start - timedelta(days=HARD_DAYS)))
    within = (time >= F.lit(task.start)) & (time < F.lit(task.end))
    purchase = (F.col("source") == "bills") & F.coalesce(F.col("status") == "successful", F.lit(False))
    bought = within & purchase
    return [
        F.max(lately & purchase if task.intent == LAPSE else before).alias(f"candidate_{number}"),
        F.max(bought).alias(f"bought_{number}"),
        F.max(bought & F.col("intent").eqNullSafe(task.intent)).alias(f"did_{number}"),
        F.max(lately & (F.col("topic") == task.intent)).alias(f"looked_{number}"),
    ]


def _rows(number: int, task: Task) -> Column:
    bought, did, looked = (F.col(f"{fact}_{number}") for fact in ("bought", "did", "looked"))
    if task.intent == LAPSE:
        left = F.coalesce(F.col("gone") < F.lit(task.end), F.lit(False))
        label, hard = left & ~bought, ~left & ~bought
    else:
        label, hard = did, ~did & looked
    fields = (
        F.col(f"candidate_{number}").alias("candidate"),
        label.cast("tinyint").alias("label"),
        hard.cast("tinyint").alias("hard"),
    )
    return F.array(*(F.struct(F.lit(name).alias("scenario_id"), *fields) for name in task.scenario_ids))
