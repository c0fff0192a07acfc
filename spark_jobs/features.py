"""Feature partitions: the views of each cut-off, checked, by ds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.inputs import Column, Lengths, activity_columns, history_columns, search_columns
from feature_repo.contracts.names import ACTIVITY, HISTORY, SEARCHES
from spark_jobs.feature_checks import check_snapshots
from spark_jobs.lake import LakeTables
from spark_jobs.partitions import laid_out, write_by
from spark_jobs.rendering import quoted, text_key
from spark_jobs.transforms.arrays import fixed_length
from spark_jobs.transforms.events import rendered_events
from spark_jobs.transforms.population import event_timestamp

ROWS_PER_FILE = 50_000


@dataclass(frozen=True)
class ProfileSchema:
    """The lake's own profile columns, each list in alphabetical order."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.categorical, *self.numeric)

    def as_dict(self) -> dict[str, list[str]]:
        return {"categorical": list(self.categorical), "numeric": list(self.numeric)}


def profile_schema(profiles: DataFrame | None) -> ProfileSchema:
    own = [] if profiles is None else [c for c in profiles.dtypes if c[0] not in ("user_id", "valid_from")]
    return ProfileSchema(
        categorical=tuple(sorted(name for name, kind in own if kind == "string")),
        numeric=tuple(sorted(name for name, kind in own if kind == "double")),
    )


def view_columns(lengths: Lengths) -> dict[str, tuple[Column, ...]]:
    """The contract's columns of each view that has fixed ones."""
    return {HISTORY: history_columns(lengths), SEARCHES: search_columns(lengths), ACTIVITY: activity_columns()}


def load_events(tables: LakeTables, *, partitions: int) -> DataFrame:
    """The lake's rendered events, computed once: every view reads them, and plans on top of them stay small."""
    return rendered_events(tables.events, partitions=partitions).localCheckpoint()


def write_views(views: Mapping[str, DataFrame], root: Path, *, lengths: Lengths, files: int) -> None:
    """`root/VIEW/ds=D/part-*.parquet`, checked after writing."""
    columns = view_columns(lengths)
    for name, view in views.items():
        own = [c for c in view.columns if c not in ("user_id", "cutoff_day")]
        ds = F.date_from_unix_date("cutoff_day").alias("ds")
        frame = view.select("user_id", event_timestamp(), *map(quoted, own), ds)
        in_order = laid_out(frame, "ds", key="user_id", files=files, partitions=partitions_of(view.sparkSession))
        write_by(fixed_length(in_order, columns.get(name, ())), root / name, "ds")
        check_snapshots(name, read_view(view.sparkSession, root / name), columns.get(name, ()))


def read_view(spark: SparkSession, folder: Path) -> DataFrame:
    """All partitions of a view (or one), without the ds."""
    return spark.read.parquet(str(folder)).drop("ds")


def partitions_of(spark: SparkSession) -> int:
    return int(spark.conf.get("spark.sql.shuffle.partitions") or 1)


def files_for(keys: DataFrame) -> int:
    """Files per cut-off, so that none has more than about ROWS_PER_FILE rows."""
    most = keys.groupBy("cutoff_day").count().agg(F.max("count")).head()
    return max(1, -(-int(most[0] or 0) // ROWS_PER_FILE)) if most else 1


def text_table(events: DataFrame, profiles: DataFrame | None) -> DataFrame:
    """(text_key, text): every text that the arrays of a user's inputs may name, once."""
    texts = events.select("text_key", "text")
    if profiles is not None and (names := profile_schema(profiles).categorical):
        value = F.explode(F.array(*map(quoted, names)))
        values = profiles.select(value.alias("text")).filter("text is not null")
        texts = texts.unionByName(values.select(text_key(F.col("text")).alias("text_key"), "text"))
    return texts.groupBy("text_key").agg(F.min("text").alias("text"))


def text_arrays(columns: Sequence[str]) -> list[str]:
    return [c for c in columns if c.endswith("_text")]


def used_texts(frame: DataFrame, arrays: Sequence[str], *by: str) -> DataFrame:
    """The distinct keys that the arrays name (0 is padding), per value of `by`."""
    named = F.explode(F.flatten(F.array(*arrays))).alias("text_key")
    return frame.select(*by, named).filter("text_key != 0").distinct()


def profile_texts(profile: DataFrame, names: Sequence[str], *by: str) -> DataFrame:
    """The distinct keys of the categories in profile rows, per value of `by`."""
    value = F.explode(F.array(*map(quoted, names)))
    values = profile.select(*by, value.alias("text")).filter("text is not null")
    return values.select(*by, text_key(F.col("text")).alias("text_key")).distinct()
