"""Joined feature views as the columns that a model reads: the same for training pairs and for inference."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.inputs import Column as InputColumn
from feature_repo.contracts.inputs import (
    Lengths,
    activity_columns,
    history_columns,
    profile_arrays,
    search_columns,
)
from feature_repo.contracts.names import HISTORY, INPUT_VIEWS, JOIN_KEY, PROFILE, TIMESTAMP, Workdir
from feature_repo.point_in_time import PROFILE_PREFIX
from spark_jobs.rendering import quoted, text_key
from spark_jobs.transforms.arrays import fixed_length


def input_columns(lengths: Lengths, *, categorical: Sequence[str], numeric: Sequence[str]) -> tuple[InputColumn, ...]:
    """What a model sees of a user, in the order of `pair_columns`."""
    return (
        *history_columns(lengths),
        *search_columns(lengths),
        *profile_arrays(len(categorical), len(numeric)),
        *activity_columns(),
    )


def model_inputs(
    joined: DataFrame, lengths: Lengths, *, categorical: Sequence[str], numeric: Sequence[str]
) -> DataFrame:
    """The rows of `joined` with exactly the input columns behind its other ones, arrays of these lengths.

    `joined` holds the views' columns, a profile column c as `profile__c`. `categorical` and `numeric` are those
    of the pairs that a model was trained on: a column that `joined` lacks counts as null.
    """
    columns = input_columns(lengths, categorical=categorical, numeric=numeric)
    return fixed_length(with_profile(joined, columns, categorical=categorical, numeric=numeric), columns)


def with_profile(
    joined: DataFrame, columns: Sequence[InputColumn], *, categorical: Sequence[str], numeric: Sequence[str]
) -> DataFrame:
    """The other columns of `joined`, then the input columns with their arrays as long as they are."""
    arrays = dict(zip(("profile_categories", "profile_numbers"), _profile(joined, categorical, numeric), strict=True))
    names = [c.name for c in columns]
    others = [c for c in joined.columns if c not in names and not c.startswith(PROFILE_PREFIX)]
    return joined.select(*others, *(arrays.get(name, F.col(name)).alias(name) for name in names))


def _profile(joined: DataFrame, categorical: Sequence[str], numeric: Sequence[str]) -> tuple[Column, Column]:
    """Keys of the categories (0 = null) and numbers (NaN = null), in alphabetical order of their columns."""

    def value(name: str, kind: str) -> Column:
        known = PROFILE_PREFIX + name in joined.columns
        return (F.col(quoted(PROFILE_PREFIX + name)) if known else F.lit(None)).cast(kind)

    keys = [F.coalesce(text_key(value(name, "string")), F.lit(0)) for name in sorted(categorical)]
    numbers = [F.coalesce(value(name, "float"), F.lit(float("nan"))) for name in sorted(numeric)]
    return F.array(*(keys or [F.lit(0)])), F.array(*(numbers or [F.lit(float("nan"))]))


def snapshot_inputs(spark: SparkSession, work: Workdir, ds: date) -> DataFrame:
    """The four views of one published ds side by side: user_id, event_timestamp, columns as `model_inputs` reads."""
    joined = spark.read.parquet(str(work.partition(HISTORY, ds)))
    for view in INPUT_VIEWS[1:]:
        frame = spark.read.parquet(str(work.partition(view, ds)))
        if view == PROFILE:
            own = [c for c in frame.columns if c not in (JOIN_KEY, TIMESTAMP)]
            frame = frame.select(JOIN_KEY, TIMESTAMP, *(F.col(quoted(c)).alias(PROFILE_PREFIX + c) for c in own))
        joined = joined.join(frame, [JOIN_KEY, TIMESTAMP], how="inner")
    return joined
